"""Tests of finalizers on a real server: how it answers the tests inside a JSON patch."""

import json
from collections.abc import AsyncIterator

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import Conflict, Invalid
from smbpctl.runtime.finalizer import add_finalizer, has_finalizer, remove_finalizer
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import HttpTransport, load_config

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
OWNER = "demo/web"
OURS = "example.dev/ours"
THEIRS = "example.dev/theirs"


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client of the administrator."""
    transport = HttpTransport(await load_config(control_plane.kubeconfig))
    yield Client(transport, Discovery(transport, clock=LoopClock()))
    await transport.close()


async def read(client: Client, namespace: str) -> Manifest:
    """The object all tests are about."""
    found = await client.get(CONFIG_MAP, ObjectKey(namespace, "a"))
    assert found is not None
    return found


def patch(control_plane: ControlPlane, namespace: str, finalizers: list[str] | None) -> None:
    """Set the finalizers as somebody else."""
    change = json.dumps({"metadata": {"finalizers": finalizers}})
    control_plane.kubectl("patch", "configmap", "a", "-n", namespace, "--type=merge", "-p", change)


async def test_a_finalizer_comes_and_goes(
    control_plane: ControlPlane, namespace: str, client: Client
) -> None:
    """Added to nothing and beside another; the object lives until the last one is removed."""
    control_plane.kubectl("create", "configmap", "a", "-n", namespace)
    first = await add_finalizer(client, await read(client, namespace), THEIRS, field_owner=OWNER)
    both = await add_finalizer(client, first, OURS, field_owner=OWNER)
    control_plane.kubectl("delete", "configmap", "a", "-n", namespace, "--wait=false")
    deleting = await read(client, namespace)

    one = await remove_finalizer(client, deleting, THEIRS, field_owner=OWNER)
    await remove_finalizer(client, one, OURS, field_owner=OWNER)
    again = await remove_finalizer(client, one, OURS, field_owner=OWNER)

    assert both["metadata"]["finalizers"] == [THEIRS, OURS]
    assert not has_finalizer(one, THEIRS)
    assert await client.get(CONFIG_MAP, ObjectKey(namespace, "a")) is None
    assert again is one


@pytest.mark.parametrize("before", [None, [THEIRS]])
async def test_a_list_that_changed_is_a_conflict(
    control_plane: ControlPlane, namespace: str, client: Client, before: list[str] | None
) -> None:
    """Somebody added or removed a finalizer since the read: theirs is neither lost nor revived."""
    control_plane.kubectl("create", "configmap", "a", "-n", namespace)
    patch(control_plane, namespace, before)
    stale = await read(client, namespace)
    patch(control_plane, namespace, None if before else [THEIRS])

    with pytest.raises(Conflict):
        await add_finalizer(client, stale, OURS, field_owner=OWNER)

    now = (await read(client, namespace))["metadata"].get("finalizers")
    assert now == (None if before else [THEIRS])


async def test_a_namesake_is_a_conflict(
    control_plane: ControlPlane, namespace: str, client: Client
) -> None:
    """The object that was read is gone and another has its name."""
    control_plane.kubectl("create", "configmap", "a", "-n", namespace)
    stale = await read(client, namespace)
    control_plane.kubectl("delete", "configmap", "a", "-n", namespace)
    control_plane.kubectl("create", "configmap", "a", "-n", namespace)

    with pytest.raises(Conflict):
        await add_finalizer(client, stale, OURS, field_owner=OWNER)

    assert not has_finalizer(await read(client, namespace), OURS)


async def test_a_deletion_that_began_since_the_read_refuses_by_name(
    control_plane: ControlPlane, namespace: str, client: Client
) -> None:
    """The server says that the field is forbidden: that is no conflict, and no silent success."""
    control_plane.kubectl("create", "configmap", "a", "-n", namespace)
    patch(control_plane, namespace, [THEIRS])
    stale = await read(client, namespace)
    control_plane.kubectl("delete", "configmap", "a", "-n", namespace, "--wait=false")

    with pytest.raises(Invalid, match="no new finalizers can be added"):
        await add_finalizer(client, stale, OURS, field_owner=OWNER)

    patch(control_plane, namespace, None)
