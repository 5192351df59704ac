"""Fills an API server with parcels, as two field managers would, and takes them away again."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, final

from benchmarks.access import Access
from benchmarks.cluster import PARCEL, opened
from benchmarks.errors import Refused
from benchmarks.managed import AUTHOR, CONTROLLER
from benchmarks.parcel import GROUP, NAMESPACE, PLURAL, crd, parcel, status
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.errors import AlreadyExists, NoKindMatch
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, gvk_of, key_of

WRITERS = 16
"""How many objects are written at the same time."""

_CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
_CRD_KEY = ObjectKey("", f"{PLURAL}.{GROUP}")
_ACCOUNT: tuple[Manifest, ...] = (
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": AUTHOR, "namespace": NAMESPACE},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": AUTHOR},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": AUTHOR, "namespace": NAMESPACE}],
    },
)
_POLL = timedelta(milliseconds=100)
_PATIENCE_SECONDS = 300


@final
@dataclass(frozen=True, slots=True)
class Filled:
    """What is there now, and what it took to add to what was there: two writes an object.

    `wire_bytes` is the mean size of an object in a list, `managed_bytes` the part of it that is
    managedFields. The CPU time is that of our client.
    """

    objects: int
    before: int
    wall_seconds: float
    cpu_seconds: float
    wire_bytes: float
    managed_bytes: float


async def install(access: Access) -> None:
    """Create the CRD and return when it is served.

    Raises `Refused` when it exists already: what it holds would be measured too.
    """
    async with opened(access) as cluster:
        try:
            await cluster.client.create(crd(), field_owner=AUTHOR)
        except AlreadyExists as error:
            raise Refused(f"CRD {_CRD_KEY} is left from another run; delete it first") from error
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await _served(cluster):
                await LoopClock().sleep(_POLL)


async def fill(access: Access, first: int, count: int) -> Filled:
    """Create parcels until there are `count`; a second field manager applies their status.

    `first` is how many there are already.
    """
    async with opened(access) as cluster:
        wall, cpu = time.perf_counter(), time.process_time()
        numbers = iter(range(first, count))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(_write(cluster, numbers))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        objects, wire, managed = await _sizes(cluster)
        return Filled(objects, first, wall, cpu, wire / objects, managed / objects)


async def token(access: Access) -> str:
    """Return a token of a service account to which nothing is refused, made when there is none."""
    async with opened(access) as cluster:
        for each in _ACCOUNT:
            await cluster.client.apply(each, field_owner=AUTHOR)
        answer = await cluster.client.post(
            f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{AUTHOR}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        )
    return str(answer["status"]["token"])


async def remove(access: Access) -> None:
    """Delete the CRD, and all parcels with it; return when it is gone."""
    async with opened(access) as cluster, asyncio.timeout(_PATIENCE_SECONDS):
        await cluster.client.delete(_CRD, _CRD_KEY)
        while await cluster.client.get(_CRD, _CRD_KEY) is not None:
            await LoopClock().sleep(_POLL)
        for each in _ACCOUNT:
            await cluster.client.delete(gvk_of(each), key_of(each))


async def _served(cluster: Cluster) -> bool:
    try:
        await cluster.discovery.resource(PARCEL)
    except NoKindMatch:
        cluster.discovery.invalidate()
        return False
    return True


async def _write(cluster: Cluster, numbers: Iterator[int]) -> None:
    for number in numbers:
        await cluster.client.create(parcel(number), field_owner=AUTHOR)
        await cluster.client.apply(
            status(number), field_owner=CONTROLLER, subresource="status", force=True
        )


async def _sizes(cluster: Cluster) -> tuple[int, int, int]:
    """Count objects and bytes; the list also warms the server up before anything is measured."""
    objects = wire = managed = 0
    async for body in cluster.client.list_pages(PARCEL):
        items: list[dict[str, Any]] = json.loads(body)["items"]
        objects += len(items)
        wire += len(body)
        managed += sum(len(_compact(each["metadata"]["managedFields"])) for each in items)
    return objects, wire, managed


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
