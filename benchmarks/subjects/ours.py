"""The initial sync of our cache, in both forms, and with compression."""

import asyncio
from datetime import timedelta

from benchmarks.cluster import PARCEL, opened
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome
from smbpctl.runtime.informer import Form

_PATIENCE = timedelta(minutes=10)


async def full(task: Task, meter: Meter) -> Outcome:
    """Sync a cache that keeps whole objects."""
    return await _sync(task, meter, Form.FULL)


async def compressed(task: Task, meter: Meter) -> Outcome:
    """Sync a cache that keeps whole objects and has them sent with gzip."""
    return await _sync(task, meter, Form.FULL, compression=True)


async def metadata(task: Task, meter: Meter) -> Outcome:
    """Sync a cache that keeps metadata only."""
    return await _sync(task, meter, Form.METADATA)


async def _sync(task: Task, meter: Meter, form: Form, *, compression: bool = False) -> Outcome:
    async with opened(task.reach(), compression=compression) as cluster:
        cluster.cache.register(PARCEL, form=form)
        await cluster.discovery.resource(PARCEL)  # opens the connection too
        async with asyncio.TaskGroup() as tasks:
            with meter:
                running = tasks.create_task(cluster.cache.run())
                await cluster.cache.wait_synced(_PATIENCE)
            metas = [stored.meta for stored in cluster.cache.metas(PARCEL)]
            running.cancel()
    return outcome((meta.name, meta.resource_version) for meta in metas)
