"""Keys through a queue: added in batches, each taken and given back."""

import asyncio

from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task
from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.metrics import Metrics, QueueMetrics
from smbpctl.runtime.workqueue import WorkQueue

_KEYS = [ObjectKey("default", f"key-{number}") for number in range(1000)]


async def ours(task: Task, meter: Meter) -> Outcome:
    """Use the work queue without metrics, which the queue of asyncio has none of either."""
    return await _through_ours(task, meter, None)


async def with_metrics(task: Task, meter: Meter) -> Outcome:
    """Use the work queue as a controller does: two histograms are fed for each key."""
    return await _through_ours(task, meter, Metrics().queue("benchmark"))


async def asyncios(task: Task, meter: Meter) -> Outcome:
    """Use `asyncio.Queue`, with `task_done` in the place of `done`."""
    queue: asyncio.Queue[ObjectKey] = asyncio.Queue()
    done = 0
    with meter:
        while done < task.amount:
            for key in _KEYS:
                queue.put_nowait(key)
            for _ in _KEYS:
                await queue.get()
                queue.task_done()
            done += len(_KEYS)
    return Outcome(done)


async def _through_ours(task: Task, meter: Meter, metrics: QueueMetrics | None) -> Outcome:
    backoff = ItemBackoff[ObjectKey](ExponentialBackoff(), system_random())
    queue = WorkQueue[ObjectKey]("benchmark", clock=LoopClock(), backoff=backoff, metrics=metrics)
    done = 0
    with meter:
        while done < task.amount:
            for key in _KEYS:
                queue.add(key)
            for _ in _KEYS:
                queue.done(await queue.get())
            done += len(_KEYS)
    return Outcome(done)
