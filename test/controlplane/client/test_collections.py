"""Lists and deletions of many objects on a real API server."""

import asyncio
import json

import pytest

from smbpctl.runtime.client import Client, Propagation
from smbpctl.runtime.errors import BadRequest, ServerTimeout
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    ObjectKey,
    fields_equal,
    key_of,
    labels_equal,
    labels_exist,
)
from test.controlplane.client.world import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    EVERYTHING,
    OWNER,
    POD,
    config_map,
    deployment,
    eventually,
    pod,
    thing,
)

REPLICA_SET = GroupVersionKind("apps", "v1", "ReplicaSet")


async def _make(client: Client, namespace: str, *names: str, **labels: str) -> None:
    for name in names:
        manifest = config_map(namespace, name)
        manifest["metadata"]["labels"] = labels
        await client.create(manifest, field_owner=OWNER)


async def _names(client: Client, gvk: GroupVersionKind, namespace: str) -> list[str]:
    selector = labels_exist("kept")
    found = await client.list(gvk, namespace=namespace, selector=selector)
    return [key_of(each).name for each in found]


class TestList:
    """Lists and their pages."""

    async def test_more_objects_than_a_page_holds(self, client: Client, namespace: str) -> None:
        """520 objects come in two pages, as objects with their kind or as metadata."""
        slots = asyncio.Semaphore(20)

        async def make(number: int) -> None:
            manifest = config_map(namespace, f"page-{number:03}")
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

    async def test_by_fields(self, client: Client, namespace: str) -> None:
        """Of all namespaces too; a field the kind does not know is refused."""
        name = f"only-{namespace}"
        await _make(client, namespace, name, "other")

        found = await client.list(CONFIG_MAP, fields=fields_equal({"metadata.name": name}))
        with pytest.raises(BadRequest, match="not a known field selector"):
            await client.list(CONFIG_MAP, fields=fields_equal({"data.k": "v"}))

        assert [key_of(each) for each in found] == [ObjectKey(namespace, name)]

    async def test_of_a_moment_that_lies_ahead(self, client: Client) -> None:
        """Given up after some seconds, with the delay after which to ask again."""
        pages = client.list_pages(CONFIG_MAP, resource_version="999999999999")

        with pytest.raises(ServerTimeout, match="Too large resource version") as caught:
            await anext(pages)

        assert caught.value.retry_after is not None

    @pytest.mark.parametrize("version", ["-5", "9" * 30, "abc"])
    async def test_of_a_moment_that_is_none(self, client: Client, version: str) -> None:
        """Refused."""
        pages = client.list_pages(CONFIG_MAP, resource_version=version)

        with pytest.raises(BadRequest, match="list ConfigMap: invalid resource version"):
            await anext(pages)


class TestDeleteCollection:
    """Deletions of all that is selected."""

    async def test_takes_what_is_selected_and_nothing_else(
        self, client: Client, namespace: str
    ) -> None:
        """By labels and fields, in one namespace."""
        await _make(client, namespace, "a", "b", kept="", app="x")
        await _make(client, namespace, "c", kept="", app="y")

        asked = await client.delete_collection(
            CONFIG_MAP,
            namespace=namespace,
            selector=labels_equal({"app": "x"}),
            fields=fields_equal({"metadata.name": "b"}),
        )

        assert [(each["kind"], key_of(each).name) for each in asked] == [("ConfigMap", "b")]
        assert await _names(client, CONFIG_MAP, namespace) == ["a", "c"]

    async def test_of_everything_spares_other_namespaces(
        self, client: Client, namespace: str
    ) -> None:
        """Every object of this one is gone."""
        elsewhere = await client.list(CONFIG_MAP, namespace="kube-system")
        await _make(client, namespace, "a", "b", kept="")

        await client.delete_collection(CONFIG_MAP, namespace=namespace, selector=EVERYTHING)

        assert await _names(client, CONFIG_MAP, namespace) == []
        assert elsewhere
        assert await client.list(CONFIG_MAP, namespace="kube-system") == elsewhere

    async def test_of_custom_resources(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """Like of any other kind; one with finalizers stays, marked as deleted."""
        held = thing(things, namespace, "held")
        held["metadata"]["finalizers"] = ["smbpctl.dev/test"]
        await client.create(held, field_owner=OWNER)
        await client.create(thing(things, namespace, "free"), field_owner=OWNER)

        asked = await client.delete_collection(things, namespace=namespace, selector=EVERYTHING)
        (left,) = await client.list(things, namespace=namespace)
        await client.patch_merge(
            things, key_of(left), {"metadata": {"finalizers": None}}, field_owner=OWNER
        )

        assert [key_of(each).name for each in asked] == ["free", "held"]
        assert key_of(left).name == "held"
        assert left["metadata"]["deletionTimestamp"]
        assert await client.list(things, namespace=namespace) == []

    async def test_of_a_kind_without_namespaces(self, client: Client, namespace: str) -> None:
        """By its labels, which no other has."""
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": namespace, "labels": {"test": namespace}},
        }
        await client.create(role, field_owner=OWNER)

        asked = await client.delete_collection(
            CLUSTER_ROLE, namespace="", selector=labels_equal({"test": namespace})
        )

        assert [key_of(each) for each in asked] == [ObjectKey("", namespace)]
        assert await client.get(CLUSTER_ROLE, ObjectKey("", namespace)) is None
        assert await client.get(CLUSTER_ROLE, ObjectKey("", "cluster-admin")) is not None

    async def test_never_reaches_wider_than_its_namespace(
        self, client: Client, namespace: str
    ) -> None:
        """Neither by leaving the namespace out nor by naming one for a kind that has none."""
        await _make(client, namespace, "a", kept="")

        with pytest.raises(ValueError, match="name the namespace"):
            await client.delete_collection(CONFIG_MAP, namespace="", selector=EVERYTHING)
        with pytest.raises(ValueError, match="has no namespaces"):
            await client.delete_collection(CLUSTER_ROLE, namespace=namespace, selector=EVERYTHING)

        assert await _names(client, CONFIG_MAP, namespace) == ["a"]
        assert await client.get(CLUSTER_ROLE, ObjectKey("", "cluster-admin")) is not None

    async def test_a_dry_run_deletes_nothing(self, client: Client, namespace: str) -> None:
        """And tells what would be deleted."""
        await _make(client, namespace, "a", "b", kept="")

        asked = await client.delete_collection(
            CONFIG_MAP, namespace=namespace, selector=labels_exist("kept"), dry_run=True
        )

        assert [key_of(each).name for each in asked] == ["a", "b"]
        assert await _names(client, CONFIG_MAP, namespace) == ["a", "b"]

    async def test_with_the_options_of_a_deletion(self, client: Client, namespace: str) -> None:
        """No grace for pods; orphans keep what they had."""
        created = await client.create(deployment(namespace, 1), field_owner=OWNER)
        await client.create(pod(namespace, "alone"), field_owner=OWNER)
        owned = await _owned(client, namespace)

        await client.delete_collection(
            DEPLOYMENT,
            namespace=namespace,
            selector=EVERYTHING,
            propagation=Propagation.ORPHAN,
        )

        async def gone() -> bool | None:
            return True if await client.get(DEPLOYMENT, key_of(created)) is None else None

        await eventually(gone)
        await client.delete_collection(
            POD,
            namespace=namespace,
            selector=labels_equal({"app": "alone"}),
            grace_period=None,
        )

        (left,) = await client.list(REPLICA_SET, namespace=namespace)
        assert key_of(left) == owned
        assert "ownerReferences" not in left["metadata"]
        assert await client.get(POD, ObjectKey(namespace, "alone")) is None


async def _owned(client: Client, namespace: str) -> ObjectKey:
    """Return the replica set of the deployment, as soon as there is one."""

    async def found() -> ObjectKey | None:
        listed = await client.list(REPLICA_SET, namespace=namespace)
        return key_of(listed[0]) if listed else None

    return await eventually(found)
