"""Kinds that come and go on a real API server, and what discovery tells of them."""

from datetime import timedelta

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import NoKindMatch, NotFound
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, gvk_of, key_of, uid_of
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.client.world import (
    BUDGET,
    CLUSTER_ROLE,
    CRD,
    DEPLOYMENT,
    OWNER,
    POD,
    config_map,
    config_of,
    crd,
    discovering,
    eventually,
    thing,
)


async def test_custom_kinds(client: Client, things: GroupVersionKind, namespace: str) -> None:
    """Applied like any other, with a status of its own and no other subresource."""
    spec = await client.apply(thing(things, namespace, spec={"x": "1"}), field_owner=OWNER)
    with_status = thing(things, namespace, status={"phase": "x"})

    status = await client.apply(with_status, field_owner=OWNER, subresource="status")
    with pytest.raises(NotFound):
        await client.apply(with_status, field_owner=OWNER, subresource="nothing")

    assert uid_of(spec) == uid_of(status)
    assert (status["spec"], status["status"]) == ({"x": "1"}, {"phase": "x"})


async def test_kinds_come_and_go(
    control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    """A kind is served soon after its CRD; once it is gone its objects are not merely absent."""
    group = f"{namespace}.example.org"
    gvk = GroupVersionKind(group, "v1", "Thing")
    optional = OptionalKind(group, "Thing", ("v2", "v1"))
    key = ObjectKey(namespace, "a")
    config = await config_of(control_plane.kubeconfig)

    async with discovering(config, min_refresh=timedelta(milliseconds=50)) as discovery:

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
        await client.create(crd(group), field_owner=OWNER)
        served = await eventually(lambda: discovery.served(optional))
        await eventually(absent)
        await client.delete(CRD, ObjectKey("", f"things.{group}"))
        await eventually(gone)
        await eventually(unserved)

    assert (before, served) == (None, gvk)


async def test_discovery_of_a_real_server(control_plane: ControlPlane) -> None:
    """One document for each root; subresources and scopes are as they are."""
    async with discovering(await config_of(control_plane.kubeconfig)) as discovery:
        pod = await discovery.resource(POD)
        role = await discovery.resource(CLUSTER_ROLE)
        version = await discovery.server_version()

    assert pod.namespaced
    assert {"eviction", "status", "log"} <= pod.subresources
    assert {"get", "list", "watch", "patch"} <= pod.verbs
    assert not role.namespaced
    assert version.startswith("v1.")


async def test_an_api_server_that_is_down_takes_no_other_with_it(
    control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    """Its kinds may exist, and that is said; all others are found, new ones included."""
    group = f"{namespace}.example.org"
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 10,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"name": "nowhere", "namespace": namespace},
        },
    }
    behind = GroupVersionKind(group, "v1", "Thing")
    await client.create(service, field_owner=OWNER)

    async with discovering(await config_of(control_plane.kubeconfig)) as discovery:

        async def named() -> bool | None:
            discovery.invalidate()
            with pytest.raises(NoKindMatch) as caught:
                await discovery.resource(behind)
            return "the server behind this group does not answer" in str(caught.value) or None

        await eventually(named)
        deployments = await discovery.resource(DEPLOYMENT)
        budgets = await discovery.resource(BUDGET)

    await client.delete(gvk_of(service), key_of(service))
    assert (deployments.plural, budgets.plural) == ("deployments", "poddisruptionbudgets")
    assert "scale" in deployments.subresources


async def test_a_kind_that_went_leaves_the_others_usable(
    client: Client, namespace: str, things: GroupVersionKind
) -> None:
    """What is known of it is dropped with the first 404; the client goes on."""
    await client.create(thing(things, namespace), field_owner=OWNER)
    await client.delete(CRD, ObjectKey("", f"things.{things.group}"))

    async def gone() -> bool | None:
        try:
            await client.list(things, namespace=namespace)
        except NoKindMatch:
            return True
        return None

    await eventually(gone)
    with pytest.raises(NoKindMatch):
        await client.apply(thing(things, namespace), field_owner=OWNER)
    stored = await client.apply(config_map(namespace, k="1"), field_owner=OWNER)

    assert stored["data"] == {"k": "1"}
