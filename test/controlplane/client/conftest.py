"""A client to whom nothing is refused, and a kind that only one test knows."""

from collections.abc import AsyncIterator

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.client.world import CRD, OWNER, config_of, connected, crd, eventually


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client whom nothing is refused."""
    async with connected(await config_of(control_plane.kubeconfig)) as made:
        yield made


@pytest.fixture
async def things(client: Client, namespace: str) -> AsyncIterator[GroupVersionKind]:
    """A kind that no other test knows, as soon as it is served; removed afterwards."""
    group = f"{namespace}.example.org"
    gvk = GroupVersionKind(group, "v1", "Thing")
    await client.create(crd(group), field_owner=OWNER)

    async def listed() -> bool | None:
        return await client.list(gvk) == []

    await eventually(listed)

    yield gvk

    await client.delete(CRD, ObjectKey("", f"things.{group}"))
