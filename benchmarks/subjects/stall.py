"""How long the event loop is kept from others, with many objects cached, whatever goes on."""

import asyncio

from benchmarks.cluster import quiet
from benchmarks.subjects.managers import Seen
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task
from benchmarks.subjects.probe import probing
from benchmarks.subjects.resync import Told, resyncing

_CALM_SECONDS = 1.0


async def stalled(task: Task, meter: Meter) -> Outcome:
    """Sync, take events, list everything anew, resync, and do nothing: the worst of each."""
    quiet()
    seen, clock = Seen(task), Told()
    async with (
        resyncing(task, seen, clock) as manager,
        asyncio.TaskGroup() as tasks,
    ):
        with meter:
            async with probing("sync") as probe:
                tasks.create_task(manager.run())
                await seen.synced.wait()
                probe.during("events")
                print("ready", flush=True)
                await _last(seen)
                probe.during("relist")
                await _last(seen)
                probe.during("resync")
                resynced = seen.after(task.amount)
                clock.resync.set()
                await resynced.wait()
                probe.during("calm")
                await asyncio.sleep(_CALM_SECONDS)
        manager.stop()
    worst = {f"stall_{doing}_ms": seconds * 1e3 for doing, seconds in probe.worst.items()}
    return Outcome(task.amount, extras={**worst, "stall_ms": max(worst.values())})


async def _last(seen: Seen) -> None:
    await seen.done.wait()
    seen.done.clear()
