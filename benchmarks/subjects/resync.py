"""A resync: every object is told again although nothing changed, and reconciled to no effect."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import final

from benchmarks.cluster import PARCEL, configuration, quiet
from benchmarks.subjects.managers import Seen
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task
from smbpctl.runtime import Manager, ManagerOptions, builder
from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.runtime.gcpolicy import ProcessPolicy

PERIOD = timedelta(days=1)
"""How often to resync; see `Told`."""


@final
@dataclass(frozen=True, slots=True)
class Told:
    """A clock on which it takes as long to the resync as somebody says: else that of the loop."""

    resync: asyncio.Event = field(default_factory=asyncio.Event)
    _clock: LoopClock = field(default_factory=LoopClock)

    def monotonic(self) -> float:
        """Return the loop's time."""
        return self._clock.monotonic()

    def now(self) -> datetime:
        """Return the wall-clock time."""
        return self._clock.now()

    async def sleep(self, delay: timedelta) -> None:
        """Wait; for the resync until it is asked for."""
        if delay < PERIOD / 2:
            await self._clock.sleep(delay)
            return
        await self.resync.wait()
        self.resync.clear()

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Run `callback` after `delay`."""
        return self._clock.call_later(delay, callback)


def resyncing(task: Task, seen: Seen, clock: Told) -> Manager:
    """Return a manager with a controller of parcels that resyncs when the clock is told."""
    options = ManagerOptions(resync=PERIOD, process_policy=ProcessPolicy.OWN)
    manager = Manager.from_config(configuration(task.reach()), options=options, clock=clock)
    parcels = builder.controller("parcels").for_(PARCEL).with_options(workers=1)
    parcels.build(manager, builder.reconcile_function(seen.reconcile))
    return manager


async def resynced(task: Task, meter: Meter) -> Outcome:
    """Sync, then have everything told again and reconciled."""
    quiet()
    clock = Told()
    seen = Seen(task)
    async with resyncing(task, seen, clock) as manager, asyncio.TaskGroup() as tasks:
        tasks.create_task(manager.run())
        await seen.synced.wait()
        resynced = seen.after(task.amount)
        print("ready", flush=True)
        with meter:
            clock.resync.set()
            await resynced.wait()
        manager.stop()
    return Outcome(task.amount, extras={"reconciles": seen.count - task.amount})
