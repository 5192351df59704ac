"""The client against a real API server: every verb, every refusal, kinds that come and go."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog.testing

from smbpctl.runtime.client import Client, Propagation
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.discovery import Discovery, OptionalKind
from smbpctl.runtime.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NoKindMatch,
    NotFound,
    ServerError,
    ServerTimeout,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    key_of,
    labels_equal,
    uid_of,
)
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import ClusterConfig, HttpTransport, load_config

T = TypeVar("T")

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
POD = GroupVersionKind("", "v1", "Pod")
BUDGET = GroupVersionKind("policy", "v1", "PodDisruptionBudget")
CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
ENDPOINTS = GroupVersionKind("", "v1", "Endpoints")
CLUSTER_ROLE = GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole")
OWNER = "smbpctl/test"
MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def _connected(config: ClusterConfig, **options: Any) -> AsyncIterator[Client]:
    transport = HttpTransport(config)
    try:
        yield Client(transport, Discovery(transport, clock=LoopClock()), **options)
    finally:
        await transport.close()


@asynccontextmanager
async def _discovering(config: ClusterConfig, **options: Any) -> AsyncIterator[Discovery]:
    transport = HttpTransport(config)
    try:
        yield Discovery(transport, clock=LoopClock(), **options)
    finally:
        await transport.close()


async def _config(path: Path) -> ClusterConfig:
    return await load_config(path, environ={})


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client whom nothing is refused."""
    async with _connected(await _config(control_plane.kubeconfig)) as connected:
        yield connected


async def _eventually(attempt: Callable[[], Awaitable[T | None]]) -> T:
    """Repeat until it gives something; what is not served yet counts as nothing."""
    for _ in range(300):
        if (result := await _unless_unserved(attempt)) is not None:
            return result
        await asyncio.sleep(0.1)
    pytest.fail("it did not happen within 30 s")


async def _unless_unserved(attempt: Callable[[], Awaitable[T | None]]) -> T | None:
    try:
        return await attempt()
    except NoKindMatch:
        return None


def _config_map(namespace: str, name: str = "a", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _pod(namespace: str, name: str = "a") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "containers": [{"name": "main", "image": "registry.invalid/none:1"}],
            "nodeSelector": {"no-such": "node"},
        },
    }


class TestVerbs:
    """Reading and writing one object."""

    async def test_life_of_an_object(self, client: Client, namespace: str) -> None:
        """Created, read, patched both ways, deleted."""
        key = ObjectKey(namespace, "a")
        absent = await client.get(CONFIG_MAP, key)

        created = await client.create(_config_map(namespace, k="1"), field_owner=OWNER)
        read = await client.get(CONFIG_MAP, key)
        uid_test = {"op": "test", "path": "/metadata/uid", "value": uid_of(created)}
        change = {"op": "add", "path": "/data/json", "value": "2"}
        await client.patch_json(CONFIG_MAP, key, [uid_test, change], field_owner=OWNER)
        merged = await client.patch_merge(
            CONFIG_MAP, key, {"data": {"k": None, "merge": "3"}}, field_owner=OWNER
        )
        deleted = await client.delete(CONFIG_MAP, key)
        again = await client.delete(CONFIG_MAP, key)

        assert absent is None
        assert read == created
        assert merged["data"] == {"json": "2", "merge": "3"}
        assert merged["metadata"]["managedFields"][0]["manager"] == OWNER
        assert (deleted, again) == (True, False)
        assert await client.get(CONFIG_MAP, key) is None

    async def test_a_taken_name(self, client: Client, namespace: str) -> None:
        """AlreadyExists, told apart from Conflict."""
        await client.create(_config_map(namespace), field_owner=OWNER)

        with pytest.raises(AlreadyExists):
            await client.create(_config_map(namespace), field_owner=OWNER)

    async def test_a_generated_name(self, client: Client, namespace: str) -> None:
        """Chosen by the server."""
        manifest = _config_map(namespace)
        manifest["metadata"] = {"generateName": "gen-", "namespace": namespace}

        created = await client.create(manifest, field_owner=OWNER)

        assert key_of(created).name.startswith("gen-")

    async def test_names_with_colons(self, client: Client) -> None:
        """RBAC has them."""
        found = await client.get(CLUSTER_ROLE, ObjectKey("", "system:node"))

        assert found is not None

    async def test_a_missing_namespace(self, client: Client) -> None:
        """Nothing is in it and nothing can be put into it; the kind is served all the same."""
        nowhere = "no-such-namespace"

        found = await client.get(CONFIG_MAP, ObjectKey(nowhere, "a"))

        assert found is None
        with pytest.raises(NotFound, match=nowhere):
            await client.create(_config_map(nowhere), field_owner=OWNER)

    async def test_a_large_object(self, client: Client, namespace: str) -> None:
        """Close to what a ConfigMap may hold."""
        text = "x" * 1_000_000

        stored = await client.apply(_config_map(namespace, k=text), field_owner=OWNER)

        assert stored["data"]["k"] == text

    async def test_an_invalid_object_names_its_fields(self, client: Client, namespace: str) -> None:
        """In causes, for conditions and messages."""
        with pytest.raises(Invalid) as caught:
            await client.create(_config_map(namespace, **{"no/slash": "x"}), field_owner=OWNER)

        assert [cause.field for cause in caught.value.causes] == ["data[no/slash]"]

    async def test_an_unknown_field_is_refused(self, client: Client, namespace: str) -> None:
        """A typing error must not be dropped silently. An apply with one is answered by 500."""
        manifest = {**_config_map(namespace), "dta": {"k": "v"}}

        with pytest.raises(BadRequest, match="dta"):
            await client.create(manifest, field_owner=OWNER)
        with pytest.raises(ServerError, match="dta: field not declared in schema"):
            await client.apply(manifest, field_owner=OWNER)

    async def test_reviews_and_raw_paths(self, client: Client) -> None:
        """What is no object of a kind."""
        review = await client.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}},
            },
        )

        assert review["status"]["allowed"] is True
        assert await client.get_raw("/readyz") == b"ok"


class TestApply:
    """Server-side apply."""

    async def test_creates_changes_and_removes(self, client: Client, namespace: str) -> None:
        """What an owner leaves out is removed; a repeated apply changes nothing."""
        first = await client.apply(_config_map(namespace, a="1", b="1"), field_owner=OWNER)
        second = await client.apply(_config_map(namespace, a="2"), field_owner=OWNER)
        third = await client.apply(_config_map(namespace, a="2"), field_owner=OWNER)

        assert (first["data"], second["data"]) == ({"a": "1", "b": "1"}, {"a": "2"})
        assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

    async def test_a_conflict_names_manager_and_field(self, client: Client, namespace: str) -> None:
        """Until it is forced."""
        await client.apply(_config_map(namespace, a="1"), field_owner="somebody/else")

        with pytest.raises(Conflict) as caught:
            await client.apply(_config_map(namespace, a="2"), field_owner=OWNER)
        forced = await client.apply(_config_map(namespace, a="2"), field_owner=OWNER, force=True)

        (cause,) = caught.value.causes
        assert (cause.reason, cause.field) == ("FieldManagerConflict", ".data.a")
        assert "somebody/else" in cause.message
        assert str(caught.value).startswith(f"apply ConfigMap {namespace}/a: ")
        assert forced["data"] == {"a": "2"}

    async def test_a_dry_run_stores_nothing(self, client: Client, namespace: str) -> None:
        """And shows what would be stored."""
        shown = await client.apply(_config_map(namespace, a="1"), field_owner=OWNER, dry_run=True)

        assert shown["data"] == {"a": "1"}
        assert await client.get(CONFIG_MAP, ObjectKey(namespace, "a")) is None

    async def test_a_uid_is_an_expectation(self, client: Client, namespace: str) -> None:
        """With a UID it neither creates nor changes a namesake; the two are refused differently."""
        expected = _config_map(namespace, a="1")
        expected["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"

        with pytest.raises(Conflict):
            await client.apply(expected, field_owner=OWNER)
        await client.create(_config_map(namespace), field_owner=OWNER)
        with pytest.raises(Invalid) as caught:
            await client.apply(expected, field_owner=OWNER)

        assert {cause.field for cause in caught.value.causes} == {"metadata.uid"}

    async def test_status_is_applied_to_its_subresource(
        self, client: Client, namespace: str
    ) -> None:
        """The spec in the same manifest is not touched by it."""
        await client.create(_pod(namespace), field_owner=OWNER)
        condition = {"type": "smbpctl.dev/Test", "status": "True"}
        status = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": namespace},
            "status": {"conditions": [condition]},
        }

        stored = await client.apply(status, field_owner=OWNER, subresource="status")

        types = [each["type"] for each in stored["status"]["conditions"]]
        assert "smbpctl.dev/Test" in types
        # The scheduler may have written a condition of its own by now.
        ours = [each for each in stored["metadata"]["managedFields"] if each["manager"] == OWNER]
        assert "status" in [each.get("subresource") for each in ours]


async def test_json_patches_are_bound_by_their_tests(client: Client, namespace: str) -> None:
    """A test on the UID that fails leaves the object as it was."""
    created = await client.create(_config_map(namespace, k="1"), field_owner=OWNER)
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "replace", "path": "/data/k", "value": "2"},
    ]

    with pytest.raises(Invalid, match=f"patch ConfigMap {namespace}/a: "):
        await client.patch_json(CONFIG_MAP, key_of(created), operations, field_owner=OWNER)

    assert await client.get(CONFIG_MAP, key_of(created)) == created


class TestDelete:
    """Deletions under preconditions."""

    async def test_needs_the_right_uid_and_version(self, client: Client, namespace: str) -> None:
        """A namesake, or an object that changed meanwhile, is left alone."""
        created = await client.create(_config_map(namespace), field_owner=OWNER)
        key, uid = key_of(created), uid_of(created)
        version = created["metadata"]["resourceVersion"]

        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, key, uid="another")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, key, uid=uid, resource_version="1")
        deleted = await client.delete(CONFIG_MAP, key, uid=uid, resource_version=version)

        assert deleted

    async def test_may_only_be_a_mark(self, client: Client, namespace: str) -> None:
        """An object with finalizers stays, marked as deleted, until they are gone."""
        manifest = _config_map(namespace)
        manifest["metadata"]["finalizers"] = ["smbpctl.dev/test"]
        created = await client.create(manifest, field_owner=OWNER)
        key = key_of(created)

        await client.delete(CONFIG_MAP, key, propagation=Propagation.ORPHAN)
        marked = await client.get(CONFIG_MAP, key)
        await client.patch_merge(
            CONFIG_MAP, key, {"metadata": {"finalizers": None}}, field_owner=OWNER
        )

        assert marked is not None
        assert marked["metadata"]["deletionTimestamp"]
        assert await client.get(CONFIG_MAP, key) is None


class TestEvict:
    """Evictions."""

    async def test_takes_the_pod_with_this_uid_only(self, client: Client, namespace: str) -> None:
        """And tells when there is none."""
        pod = await client.create(_pod(namespace), field_owner=OWNER)
        key = key_of(pod)

        with pytest.raises(Conflict):
            await client.evict(key, uid="another")
        await client.evict(key, uid=uid_of(pod), grace_period=timedelta(0))

        assert await client.get(POD, key) is None
        with pytest.raises(NotFound, match=f"evict Pod {key}: "):
            await client.evict(key, uid=None)

    async def test_respects_a_disruption_budget(self, client: Client, namespace: str) -> None:
        """429 while the budget does not allow it, with the server's delay where it names one."""
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "a", "namespace": namespace},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}},
        }
        pod = await client.create(_pod(namespace), field_owner=OWNER)
        await self._make_ready(client, pod)
        created = await client.create(budget, field_owner=OWNER)
        refusals: list[TooManyRequests] = []

        async def refused_by_the_budget() -> bool | None:
            with pytest.raises(TooManyRequests) as caught:
                await client.evict(key_of(pod), uid=uid_of(pod))
            refusals.append(caught.value)
            observed = await client.get(BUDGET, key_of(created))
            assert observed is not None
            return "observedGeneration" in observed.get("status", {}) or None

        await _eventually(refused_by_the_budget)

        assert "disruption budget" in str(refusals[-1])
        assert await client.get(POD, key_of(pod)) is not None

    async def _make_ready(self, client: Client, pod: Manifest) -> None:
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await client.patch_merge(
            POD, key_of(pod), {"status": status}, field_owner=OWNER, subresource="status"
        )


class TestList:
    """Lists and their pages."""

    async def test_more_objects_than_a_page_holds(self, client: Client, namespace: str) -> None:
        """520 objects come in two pages, as objects with their kind or as metadata."""
        slots = asyncio.Semaphore(20)

        async def make(number: int) -> None:
            manifest = _config_map(namespace, f"page-{number:03}")
            manifest["metadata"]["labels"] = {"even": str(number % 2 == 0).lower()}
            async with slots:
                await client.create(manifest, field_owner=OWNER)

        async with asyncio.TaskGroup() as group:
            for number in range(520):
                group.create_task(make(number))
        paged = labels_equal({"even": "true"})

        listed = await client.list(CONFIG_MAP, namespace=namespace)
        even = await client.list(CONFIG_MAP, namespace=namespace, selector=paged)
        pages = [
            json.loads(page)
            async for page in client.list_pages(
                CONFIG_MAP,
                namespace=namespace,
                selector=LabelSelector((), ("even",)),
                metadata_only=True,
            )
        ]

        names = [key_of(item).name for item in listed if key_of(item).name.startswith("page-")]
        assert names == [f"page-{number:03}" for number in range(520)]
        assert {item["kind"] for item in listed} == {"ConfigMap"}
        assert len(even) == 260
        assert [len(page["items"]) for page in pages] == [500, 20]
        assert {page["kind"] for page in pages} == {"PartialObjectMetadataList"}
        assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
        assert "data" not in pages[0]["items"][0]


class TestWatch:
    """Streams of events."""

    async def _read(
        self, client: Client, namespace: str, version: str, count: int, **options: Any
    ) -> list[dict[str, Any]]:
        """Watch until `count` events other than bookmarks came, or the stream ended."""
        events: list[dict[str, Any]] = []
        pending = b""
        options = {"timeout": MINUTE, "read_timeout": MINUTE, **options}
        async with client.watch(
            CONFIG_MAP,
            namespace=namespace,
            selector=labels_equal({"watched": "yes"}),
            resource_version=version,
            **options,
        ) as chunks:
            async for chunk in chunks:
                *lines, pending = (pending + chunk).split(b"\n")
                events += [json.loads(line) for line in lines]
                if len([each for each in events if each["type"] != "BOOKMARK"]) >= count:
                    break
        return events

    async def _version(self, client: Client, namespace: str) -> str:
        pages = [page async for page in client.list_pages(CONFIG_MAP, namespace=namespace)]
        return str(json.loads(pages[-1])["metadata"]["resourceVersion"])

    def _watched(self, namespace: str, name: str) -> Manifest:
        manifest = _config_map(namespace, name)
        manifest["metadata"]["labels"] = {"watched": "yes"}
        return manifest

    async def test_goes_on_where_the_last_one_ended(self, client: Client, namespace: str) -> None:
        """From a list to a watch to the next watch, no event is lost or told twice."""
        version = await self._version(client, namespace)
        await client.create(self._watched(namespace, "one"), field_owner=OWNER)
        await client.create(_config_map(namespace, "unwatched"), field_owner=OWNER)

        first = await self._read(client, namespace, version, 1)
        resumed = first[-1]["object"]["metadata"]["resourceVersion"]
        await client.create(self._watched(namespace, "two"), field_owner=OWNER)
        await client.delete(CONFIG_MAP, ObjectKey(namespace, "one"))
        second = await self._read(client, namespace, resumed, 2, metadata_only=True)

        told = [(each["type"], each["object"]["metadata"]["name"]) for each in first + second]
        assert told == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]
        assert first[0]["object"]["kind"] == "ConfigMap"
        assert second[0]["object"]["kind"] == "PartialObjectMetadata"

    async def test_ends_when_the_server_was_told_to(self, client: Client, namespace: str) -> None:
        """Cleanly, with nothing to tell."""
        version = await self._version(client, namespace)

        async with asyncio.timeout(20):
            events = await self._read(client, namespace, version, 1, timeout=timedelta(seconds=1))

        assert [each for each in events if each["type"] != "BOOKMARK"] == []

    async def test_silence_is_noticed(self, client: Client, namespace: str) -> None:
        """Before the server ends the stream: a dead connection looks like this."""
        version = await self._version(client, namespace)

        with pytest.raises(TransportError, match="no answer in time"):
            await self._read(
                client, namespace, version, 1, read_timeout=timedelta(milliseconds=300)
            )


def _crd(group: str) -> Manifest:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


@pytest.fixture
async def things(client: Client, namespace: str) -> AsyncIterator[GroupVersionKind]:
    """A kind that no other test knows, as soon as it is served; removed afterwards."""
    group = f"{namespace}.example.org"
    gvk = GroupVersionKind(group, "v1", "Thing")
    await client.create(_crd(group), field_owner=OWNER)

    async def listed() -> bool | None:
        return await client.list(gvk) == []

    await _eventually(listed)

    yield gvk

    await client.delete(CRD, ObjectKey("", f"things.{group}"))


def _thing(gvk: GroupVersionKind, namespace: str, **content: Any) -> Manifest:
    metadata = {"name": "a", "namespace": namespace}
    return {"apiVersion": gvk.api_version, "kind": "Thing", "metadata": metadata, **content}


async def test_custom_kinds(client: Client, things: GroupVersionKind, namespace: str) -> None:
    """Applied like any other, with a status of its own and no other subresource."""
    spec = await client.apply(_thing(things, namespace, spec={"x": 1}), field_owner=OWNER)
    with_status = _thing(things, namespace, status={"phase": "x"})

    status = await client.apply(with_status, field_owner=OWNER, subresource="status")
    with pytest.raises(NotFound):
        await client.apply(with_status, field_owner=OWNER, subresource="scale")

    assert uid_of(spec) == uid_of(status)
    assert (status["spec"], status["status"]) == ({"x": 1}, {"phase": "x"})


async def test_a_moment_before_the_server_remembers(
    client: Client, things: GroupVersionKind
) -> None:
    """410, here as an event of type ERROR in a stream that began well."""
    async with client.watch(
        things, resource_version="1", timeout=MINUTE, read_timeout=MINUTE
    ) as chunks:
        event = json.loads(await anext(chunks))

    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_kinds_come_and_go(
    control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    """A kind is served soon after its CRD; once it is gone its objects are not merely absent."""
    group = f"{namespace}.example.org"
    gvk = GroupVersionKind(group, "v1", "Thing")
    optional = OptionalKind(group, "Thing", ("v2", "v1"))
    key = ObjectKey(namespace, "a")
    config = await _config(control_plane.kubeconfig)

    async with _discovering(config, min_refresh=timedelta(milliseconds=50)) as discovery:

        async def absent() -> bool | None:
            return await client.get(gvk, key) is None

        async def gone() -> bool | None:
            try:
                await client.get(gvk, key)
            except NoKindMatch:
                return True
            return None

        async def unserved() -> bool | None:
            return True if await discovery.served(optional) is None else None

        before = await discovery.served(optional)
        with pytest.raises(NoKindMatch, match=f"does not serve Thing.v1.{group}"):
            await client.get(gvk, key)
        await client.create(_crd(group), field_owner=OWNER)
        served = await _eventually(lambda: discovery.served(optional))
        await _eventually(absent)
        await client.delete(CRD, ObjectKey("", f"things.{group}"))
        await _eventually(gone)
        await _eventually(unserved)

    assert (before, served) == (None, gvk)


async def test_discovery_of_a_real_server(control_plane: ControlPlane) -> None:
    """One document for each root; subresources and scopes are as they are."""
    async with _discovering(await _config(control_plane.kubeconfig)) as discovery:
        pod = await discovery.resource(POD)
        role = await discovery.resource(CLUSTER_ROLE)
        version = await discovery.server_version()

    assert pod.namespaced
    assert {"eviction", "status", "log"} <= pod.subresources
    assert {"get", "list", "watch", "patch"} <= pod.verbs
    assert not role.namespaced
    assert version.startswith("v1.")


class TestWhoWeAre:
    """Refusals, and credentials of several kinds."""

    async def test_a_token_nobody_issued(self, control_plane: ControlPlane) -> None:
        """Unauthorized."""
        config = await _config(control_plane.kubeconfig)
        stranger = replace(
            config,
            client_certificate=None,
            client_certificate_file=None,
            client_key=None,
            client_key_file=None,
            token="nonsense",
        )

        async with _connected(stranger) as client:
            with pytest.raises(Unauthorized):
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

    async def test_a_user_without_permission(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Forbidden, naming user, verb and resource, for reads, writes and watches."""
        config = await _config(control_plane.kubeconfig_for("mallory", ()))
        key = ObjectKey(namespace, "a")

        async with _connected(config) as client:
            with pytest.raises(Forbidden, match='"mallory" cannot get resource "configmaps"'):
                await client.get(CONFIG_MAP, key)
            with pytest.raises(Forbidden, match="cannot patch resource"):
                await client.apply(_config_map(namespace), field_owner=OWNER)
            with pytest.raises(Forbidden, match="cannot watch resource"):
                async with client.watch(
                    CONFIG_MAP, resource_version="", timeout=MINUTE, read_timeout=MINUTE
                ):
                    pytest.fail("the watch must be refused")

    async def test_impersonation(self, control_plane: ControlPlane) -> None:
        """We act as somebody with fewer rights."""
        config = await _config(control_plane.kubeconfig)
        lesser = replace(config, headers=(("Impersonate-User", "jane"),))

        async with _connected(lesser) as client:
            with pytest.raises(Forbidden, match='"jane" cannot get'):
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

    async def test_the_token_of_a_service_account(
        self, control_plane: ControlPlane, namespace: str, tmp_path: Path
    ) -> None:
        """As a pod has it: token, CA and namespace as files, host and port as variables."""
        token = control_plane.kubectl("create", "token", "default", "-n", namespace).stdout
        (tmp_path / "token").write_text(f"{token.strip()}\n")
        (tmp_path / "ca.crt").write_bytes(control_plane.ca_path.read_bytes())
        (tmp_path / "namespace").write_text(namespace)
        host, _, port = control_plane.url.removeprefix("https://").partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

        config = await load_config(environ=environ, service_account=tmp_path)

        account = f"system:serviceaccount:{namespace}:default"
        async with _connected(config) as client:
            with pytest.raises(Forbidden, match=f'"{account}" cannot get'):
                await client.get(CONFIG_MAP, ObjectKey(config.namespace, "a"))

    async def test_an_authority_of_somebody_else(self, control_plane: ControlPlane) -> None:
        """Nothing is sent to a server that cannot prove itself."""
        config = replace(await _config(control_plane.kubeconfig), ca_data=None, ca_file=None)

        async with _connected(config) as client:
            with pytest.raises(TransportError, match="not trusted") as caught:
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

        assert not caught.value.sent


async def test_the_server_gives_up_when_told_to(
    control_plane: ControlPlane, namespace: str
) -> None:
    """`timeout` is honoured: with next to none, the server says so instead of finishing."""
    config = await _config(control_plane.kubeconfig)

    async with _connected(config, call_timeout=timedelta(milliseconds=1)) as client:
        with pytest.raises((ServerTimeout, TransportError)) as caught:
            await client.create(_config_map(namespace), field_owner=OWNER)

    # Where the answer had begun, it breaks the connection instead: the same to us.
    assert isinstance(caught.value, ServerTimeout) or caught.value.sent


async def test_deprecations_are_logged(client: Client) -> None:
    """Once, however often the kind is used."""
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await client.get(ENDPOINTS, ObjectKey("default", "none"))

    assert [entry["event"] for entry in logs] == ["server warned"]
    assert "deprecated" in logs[0]["text"]
