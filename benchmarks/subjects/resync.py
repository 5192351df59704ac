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
from smbpctl.runtime import Manager, Phase, builder, handler
from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.runtime.informer import Informer
from smbpctl.runtime.source import KindSource

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


def resyncing(manager: Manager, seen: Seen, clock: Told) -> None:
    """Give the manager a controller of parcels whose informer resyncs when the clock is told."""
    informer = Informer(PARCEL, manager.client, clock=clock, random=manager.random, resync=PERIOD)
    manager.add(informer, Phase.OTHERS, name="parcels informer")
    source = KindSource(informer, handler.for_object(), kind=str(PARCEL))
    parcels = builder.controller("parcels").watches_source(source).with_options(workers=1)
    parcels.build(manager, builder.reconcile_function(seen.reconcile))


async def resynced(task: Task, meter: Meter) -> Outcome:
    """Sync, then have everything told again and reconciled."""
    quiet()
    clock = Told()
    async with Manager.from_config(configuration(task.reach())) as manager:
        seen = Seen(task)
        resyncing(manager, seen, clock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(manager.run())
            await seen.synced.wait()
            resynced = seen.after(task.amount)
            print("ready", flush=True)
            with meter:
                clock.resync.set()
                await resynced.wait()
            manager.stop()
    return Outcome(task.amount, extras={"reconciles": seen.count - task.amount})
