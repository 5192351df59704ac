"""The worker loop: takes a key, runs the reconciler, and turns the outcome into a requeue."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, cast, final

import structlog

from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.errors import (
    ApiStatusError,
    Conflict,
    Forbidden,
    IndexMissing,
    KindNotWatched,
    MetadataOnly,
    TerminalError,
    TooManyRequests,
)
from smbpctl.runtime.metrics import Outcome
from smbpctl.runtime.reconcile import K, Reconciler, Request, Result
from smbpctl.runtime.source import RequestQueue, Source
from smbpctl.runtime.workqueue import QueueShutDown

FORBIDDEN_RETRY = timedelta(seconds=30)
"""How long a key waits after the server refused it: permissions are granted by people."""

QUIET_CONFLICTS = 5
"""How many conflicts of one key in a row are normal; more mean that somebody else insists."""

# What Go would panic on: counted apart, because waiting does not mend code.
_PROGRAMMING_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError),
    *(IndexMissing, KindNotWatched, MetadataOnly),
)

_log = structlog.get_logger(__name__)


class ReconcileQueue(RequestQueue[K], Protocol[K]):
    """The queue as the worker loop uses it: satisfied by `WorkQueue[Request[K]]`."""

    def add_after(self, key: Request[K], delay: timedelta, /) -> None:
        """Have the request run after `delay`."""

    def add_rate_limited(self, key: Request[K], /) -> timedelta:
        """Count a failure, have the request run after the delay that follows, and return it."""
        ...

    def forget(self, key: Request[K], /) -> None:
        """Drop the failures counted so far."""

    def failures(self, key: Request[K], /) -> int:
        """Return the failures counted so far."""
        ...

    async def get(self) -> Request[K]:
        """Wait for a request and start its run; raise QueueShutDown when there will be none."""
        ...

    def done(self, key: Request[K], /) -> None:
        """End the run of the request."""

    def shut_down(self) -> None:
        """Hand out no more requests."""


class ReconcileMetrics(Protocol):
    """What the worker loop counts: satisfied by `metrics.ControllerMetrics`."""

    def max_concurrent(self, workers: int, /) -> None:
        """Tell how many keys may run at once."""

    def started(self) -> None:
        """Count a run that begins."""

    def finished(self, outcome: str, seconds: float, /) -> None:
        """Count a run that ended, and how."""

    def cancelled(self) -> None:
        """Take back `started` for a run that was cancelled."""


class ReconcileTimedOut(Exception):
    """A run did not end within the controller's `reconcile_timeout`; the cause shows where."""


class StrayCancellation(Exception):
    """Something the reconciler awaited was cancelled, though nobody cancelled the reconciler."""


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a key after one run.

    `forget` drops the failures counted so far. The key comes back after exactly `delay`, or with
    `rate_limited` after its own growing delay, else when an event says so. `level` is one of
    `logging`: what belongs to normal work is told at debug level only.
    """

    outcome: Outcome
    forget: bool = False
    delay: timedelta | None = None
    rate_limited: bool = False
    level: int = logging.ERROR


def judge_result(result: Result) -> Verdict:
    """Say what becomes of a key whose run came to its end."""
    outcome = Outcome.SUCCESS if result.requeue_after is None else Outcome.REQUEUE_AFTER
    return Verdict(outcome, forget=True, delay=result.requeue_after, level=logging.DEBUG)


def judge_error(error: Exception, failures: int) -> Verdict:
    """Say what becomes of a key whose run raised `error` after `failures` failures in a row.

    A delay that the server asked for is honoured whatever the error.
    """
    # "Retry-After: 0" asks for no delay; it must not switch ours off.
    retry_after = (error.retry_after or None) if isinstance(error, ApiStatusError) else None
    outcome, level = Outcome.ERROR, logging.ERROR
    match error:
        case TerminalError():
            return Verdict(Outcome.TERMINAL, forget=True)
        case Forbidden():
            return Verdict(outcome, delay=max(FORBIDDEN_RETRY, retry_after or FORBIDDEN_RETRY))
        case Conflict() if failures < QUIET_CONFLICTS:
            outcome, level = Outcome.REQUEUE, logging.DEBUG
        case TooManyRequests():
            level = logging.WARNING
        case ReconcileTimedOut():
            outcome = Outcome.TIMEOUT
        case _ if isinstance(error, _PROGRAMMING_ERRORS):
            outcome = Outcome.PANIC
        case _:
            pass
    return Verdict(outcome, delay=retry_after, rate_limited=retry_after is None, level=level)


def single_cause(error: Exception) -> Exception:
    """Return the one error inside nested groups of one, or `error` itself.

    A reconciler that uses a TaskGroup raises its `Conflict` wrapped; it stays a conflict.
    """
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return single_cause(group.exceptions[0]) if len(group.exceptions) == 1 else group


def cancelled_by_nobody() -> bool:
    """Tell, on a CancelledError, that nobody asked the current task to end.

    It then comes from something cancelled that was awaited. Let through, it would end the task
    without a word: a TaskGroup takes a cancelled child for one that was meant to be.
    """
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


@final
class Controller(Generic[K]):
    """Runs a reconciler for every key that its sources name; never twice at once for one key.

    `run` starts the sources, waits until they are synced, then works with `workers` tasks until
    it is cancelled or stopped. Outcomes are those of `judge_result` and `judge_error`; a run that
    lasts longer than `reconcile_timeout` is cancelled and retried like an error. An error of the
    reconciler never ends the controller. Every log line of a run carries the controller's name,
    the key and the run's own `reconcile_id`.
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
        workers: int = 10,
        reconcile_timeout: timedelta | None = None,
        cache_sync_timeout: timedelta = timedelta(minutes=2),
    ) -> None:
        """Make a controller that does nothing yet; raise ValueError for senseless numbers."""
        if workers < 1:
            raise ValueError(f"controller {name} needs at least one worker, not {workers}")
        if reconcile_timeout is not None and reconcile_timeout <= timedelta(0):
            raise ValueError(f"reconcile_timeout must be positive, not {reconcile_timeout}")
        self.name = name
        self.workers = workers
        self._reconciler = reconciler
        self._sources = tuple(sources)
        self._queue = queue
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._reconcile_timeout = reconcile_timeout
        self._cache_sync_timeout = cache_sync_timeout
        self._started = False
        self._stopping = False
        self._running: set[Request[K]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Work until cancelled, or until what runs at the time of `stop` has ended.

        Raises CacheNotSynced when a source is not synced in time, RuntimeError when run twice.
        """
        if self._started:
            raise RuntimeError(f"controller {self.name} was run already")
        self._started = True
        self._metrics.max_concurrent(self.workers)
        try:
            if not self._stopping:
                await self._start_sources()
            _log.info("controller started", controller=self.name, workers=self.workers)
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            self._queue.shut_down()

    async def stop(self, grace: timedelta) -> None:
        """Start no more keys, and return when those that run have ended.

        Raises TimeoutError that names them when they take longer than `grace`; they still run.
        """
        self._stopping = True
        self._queue.shut_down()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            keys = ", ".join(sorted(map(str, self._running)))
            raise TimeoutError(f"controller {self.name} still reconciles {keys}") from None

    async def _start_sources(self) -> None:
        for source in self._sources:
            source.start(self._queue)
        cause = None
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(source.wait_synced(self._cache_sync_timeout))
        except ExceptionGroup as failures:
            cause = single_cause(failures)
        # Not inside the handler: there `raise` would replace the cause that the error has.
        if cause is not None:
            raise cause

    async def _work(self) -> None:
        while True:
            try:
                request = await self._queue.get()
            except QueueShutDown:
                return
            self._running.add(request)
            self._idle.clear()
            try:
                await self._run_one(request)
            finally:
                self._queue.done(request)
                self._running.discard(request)
                if not self._running:
                    self._idle.set()

    async def _run_one(self, request: Request[K]) -> None:
        with structlog.contextvars.bound_contextvars(
            controller=self.name,
            key=str(request),
            reconcile_id=f"{self._random.getrandbits(64):016x}",
        ):
            started = self._clock.monotonic()
            self._metrics.started()
            error = None
            try:
                verdict = judge_result(await self._reconcile(request))
            except asyncio.CancelledError:
                self._metrics.cancelled()
                raise
            except Exception as raised:
                error = single_cause(raised)
                verdict = judge_error(error, self._queue.failures(request))
            seconds = self._clock.monotonic() - started
            self._metrics.finished(verdict.outcome.value, seconds)
            _report(verdict, error, seconds=seconds, delay=self._requeue(request, verdict))

    async def _reconcile(self, request: Request[K]) -> Result:
        limit = self._reconcile_timeout
        deadline = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            async with deadline:
                result = cast("object", await self._reconciler.reconcile(request))
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the reconciler's own
            raise ReconcileTimedOut(f"{request} took longer than {limit}") from error
        except asyncio.CancelledError as error:
            if not cancelled_by_nobody():
                raise
            raise StrayCancellation(f"{request} awaited something cancelled") from error
        if not isinstance(result, Result):
            raise TypeError(f"the reconciler returned {result!r} for {request}, not a Result")
        return result

    def _requeue(self, request: Request[K], verdict: Verdict) -> timedelta | None:
        if verdict.forget:
            self._queue.forget(request)
        if verdict.rate_limited:
            return self._queue.add_rate_limited(request)
        if verdict.delay is not None:
            self._queue.add_after(request, verdict.delay)
        return verdict.delay


def _report(
    verdict: Verdict, error: Exception | None, *, seconds: float, delay: timedelta | None
) -> None:
    facts = {
        "outcome": verdict.outcome.value,
        "seconds": round(seconds, 6),
        "retry_in": None if delay is None else delay.total_seconds(),
    }
    if error is None:
        _log.debug("reconciled", **facts)
        return
    # What was raised on purpose tells all in its message; elsewhere the place matters.
    trace = verdict.level >= logging.ERROR and verdict.outcome is not Outcome.TERMINAL
    _log.log(
        verdict.level,
        "reconcile failed",
        error=str(error),
        error_type=type(error).__name__,
        exc_info=error if trace else None,
        **facts,
    )
