"""Applies through our client, 16 in flight, each decoded as the caller gets it."""

import asyncio
from collections.abc import Iterator

from benchmarks.cluster import opened
from benchmarks.managed import AUTHOR
from benchmarks.parcel import parcel
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task
from smbpctl.runtime.cluster import Cluster

IN_FLIGHT = 16


async def ours(task: Task, meter: Meter) -> Outcome:
    """Apply objects, some at a time."""
    async with opened(task.reach()) as cluster:
        numbers = iter(range(task.amount))
        await _apply(cluster, iter([0]))  # opens a connection and discovers the kind
        with meter:
            await asyncio.gather(*(_apply(cluster, numbers) for _ in range(IN_FLIGHT)))
    return Outcome(task.amount)


async def _apply(cluster: Cluster, numbers: Iterator[int]) -> None:
    for number in numbers:
        await cluster.client.apply(parcel(number), field_owner=AUTHOR, force=True)
