"""A whole manager of ours: cache, index, queue, and a controller with one worker that does nothing.

The same program serves the initial sync, updates, and the time until an event is reconciled.
"""

import asyncio
from dataclasses import replace
from typing import final

from benchmarks.cluster import PARCEL, configuration, quiet
from benchmarks.subjects.delays import SENT, now, percentiles
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome
from smbpctl.runtime import DONE, Form, Manager, ManagerOptions, Request, Result, builder
from smbpctl.runtime.gcpolicy import ProcessPolicy
from smbpctl.runtime.meta import ObjectKey


@final
class Seen:
    """A reconciler that counts.

    `synced` is set when it was called as often as there are objects, `done` when the last object
    came after that.
    """

    def __init__(self, task: Task) -> None:
        self.synced = asyncio.Event()
        self.done = asyncio.Event()
        self.count = 0
        self._awaited = (task.amount, self.synced)
        self._task = task

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Note one more; the last object is reconciled last because the queue keeps the order."""
        self.count += 1
        if self.count == self._awaited[0]:
            self._awaited[1].set()
        elif self.count > self._task.amount and request.key.name == self._task.last:
            self.done.set()
        return DONE

    def after(self, more: int) -> asyncio.Event:
        """Return what is set when it was called so many times more; once `synced` is."""
        self._awaited = (self.count + more, asyncio.Event())
        return self._awaited[1]


@final
class Timed:
    """A reconciler that measures how long ago the server sent the version it reads."""

    def __init__(self, seen: Seen, task: Task, manager: Manager) -> None:
        self.delays: list[int] = []
        self._seen = seen
        self._task = task
        self._manager = manager

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Look at the clock first: what it takes to read the object is not part of the delay."""
        moment = now()
        if self._seen.count >= self._task.amount:
            stored = self._manager.cache.meta(PARCEL, request.key)
            if stored is not None and stored.meta.labels is not None:
                self.delays.append(moment - int(stored.meta.labels[SENT]))
        return await self._seen.reconcile(request)


async def full(task: Task, meter: Meter) -> Outcome:
    """Keep whole objects."""
    return await _managed(task, meter, Form.FULL)


async def metadata(task: Task, meter: Meter) -> Outcome:
    """Keep metadata only."""
    return await _managed(task, meter, Form.METADATA)


async def _managed(task: Task, meter: Meter, form: Form) -> Outcome:
    quiet()
    seen = Seen(task)
    options = ManagerOptions(process_policy=ProcessPolicy.OWN)
    config = configuration(task.reach())
    async with Manager.from_config(config, options=options) as manager:
        timed = Timed(seen, task, manager) if task.stamped else None
        reconciler = builder.reconcile_function((timed or seen).reconcile)
        parcels = builder.controller("parcels").for_(PARCEL, form=form)
        parcels.with_options(workers=1).build(manager, reconciler)
        async with asyncio.TaskGroup() as tasks:
            if task.events:
                tasks.create_task(manager.run())
                await seen.synced.wait()
                result = await _updated(task, meter, seen, timed)
            else:
                result = await _synced(manager, meter, seen, tasks)
            manager.stop()
    return result


async def _synced(manager: Manager, meter: Meter, seen: Seen, tasks: asyncio.TaskGroup) -> Outcome:
    with meter:
        tasks.create_task(manager.run())
        await seen.synced.wait()
    stored = list(manager.cache.metas(PARCEL))
    found = outcome((each.meta.name, each.meta.resource_version) for each in stored)
    return replace(found, extras={"stored_bytes": sum(len(each.raw) for each in stored)})


async def _updated(task: Task, meter: Meter, seen: Seen, timed: Timed | None) -> Outcome:
    before = seen.count
    with meter:
        print("ready", flush=True)
        await seen.done.wait()
    extras: dict[str, float] = {"reconciles": seen.count - before}
    if timed is not None:
        extras |= percentiles(timed.delays)
    return Outcome(task.events, extras=extras)
