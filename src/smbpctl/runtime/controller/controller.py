"""The life of a controller: sources first, then workers, until it is stopped or cancelled."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeAlias, final

import structlog

from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.controller.awaiting import awaiting
from smbpctl.runtime.controller.failures import single_cause
from smbpctl.runtime.controller.options import ControllerOptions
from smbpctl.runtime.controller.protocols import (
    Gate,
    ReconcileMetrics,
    ReconcileQueue,
    RunListener,
)
from smbpctl.runtime.controller.watchdog import Look, StuckPolicy, Watchdog
from smbpctl.runtime.controller.worker import Worker
from smbpctl.runtime.reconcile import K, Reconciler, Request
from smbpctl.runtime.source import Source
from smbpctl.runtime.workqueue import QueueShutDown

_log = structlog.get_logger(__name__)


_Running: TypeAlias = tuple[float, asyncio.Task[Any]]
"""Since when a key runs, and in which task."""


@final
class Controller(Generic[K]):
    """Runs a reconciler for every key that its sources name; never twice at once for one key.

    `run` starts the sources, waits until they are synced, then works with `options.workers` tasks
    until it is cancelled or stopped; `warm_up` does the first part ahead of time, so that a
    standby has a full queue when it is elected. Outcomes are those of `judge_result` and
    `judge_error`. An error of the reconciler never ends the controller. Every log line of a run
    carries the controller's name, the key and the run's own `reconcile_id`.

    With a `gate` the next run of a key sees what its last run wrote, and keys that repeat their
    own work are slowed down. A `listener` is told of every run.

    After `run` was cancelled it may be called again: what was running is owed a run, and the
    queue went on filling.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler[K],
        *,
        sources: Sequence[Source[K]],
        queue: ReconcileQueue[K],
        clock: Clock,
        random: Random,
        metrics: ReconcileMetrics,
        options: ControllerOptions | None = None,
        gate: Gate[Any] | None = None,
        listener: RunListener[K] | None = None,
    ) -> None:
        """Make a controller that does nothing yet."""
        self.name = name
        self.options: ControllerOptions = options or ControllerOptions()
        self._sources = list(sources)
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._listener = listener
        self._worker = Worker(
            name,
            reconciler,
            queue=queue,
            clock=clock,
            random=random,
            metrics=metrics,
            options=self.options,
            gate=gate,
            listener=listener,
        )
        stuck = self.options.stuck
        self._watchdog: Watchdog[Request[K]] | None = stuck and Watchdog(stuck)
        self._warming = False
        self._active = False
        self._stopping = False
        self._running: dict[Request[K], _Running] = {}
        self._idle = asyncio.Event()
        self._busy = asyncio.Event()
        self._busy_since = 0.0

    @property
    def reconciler(self) -> Reconciler[K]:
        """Return what is run for each key."""
        return self._worker.reconciler

    @property
    def repeatable(self) -> bool:
        """Tell whether `run` may be called again once it was cancelled and has ended."""
        return not self._stopping

    async def add_source(self, source: Source[K]) -> None:
        """Have `source` wake keys too, from now on or with the others; return when it is synced.

        Before `warm_up` or `run` it is only noted. Raises CacheNotSynced when it is not synced in
        time; what it told until then is queued all the same.
        """
        self._sources.append(source)
        if self._warming:
            source.start(self._queue)
            await source.wait_synced(self.options.cache_sync_timeout)

    async def warm_up(self) -> None:
        """Start the sources and return when they are synced; the queue fills meanwhile.

        Raises CacheNotSynced when a source is not synced in time, RuntimeError when the sources
        were started before.
        """
        if self._warming:
            raise RuntimeError(f"controller {self.name} was warmed up already")
        self._warming = True
        self._metrics.max_concurrent(self.options.workers)
        for source in self._sources:
            source.start(self._queue)
        await self._until_synced()

    async def run(self) -> None:
        """Work until cancelled, or until what runs at the time of `stop` has ended.

        Raises CacheNotSynced when a source is not synced in time, RuntimeError when it runs or
        has ended otherwise than by cancellation.
        """
        if self._active:
            raise RuntimeError(f"controller {self.name} was run already")
        self._active = True
        try:
            if not self._stopping:
                await (self._until_synced() if self._warming else self.warm_up())
            _log.info("controller started", controller=self.name, workers=self.options.workers)
            await self._work_and_watch()
        except asyncio.CancelledError:
            self._active = False
            raise
        except BaseException:
            self._queue.shut_down()
            raise

    async def stop(self, grace: timedelta) -> None:
        """Start no more keys, and return when those that run have ended.

        Raises TimeoutError that names them when they take longer than `grace`; they still run.
        """
        self._stopping = True
        self._queue.shut_down()
        if not self._running:
            return
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            keys = ", ".join(sorted(map(str, self._running)))
            raise TimeoutError(f"controller {self.name} still reconciles {keys}") from None

    async def _until_synced(self) -> None:
        cause = None
        try:
            async with asyncio.TaskGroup() as group:
                for source in tuple(self._sources):
                    group.create_task(source.wait_synced(self.options.cache_sync_timeout))
        except ExceptionGroup as failures:
            cause = single_cause(failures)
        # Not inside the handler: there `raise` would replace the cause that the error has.
        if cause is not None:
            raise cause

    async def _work_and_watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            watch = None
            if self._watchdog is not None and self.options.stuck is not None:
                watch = group.create_task(self._watch(self._watchdog, self.options.stuck))
            async with asyncio.TaskGroup() as workers:
                for _ in range(self.options.workers):
                    workers.create_task(self._work())
            if watch is not None:
                watch.cancel()

    async def _work(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker is a task")
        self._worker.begin()
        ended = self._watchdog.ended if self._watchdog is not None else None
        while True:
            try:
                request = await self._queue.get()
            except QueueShutDown:
                return
            since = self._clock.monotonic()
            self._running[request] = since, task
            if not self._busy.is_set():
                self._busy_since = since
                self._busy.set()
            try:
                seconds = await self._worker.run(request, since)
                if ended is not None:
                    ended(seconds)
            finally:
                self._queue.done(request)
                del self._running[request]
                if self._stopping and not self._running:
                    self._idle.set()

    async def _watch(self, watchdog: Watchdog[Request[K]], policy: StuckPolicy) -> None:
        """Look at what runs now and then; costs nothing while nothing runs."""
        try:
            while True:
                if not self._running:
                    self._metrics.stuck(0)
                    self._busy.clear()
                    await self._busy.wait()
                    # Woken later than that, the loop was blocked by the very first run.
                    watchdog.due(self._busy_since)
                now = self._clock.monotonic()
                running = {request: since for request, (since, _) in self._running.items()}
                self._tell(watchdog.look(running, now))
                watchdog.due(now + policy.every.total_seconds())
                await self._clock.sleep(policy.every)
        finally:
            self._metrics.stuck(0)

    def _tell(self, look: Look[Request[K]]) -> None:
        self._metrics.stuck(look.stuck)
        if look.blocked:
            _log.warning(
                "event loop was blocked", controller=self.name, seconds=round(look.blocked, 3)
            )
        for run in look.told:
            frames = awaiting(self._running[run.key][1])
            _log.warning(
                "reconcile stuck",
                controller=self.name,
                key=str(run.key),
                seconds=round(run.seconds, 3),
                stage=run.stage,
                awaiting=frames,
            )
            self._worker.stuck(run.key, run.seconds, frames)
