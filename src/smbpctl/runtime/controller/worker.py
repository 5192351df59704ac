"""One run of the reconciler, and everything that follows from how it ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from datetime import timedelta
from itertools import count
from typing import Any, Final, Generic, final

import structlog

from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.controller.failures import (
    ReconcileTimedOut,
    StrayCancellation,
    cancelled_by_nobody,
    single_cause,
)
from smbpctl.runtime.controller.hotloop import HotLoopGuard
from smbpctl.runtime.controller.options import ControllerOptions
from smbpctl.runtime.controller.protocols import (
    Gate,
    ReconcileMetrics,
    ReconcileQueue,
    RunListener,
    RunRecord,
    RunReport,
)
from smbpctl.runtime.controller.verdicts import Verdict, judge_error, judge_result
from smbpctl.runtime.event import Cause, Told, Trigger
from smbpctl.runtime.metrics import ErrorClass
from smbpctl.runtime.reconcile import K, Reconciler, Request, Result

_RETRY: Final = Cause(Trigger.RETRY)
_REQUEUE: Final = Cause(Trigger.REQUEUE)

_log = structlog.get_logger(__name__)


@final
class _Causes:
    """Causes as they are logged; put into words only where somebody looks."""

    __slots__ = ("_told",)

    def __init__(self, told: Sequence[Told]) -> None:
        self._told = told

    def __repr__(self) -> str:
        return ", ".join(str(cause) for _, cause in self._told)


@final
class Worker(Generic[K]):
    """Runs the reconciler for one request after the other, on behalf of a controller.

    Between the queue's `get` and `done` of a request, `run` is called once. It never raises
    because of the reconciler; cancellation passes through, and leaves the request owed a run.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler[K],
        *,
        queue: ReconcileQueue[K],
        clock: Clock,
        random: Random,
        metrics: ReconcileMetrics,
        options: ControllerOptions,
        gate: Gate[Any] | None = None,
        listener: RunListener[K] | None = None,
    ) -> None:
        self.reconciler: Reconciler[K] = reconciler
        self._name = name
        self._queue = queue
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._timeout = options.reconcile_timeout
        self._attempt: Callable[[Request[K]], Awaitable[object]] = (
            reconciler.reconcile if self._timeout is None else self._bounded
        )
        self._gate = gate
        self._listener = listener
        self._guard: HotLoopGuard[Request[K]] | None = None
        # Without a record there is nothing to compare.
        if options.hot_loops is not None and gate is not None:
            self._guard = HotLoopGuard(options.hot_loops)
        self._conflicts: dict[Request[K], int] = {}
        self._log: Any = _log
        self._details = True
        # Tells the runs of one controller from all others, for a third of what an id each costs.
        self._series = f"{random.getrandbits(32):08x}"
        self._numbers = count()

    def begin(self) -> None:
        """Take the logging of the process as it is now: to ask for it at each run costs more.

        Called in the task that will call `run`: its log lines carry the controller's name.
        """
        self._log = _log.bind()
        enabled = getattr(self._log, "is_enabled_for", None)
        self._details = enabled is None or bool(enabled(logging.DEBUG))
        structlog.contextvars.bind_contextvars(controller=self._name)
        self._key, self._run_id = _bound("key"), _bound("reconcile_id")

    async def run(self, request: Request[K], began: float) -> float:
        """Run the reconciler once; return how many seconds passed since `began`."""
        run_id = f"{self._series}-{next(self._numbers)}"
        # Not taken back at the end: the task is the worker's own, and its next run sets others.
        self._key.set(str(request))
        self._run_id.set(run_id)
        if self._listener is not None:
            _told(self._listener.started, request, self._queue.causes(request), run_id)
        self._metrics.started()
        error: Exception | None = None
        try:
            verdict = judge_result(await self._recorded(request))
            if self._conflicts:
                self._conflicts.pop(request, None)
        except asyncio.CancelledError as cancelled:
            if not cancelled_by_nobody():
                self._cancelled(request)
                raise
            stray = StrayCancellation(f"{request} awaited something cancelled")
            stray.__cause__ = cancelled
            error, verdict = stray, self._judge(request, stray)
        except Exception as raised:
            cause = single_cause(raised)
            error, verdict = cause, self._judge(request, cause)
        seconds = self._clock.monotonic() - began
        self._metrics.finished(verdict.outcome, seconds)
        if verdict.error_class is not None:
            self._metrics.failed(verdict.error_class.value)
        delay = self._requeue(request, verdict)
        if self._listener is not None:
            report = RunReport(verdict.outcome, seconds, delay, error, verdict.error_class)
            _told(self._listener.finished, request, report)
        if error is not None or self._details:
            facts = {
                "outcome": verdict.outcome.value,
                "seconds": seconds,
                "retry_in": None if delay is None else delay.total_seconds(),
                "causes": _Causes(self._queue.causes(request)),
            }
            self._log_end(verdict, error, facts)
        return seconds

    def stuck(self, request: Request[K], seconds: float, frames: Sequence[str]) -> None:
        """Tell the listener of a run that lasts too long."""
        if self._listener is not None:
            _told(self._listener.stuck, request, seconds, frames)

    async def _recorded(self, request: Request[K]) -> Result:
        """Run the reconciler; see that the next run of the key sees what this one wrote."""
        record: RunRecord | None = None
        if self._gate is None:
            result = await self._attempt(request)
        else:
            try:
                with self._gate.recorded() as record:
                    result = await self._attempt(request)
            finally:
                if record is not None and (wait := self._gate.wait(record)) is not None:
                    wait.when_over(self._hold(request))
        if not isinstance(result, Result):
            raise TypeError(f"the reconciler returned {result!r} for {request}, not a Result")
        if self._guard is not None and record is not None:
            self._look_for_loop(self._guard, request, record)
        return result

    async def _bounded(self, request: Request[K]) -> object:
        limit = self._timeout
        deadline = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            async with deadline:
                return await self.reconciler.reconcile(request)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the reconciler's own
            raise ReconcileTimedOut(f"{request} took longer than {limit}") from error

    def _hold(self, request: Request[K]) -> Callable[[], None]:
        """Hold the request; return what lets it go, once however often it is called."""
        self._queue.hold(request)
        held = [request]

        def unhold() -> None:
            if held:
                self._queue.unhold(held.pop())

        return unhold

    def _look_for_loop(
        self, guard: HotLoopGuard[Request[K]], request: Request[K], record: RunRecord
    ) -> None:
        written = record.write_digest
        if not written:
            guard.wrote_nothing(request)
            return
        loop = guard.wrote(request, record.input_digest, written, self._clock.monotonic())
        if loop is None:
            return
        self._clock.call_later(loop.delay, self._hold(request))
        if loop.first:
            self._metrics.hot_loop()
            _log.warning("reconcile loop found", runs=loop.count, delay=loop.delay.total_seconds())
        if self._listener is not None:
            _told(self._listener.hot_loop, request, loop.count, loop.delay)

    def _judge(self, request: Request[K], error: Exception) -> Verdict:
        conflicts = self._conflicts.pop(request, 0)
        verdict = judge_error(error, conflicts)
        if verdict.error_class is ErrorClass.CONFLICT:
            self._conflicts[request] = conflicts + 1
        return verdict

    def _log_end(
        self, verdict: Verdict, error: Exception | None, facts: Mapping[str, object]
    ) -> None:
        if error is None:
            self._log.debug("reconciled", **facts)
            return
        self._log.log(
            verdict.level,
            "reconcile failed",
            error=str(error),
            error_type=type(error).__name__,
            error_class=verdict.error_class and verdict.error_class.value,
            exc_info=error if verdict.trace else None,
            **facts,
        )

    def _cancelled(self, request: Request[K]) -> None:
        """Have the interrupted request run again if the controller does."""
        self._metrics.cancelled()
        self._queue.add(request, priority=self._queue.priority(request), cause=_RETRY)
        if self._listener is not None:
            _told(self._listener.cancelled, request)

    def _requeue(self, request: Request[K], verdict: Verdict) -> timedelta | None:
        queue = self._queue
        if verdict.forget:
            queue.forget(request)
        if not verdict.rate_limited and verdict.delay is None:
            return None
        priority = queue.priority(request) if verdict.priority is None else verdict.priority
        if verdict.rate_limited:
            return queue.add_rate_limited(request, priority=priority, cause=_RETRY)
        if verdict.delay is not None:
            cause = _REQUEUE if verdict.error_class is None else _RETRY
            queue.add_after(request, verdict.delay, priority=priority, cause=cause)
        return verdict.delay


def _bound(name: str) -> ContextVar[Any]:
    """Bind a word of all log lines in this task; return the variable, for values to follow.

    It costs a tenth to set than to bind again.
    """
    mark = object()
    structlog.contextvars.bind_contextvars(**{name: mark})
    return next(variable for variable, value in copy_context().items() if value is mark)


def _told(listen: Callable[..., None], *facts: object) -> None:
    """Tell a listener; what it raises is its own affair."""
    try:
        listen(*facts)
    except Exception:
        _log.exception("listener failed")
