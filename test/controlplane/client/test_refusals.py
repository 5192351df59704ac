"""Every refusal of a real API server, by code, and what becomes of it."""

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Gone,
    Invalid,
    MethodNotAllowed,
    NoKindMatch,
    NotFound,
    RequestTooLarge,
    ServerError,
    ServerTimeout,
    TooManyRequests,
    TransportError,
    UnsupportedMediaType,
)
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of, uid_of
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.client.world import (
    BUDGET,
    CONFIG_MAP,
    EVERYTHING,
    OWNER,
    POD,
    config_map,
    config_of,
    connected,
    eventually,
    pod,
    thing,
)

MEGABYTE = 1_000_000


class TestContent:
    """400 and 422: what is sent is wrong."""

    async def test_an_invalid_object_names_its_fields(self, client: Client, namespace: str) -> None:
        """In causes, for conditions and messages."""
        with pytest.raises(Invalid) as caught:
            await client.create(config_map(namespace, **{"no/slash": "x"}), field_owner=OWNER)

        assert (caught.value.code, caught.value.reason) == (422, "Invalid")
        assert [cause.field for cause in caught.value.causes] == ["data[no/slash]"]

    async def test_an_unknown_field(self, client: Client, namespace: str) -> None:
        """A typing error must not be dropped silently. The server answers an apply with 500."""
        manifest = {**config_map(namespace), "dta": {"k": "v"}}

        with pytest.raises(BadRequest, match="dta") as caught:
            await client.create(manifest, field_owner=OWNER)
        with pytest.raises(BadRequest, match="dta: field not declared in schema") as applied:
            await client.apply(manifest, field_owner=OWNER)

        assert caught.value.code == applied.value.code == 400

    async def test_a_name_that_none_can_have(self, client: Client, namespace: str) -> None:
        """Refused by the server, or here where the path would mean something else."""
        with pytest.raises(Invalid, match=r"metadata\.name"):
            await client.create(config_map(namespace, "Not_A_Name"), field_owner=OWNER)
        with pytest.raises(ValueError, match="cannot be the name"):
            await client.get(CONFIG_MAP, ObjectKey(namespace, "../secrets/a"))


class TestAbsence:
    """404: of an object, and of a path."""

    async def test_of_an_object(self, client: Client, namespace: str) -> None:
        """None where absence is an answer, an error where something was to be changed."""
        key = ObjectKey(namespace, "absent")

        found = await client.get(CONFIG_MAP, key)
        deleted = await client.delete(CONFIG_MAP, key)

        assert (found, deleted) == (None, False)
        with pytest.raises(NotFound, match=f"patch ConfigMap {key}: ") as caught:
            await client.patch_merge(CONFIG_MAP, key, {}, field_owner=OWNER)
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")

    async def test_of_a_namespace(self, client: Client) -> None:
        """Nothing is in it and nothing can be put into it; the kind is served all the same."""
        nowhere = "no-such-namespace"

        found = await client.get(CONFIG_MAP, ObjectKey(nowhere, "a"))
        deleted = await client.delete_collection(CONFIG_MAP, namespace=nowhere, selector=EVERYTHING)

        assert (found, deleted) == (None, [])
        with pytest.raises(NotFound, match=nowhere):
            await client.create(config_map(nowhere), field_owner=OWNER)

    async def test_of_a_kind(self, client: Client, namespace: str) -> None:
        """Whatever is attempted: nothing may be concluded about objects."""
        gvk = GroupVersionKind("nowhere.example.org", "v1", "Thing")
        key = ObjectKey(namespace, "a")

        with pytest.raises(NoKindMatch, match=r"does not serve Thing\.v1\.nowhere"):
            await client.get(gvk, key)
        with pytest.raises(NoKindMatch):
            await client.delete(gvk, key)
        with pytest.raises(NoKindMatch):
            await client.delete_collection(gvk, namespace=namespace, selector=EVERYTHING)
        with pytest.raises(NoKindMatch):
            await client.apply(thing(gvk, namespace), field_owner=OWNER)

    async def test_of_a_version(self, client: Client, namespace: str) -> None:
        """The group is there; this version of it is not."""
        with pytest.raises(NoKindMatch, match=r"does not serve Deployment\.v1beta1\.apps"):
            await client.list(GroupVersionKind("apps", "v1beta1", "Deployment"))

    async def test_of_a_subresource(self, client: Client, namespace: str) -> None:
        """The kind has none of that name; its objects are not absent."""
        key = key_of(await client.create(config_map(namespace), field_owner=OWNER))

        with pytest.raises(NoKindMatch, match="get ConfigMap/status"):
            await client.get(CONFIG_MAP, key, subresource="status")

        assert await client.get(CONFIG_MAP, key) is not None


class TestOthers:
    """What this server does not do."""

    async def test_a_verb_the_resource_lacks(self, client: Client) -> None:
        """405: objects of a namespaced kind are made in a namespace."""
        with pytest.raises(MethodNotAllowed, match="create ConfigMap a: ") as caught:
            await client.create(config_map(""), field_owner=OWNER)

        assert caught.value.code == 405

    async def test_a_sort_of_patch_the_kind_lacks(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """415: custom resources know no strategic merge."""
        key = key_of(await client.create(thing(things, namespace), field_owner=OWNER))

        with pytest.raises(UnsupportedMediaType, match="accepted media types") as caught:
            await client.patch_strategic(things, key, {}, field_owner=OWNER)

        assert caught.value.code == 415


class TestSize:
    """What is too large, for the kind, for etcd and for the server."""

    async def test_as_large_as_may_be(self, client: Client, namespace: str) -> None:
        """Stored, and read back whole."""
        text = "x" * MEGABYTE

        stored = await client.apply(config_map(namespace, k=text), field_owner=OWNER)
        read = await client.get(CONFIG_MAP, key_of(stored))

        assert read is not None
        assert read["data"]["k"] == text

    async def test_a_custom_resource_of_the_limit_of_etcd(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """1.5 MB in all: just below is stored, just above is refused with nothing stored."""
        just_below = thing(things, namespace, "below", spec={"x": "x" * 1_560_000})
        just_above = thing(things, namespace, "above", spec={"x": "x" * 1_600_000})

        await client.create(just_below, field_owner=OWNER)
        with pytest.raises(ServerError, match="etcdserver: request is too large"):
            await client.create(just_above, field_owner=OWNER)

        (found,) = await client.list(things, namespace=namespace)
        assert len(found["spec"]["x"]) == 1_560_000

    async def test_larger_than_the_kind_allows(self, client: Client, namespace: str) -> None:
        """422."""
        with pytest.raises(Invalid, match="Too long: may not be more than 1048576 bytes"):
            await client.create(config_map(namespace, k="x" * 2 * MEGABYTE), field_owner=OWNER)

    async def test_larger_than_the_server_reads(self, client: Client, namespace: str) -> None:
        """413, whatever is in it."""
        with pytest.raises(RequestTooLarge, match=f"create ConfigMap {namespace}/a: ") as caught:
            await client.create(config_map(namespace, k="x" * 4 * MEGABYTE), field_owner=OWNER)

        assert caught.value.code == 413


class TestConflict:
    """409, of both sorts."""

    async def test_a_taken_name(self, client: Client, namespace: str) -> None:
        """AlreadyExists, told apart from Conflict."""
        await client.create(config_map(namespace), field_owner=OWNER)

        with pytest.raises(AlreadyExists) as caught:
            await client.create(config_map(namespace), field_owner=OWNER)

        assert (caught.value.code, caught.value.reason) == (409, "AlreadyExists")

    async def test_a_version_that_is_over(self, client: Client, namespace: str) -> None:
        """Somebody else was faster."""
        read = await client.create(config_map(namespace), field_owner=OWNER)
        await client.update(config_map(namespace, k="1"), field_owner="other", overwrite=True)

        with pytest.raises(Conflict) as caught:
            await client.update(read, field_owner=OWNER)

        assert (caught.value.code, caught.value.reason) == (409, "Conflict")


class TestEvict:
    """429, and the other answers to an eviction."""

    async def test_takes_the_pod_with_this_uid_only(self, client: Client, namespace: str) -> None:
        """And tells when there is none."""
        created = await client.create(pod(namespace), field_owner=OWNER)
        key = key_of(created)

        with pytest.raises(Conflict):
            await client.evict(key, uid="another")
        await client.evict(key, uid=uid_of(created), grace_period=timedelta(0))

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
        guarded = await client.create(pod(namespace), field_owner=OWNER)
        await self._make_ready(client, guarded)
        created = await client.create(budget, field_owner=OWNER)
        refusals: list[TooManyRequests] = []

        async def refused_by_the_budget() -> bool | None:
            with pytest.raises(TooManyRequests) as caught:
                await client.evict(key_of(guarded), uid=uid_of(guarded))
            refusals.append(caught.value)
            observed = await client.get(BUDGET, key_of(created))
            assert observed is not None
            return "observedGeneration" in observed.get("status", {}) or None

        await eventually(refused_by_the_budget)

        # Before the controller has seen the budget the server names a delay, afterwards a cause.
        assert refusals[-1].code == 429
        assert "disruption budget" in str(refusals[-1])
        assert [cause.reason for cause in refusals[-1].causes] == ["DisruptionBudget"]
        assert await client.get(POD, key_of(guarded)) is not None

    async def _make_ready(self, client: Client, pod: Manifest) -> None:
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await client.patch_merge(
            POD, key_of(pod), {"status": status}, field_owner=OWNER, subresource="status"
        )


@pytest.fixture(scope="module")
def forgetful(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A control plane that forgets the past every second."""
    arguments = {"kube-apiserver": ["--etcd-compaction-interval=1s"]}
    folder: Path = tmp_path_factory.mktemp("forgetful")
    with ControlPlane(binaries, folder, controllers=False, arguments=arguments) as made:
        yield made


async def test_a_list_that_took_too_long_is_gone(forgetful: ControlPlane) -> None:
    """410: what follows the first page is not known any more; a list begun again succeeds."""
    async with connected(await config_of(forgetful.kubeconfig)) as client:
        for name in ("a", "b", "c"):
            await client.create(config_map("default", name), field_owner=OWNER)
        pages = client.list_pages(CONFIG_MAP, namespace="default", page_size=1)
        token = json.loads(await anext(pages))["metadata"]["continue"]
        path = f"/api/v1/namespaces/default/configmaps?limit=1&continue={quote(token)}"

        async def forgotten() -> Gone | None:
            # Time alone does not age a moment: there must be later ones.
            tick = config_map("default", "tick", at=secrets.token_hex(4))
            await client.apply(tick, field_owner=OWNER)
            try:
                await client.get_raw(path)
            except Gone as error:
                return error
            return None

        refusal = await eventually(forgotten)
        with pytest.raises(Gone, match="list ConfigMap in default: "):
            await anext(pages)
        again = await client.list(CONFIG_MAP, namespace="default")

        assert (refusal.code, refusal.reason) == (410, "Expired")
        assert {"a", "b", "c"} <= {key_of(each).name for each in again}


async def test_the_server_gives_up_when_told_to(
    control_plane: ControlPlane, namespace: str
) -> None:
    """504: `timeout` is honoured: with next to none, the server says so instead of finishing."""
    config = await config_of(control_plane.kubeconfig)

    async with connected(config, call_timeout=timedelta(milliseconds=1)) as client:
        with pytest.raises((ServerTimeout, TransportError)) as caught:
            await client.create(config_map(namespace), field_owner=OWNER)

    # Where the answer had begun, it breaks the connection instead: the same to us.
    assert isinstance(caught.value, ServerTimeout) or caught.value.sent
