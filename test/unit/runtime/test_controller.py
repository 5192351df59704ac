"""The worker loop: every outcome becomes the requeue, the count and the log line it should."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.controller import (
    FORBIDDEN_RETRY,
    QUIET_CONFLICTS,
    Controller,
    ReconcileTimedOut,
    Verdict,
    judge_error,
    judge_result,
    single_cause,
)
from smbpctl.runtime.errors import (
    ApiStatusError,
    CacheNotSynced,
    Conflict,
    Forbidden,
    Invalid,
    KindNotWatched,
    NotFound,
    ServerError,
    TerminalError,
    TooManyRequests,
    TransportError,
)
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.metrics import Outcome
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.source import RequestQueue, Source
from smbpctl.runtime.workqueue import WorkQueue
from test.support.virtual_time import run_virtual

A = Request(ObjectKey("ns", "a"))
B = Request(ObjectKey("ns", "b"))
CLOCK = LoopClock()
# Without chance the delays of failures are exactly 1, 2, 4 … seconds.
POLICY = ExponentialBackoff(base=timedelta(seconds=1), jitter=0.0)

Step = Result | Exception | Callable[[Request], Awaitable[Result]]


def seconds(number: float) -> timedelta:
    """Return a time span."""
    return timedelta(seconds=number)


class Script:
    """A reconciler that does one step per run, the last one for ever; notes when it began."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.runs: list[tuple[str, float]] = []

    async def reconcile(self, request: Request) -> Result:
        """Do the step of this run."""
        step = self.steps[min(len(self.runs), len(self.steps) - 1)]
        self.runs.append((request.key.name, CLOCK.monotonic()))
        if isinstance(step, Result):
            return step
        if isinstance(step, Exception):
            raise step
        return await step(request)

    @property
    def moments(self) -> list[float]:
        """Return when the runs began, counted from the first one."""
        return [round(at - self.runs[0][1], 3) for _, at in self.runs]


@dataclass
class RecordedMetrics:
    """Notes what the controller counts."""

    workers: int = 0
    active: int = 0
    outcomes: list[str] = field(default_factory=list[str])
    durations: list[float] = field(default_factory=list[float])

    def max_concurrent(self, workers: int) -> None:
        """Note it."""
        self.workers = workers

    def started(self) -> None:
        """Note it."""
        self.active += 1

    def finished(self, outcome: str, seconds: float) -> None:
        """Note it."""
        self.active -= 1
        self.outcomes.append(outcome)
        self.durations.append(seconds)

    def cancelled(self) -> None:
        """Note it."""
        self.active -= 1
        self.outcomes.append("cancelled")


class ListSource:
    """A source that tells its requests at once and is synced when the test says so."""

    def __init__(self, *requests: Request, error: Exception | None = None) -> None:
        self.requests = requests
        self.error = error
        self.ready = asyncio.Event()
        self.waited = timedelta(0)

    def start(self, queue: RequestQueue[ObjectKey]) -> None:
        """Tell all requests."""
        for request in self.requests:
            queue.add(request)

    @property
    def synced(self) -> bool:
        """Tell what the test said."""
        return self.ready.is_set()

    async def wait_synced(self, within: timedelta) -> None:
        """Wait for the test."""
        self.waited = within
        if self.error is not None:
            raise self.error
        await self.ready.wait()


def new_queue() -> WorkQueue[Request]:
    """Return a real queue on the loop's time."""
    backoff = ItemBackoff[Request](POLICY, seeded_random(1))
    return WorkQueue("test", clock=CLOCK, backoff=backoff)


def new_controller(
    reconciler: Any,
    *,
    queue: WorkQueue[Request] | None = None,
    metrics: RecordedMetrics | None = None,
    sources: tuple[Source[ObjectKey], ...] = (),
    **options: Any,
) -> Controller[ObjectKey]:
    """Return a controller with real queue and recorded metrics."""
    return Controller(
        "test",
        reconciler,
        sources=sources,
        queue=new_queue() if queue is None else queue,  # an empty queue is falsy
        clock=CLOCK,
        random=seeded_random(2),
        metrics=metrics or RecordedMetrics(),
        **options,
    )


def status(error_type: type[ApiStatusError], retry_after: float | None = None) -> ApiStatusError:
    """Return an answer of the API server as an exception."""
    delay = None if retry_after is None else seconds(retry_after)
    return error_type("refused", code=400, retry_after=delay)


@dataclass
class Ran:
    """What is left to look at after a controller ran."""

    script: Script
    metrics: RecordedMetrics
    still_marked: int
    logs: list[Any]


def run_for(duration: float, *steps: Step, **options: Any) -> Ran:
    """Run a controller over the key A for so many virtual seconds, then cancel it."""

    async def main() -> Ran:
        script, metrics, queue = Script(*steps), RecordedMetrics(), new_queue()
        controller = new_controller(script, queue=queue, metrics=metrics, **options)
        queue.add(A)
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(duration))
                task.cancel()
        return Ran(script, metrics, len(queue.running_seconds()), list(logs))

    return run_virtual(main())


class TestVerdicts:
    """The outcome table, without a queue."""

    def test_a_result_forgets_failures_and_comes_back_as_it_says(self) -> None:
        """A run that came to its end starts the key's failures afresh."""
        done = judge_result(DONE)
        later = judge_result(Result(seconds(7)))

        assert done == Verdict(Outcome.SUCCESS, forget=True, level=logging.DEBUG)
        assert later == Verdict(
            Outcome.REQUEUE_AFTER, forget=True, delay=seconds(7), level=logging.DEBUG
        )

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (TerminalError("Bad", "spec"), Verdict(Outcome.TERMINAL, forget=True)),
            (
                status(Conflict),
                Verdict(Outcome.REQUEUE, rate_limited=True, level=logging.DEBUG),
            ),
            (
                status(TooManyRequests),
                Verdict(Outcome.ERROR, rate_limited=True, level=logging.WARNING),
            ),
            (status(Forbidden), Verdict(Outcome.ERROR, delay=FORBIDDEN_RETRY)),
            (status(Forbidden, 1), Verdict(Outcome.ERROR, delay=FORBIDDEN_RETRY)),
            (status(Forbidden, 300), Verdict(Outcome.ERROR, delay=seconds(300))),
            (status(Invalid), Verdict(Outcome.ERROR, rate_limited=True)),
            (status(NotFound), Verdict(Outcome.ERROR, rate_limited=True)),
            (status(ServerError, 0), Verdict(Outcome.ERROR, rate_limited=True)),
            (status(ServerError, 4), Verdict(Outcome.ERROR, delay=seconds(4))),
            (TransportError("cut", sent=True), Verdict(Outcome.ERROR, rate_limited=True)),
            (ReconcileTimedOut("slow"), Verdict(Outcome.TIMEOUT, rate_limited=True)),
            (TimeoutError("its own"), Verdict(Outcome.ERROR, rate_limited=True)),
            (KeyError("typo"), Verdict(Outcome.PANIC, rate_limited=True)),
            (KindNotWatched("Pod"), Verdict(Outcome.PANIC, rate_limited=True)),
            (ValueError("odd"), Verdict(Outcome.ERROR, rate_limited=True)),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_each_error_has_its_requeue(self, error: Exception, verdict: Verdict) -> None:
        """Every family of errors leads to the requeue, count and log level of the contract."""
        assert judge_error(error, failures=0) == verdict

    def test_the_server_may_ask_for_a_delay_with_any_error(self) -> None:
        """Retry-After counts for conflicts and throttling alike, in place of our own delay."""
        for error_type in (Conflict, TooManyRequests, ServerError):
            verdict = judge_error(status(error_type, 9), failures=0)

            assert (verdict.delay, verdict.rate_limited) == (seconds(9), False)

    def test_conflicts_become_loud_when_they_do_not_end(self) -> None:
        """A few conflicts are normal; one after the other means another manager insists."""
        before = judge_error(status(Conflict), failures=QUIET_CONFLICTS - 1)
        after = judge_error(status(Conflict), failures=QUIET_CONFLICTS)

        assert (before.outcome, before.level) == (Outcome.REQUEUE, logging.DEBUG)
        assert (after.outcome, after.level) == (Outcome.ERROR, logging.ERROR)

    def test_a_group_of_one_stands_for_its_only_error(self) -> None:
        """A conflict inside a reconciler's own TaskGroup stays a conflict; several do not."""
        conflict = status(Conflict)
        nested = ExceptionGroup("outer", [ExceptionGroup("inner", [conflict])])
        several = ExceptionGroup("outer", [conflict, ValueError("and")])

        assert single_cause(nested) is conflict
        assert single_cause(several) is several


class TestOutcomes:
    """What the queue and the metrics see of it."""

    def test_success_waits_for_an_event(self) -> None:
        """After success nothing happens by itself."""
        ran = run_for(86_400, DONE)

        assert ran.script.moments == [0]
        assert ran.metrics.outcomes == ["success"]

    def test_requeue_after_counts_from_the_end_of_the_run(self) -> None:
        """The key comes back after exactly the delay that was asked for."""

        async def slow(_request: Request) -> Result:
            await CLOCK.sleep(seconds(3))
            return Result(seconds(10))

        ran = run_for(30, slow)

        assert ran.script.moments == [0, 13, 26]
        assert ran.metrics.outcomes[:2] == ["requeue_after", "requeue_after"]
        assert ran.metrics.durations[:2] == [3, 3]

    def test_errors_are_retried_with_growing_delay_until_success_forgets_them(self) -> None:
        """1, 2, 4 seconds; after a success the next error waits one second again."""
        wrong = RuntimeError("boom")

        ran = run_for(18.5, wrong, wrong, wrong, Result(seconds(10)), wrong, DONE)

        assert ran.script.moments == [0, 1, 3, 7, 17, 18]
        assert ran.metrics.outcomes == [
            *("error", "error", "error", "requeue_after", "error", "success")
        ]

    def test_a_terminal_error_is_not_retried_and_forgets(self) -> None:
        """Only an event brings the key back, and a later error starts at the first delay."""

        async def main() -> Script:
            wrong = RuntimeError("boom")
            script = Script(wrong, wrong, TerminalError("InvalidSpec", "no"), wrong, DONE)
            queue = new_queue()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(new_controller(script, queue=queue).run())
                queue.add(A)
                await CLOCK.sleep(seconds(1000))
                queue.add(A)
                await CLOCK.sleep(seconds(1000))
                task.cancel()
            return script

        script = run_virtual(main())

        assert script.moments == [0, 1, 3, 1000, 1001]

    def test_retry_after_is_honoured(self) -> None:
        """What the server asks for replaces our delay, and is no failure of ours."""
        ran = run_for(100, status(TooManyRequests, 42), RuntimeError("boom"), DONE)

        assert ran.script.moments == [0, 42, 43]

    def test_forbidden_is_retried_slowly_and_loudly(self) -> None:
        """Permissions do not come back within milliseconds, and people must see them missing."""
        ran = run_for(65, status(Forbidden))

        levels = [log["log_level"] for log in ran.logs if log["event"] == "reconcile failed"]
        assert ran.script.moments == [0, 30, 60]
        assert levels == ["error", "error", "error"]

    def test_a_conflict_is_quiet(self) -> None:
        """A conflict is retried without an error in the log or in the metrics."""
        ran = run_for(5, status(Conflict), DONE)

        failed = [log for log in ran.logs if log["event"] == "reconcile failed"]
        assert ran.script.moments == [0, 1]
        assert ran.metrics.outcomes == ["requeue", "success"]
        assert [(log["log_level"], log["exc_info"]) for log in failed] == [("debug", None)]

    def test_an_error_in_a_group_of_one_counts_as_itself(self) -> None:
        """A reconciler may use a TaskGroup and still have its conflicts taken for conflicts."""
        ran = run_for(0.5, ExceptionGroup("tasks", [status(Conflict)]))

        assert ran.metrics.outcomes == ["requeue"]

    def test_an_error_is_logged_once_with_its_place_and_next_retry(self) -> None:
        """One line per failed run: what failed, where, and when it is tried again."""
        wrong = RuntimeError("boom")

        ran = run_for(0.5, wrong)

        (log,) = [log for log in ran.logs if log["log_level"] == "error"]
        assert (log["error"], log["error_type"], log["retry_in"]) == ("boom", "RuntimeError", 1.0)
        assert log["exc_info"] is wrong

    def test_a_terminal_error_is_logged_without_its_place(self) -> None:
        """It was raised on purpose: the message tells all."""
        ran = run_for(1, TerminalError("InvalidSpec", "replicas: no"))

        (log,) = [log for log in ran.logs if log["log_level"] == "error"]
        assert (log["error"], log["exc_info"], log["retry_in"]) == ("replicas: no", None, None)

    def test_what_is_not_a_result_is_an_error(self) -> None:
        """A reconciler that forgets its return statement is told so, and retried."""

        async def forgot(_request: Request) -> Any:
            return None

        ran = run_for(0.5, forgot)

        assert ran.metrics.outcomes == ["panic"]
        assert "returned None for ns/a, not a Result" in str(ran.logs)


class TestTimeouts:
    """A run may be bounded."""

    def test_a_run_that_takes_too_long_is_cancelled_and_retried(self) -> None:
        """The deadline cancels the run, counts as a timeout, and says so in the log."""
        cancelled: list[float] = []

        async def hang(_request: Request) -> Result:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(CLOCK.monotonic())
                raise
            return DONE

        ran = run_for(10, hang, DONE, reconcile_timeout=seconds(5))

        assert ran.script.moments == [0, 6]
        assert ran.metrics.outcomes == ["timeout", "success"]
        assert ran.metrics.durations == [5, 0]
        assert len(cancelled) == 1
        assert "ns/a took longer than 0:00:05" in str(ran.logs)

    def test_a_timeout_of_the_reconcilers_own_is_an_ordinary_error(self) -> None:
        """Only our deadline counts as a reconcile timeout."""

        async def inner(_request: Request) -> Result:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
            return DONE

        ran = run_for(1.5, inner, reconcile_timeout=seconds(5))

        assert ran.metrics.outcomes == ["error"]

    @pytest.mark.parametrize("options", [{"workers": 0}, {"reconcile_timeout": timedelta(0)}])
    def test_senseless_options_are_refused(self, options: dict[str, Any]) -> None:
        """Zero workers or no time at all is a mistake to find at once."""
        with pytest.raises(ValueError, match=r"must be positive|at least one worker"):
            new_controller(Script(DONE), **options)


class TestCancellation:
    """Cancellation passes through; what is not one does not."""

    def test_cancelling_run_cancels_what_runs_and_gives_the_key_back(self) -> None:
        """The reconciler sees CancelledError; the run has no outcome; nothing stays marked."""
        seen: list[str] = []

        async def hang(_request: Request) -> Result:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            return DONE

        ran = run_for(1, hang)

        assert seen == ["cancelled"]
        assert (ran.metrics.outcomes, ran.metrics.active) == (["cancelled"], 0)
        assert ran.still_marked == 0

    def test_awaiting_something_cancelled_costs_no_worker(self) -> None:
        """A CancelledError that nobody meant for the worker is an error of the run like others."""

        async def await_cancelled(_request: Request) -> Result:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            future.cancel()
            return await future

        ran = run_for(2, await_cancelled, DONE, workers=1)

        assert ran.script.moments == [0, 1]
        assert ran.metrics.outcomes == ["error", "success"]


class TestStop:
    """A graceful stop."""

    def test_running_keys_end_and_no_other_begins(self) -> None:
        """`stop` returns when what ran has ended; what was queued is left; `run` returns."""

        async def main() -> tuple[list[str], float, RecordedMetrics]:
            metrics = RecordedMetrics()

            async def slow(_request: Request) -> Result:
                await CLOCK.sleep(seconds(5))
                return DONE

            script, queue = Script(slow), new_queue()
            controller = new_controller(script, queue=queue, metrics=metrics, workers=1)
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                queue.add(A)
                queue.add(B)
                await CLOCK.sleep(seconds(1))
                began = CLOCK.monotonic()
                await controller.stop(seconds(30))
                queue.add(B)
            return [name for name, _ in script.runs], CLOCK.monotonic() - began, metrics

        names, took, metrics = run_virtual(main())

        assert names == ["a"]
        assert took == 4
        assert metrics.outcomes == ["success"]

    def test_stop_waits_for_the_last_of_several(self) -> None:
        """That one key has ended says nothing about the others."""

        async def slow(request: Request) -> Result:
            await CLOCK.sleep(seconds(3 if request == A else 8))
            return DONE

        async def main() -> float:
            queue = new_queue()
            controller = new_controller(Script(slow), queue=queue)
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                queue.add(A)
                queue.add(B)
                await CLOCK.sleep(seconds(1))
                began = CLOCK.monotonic()
                await controller.stop(seconds(30))
                return CLOCK.monotonic() - began

        assert run_virtual(main()) == 7

    def test_a_key_just_handed_out_does_not_begin_after_stop(self) -> None:
        """Between the queue handing over a key and the worker waking lies a turn of the loop."""

        async def main() -> Script:
            script, queue = Script(DONE), new_queue()
            controller = new_controller(script, queue=queue, workers=1)
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                queue.add(A)
                await controller.stop(seconds(30))
            return script

        script = run_virtual(main())

        assert script.runs == []

    def test_what_does_not_end_within_the_grace_is_named(self) -> None:
        """The error names the keys; they go on until they are cancelled."""

        async def hang(_request: Request) -> Result:
            await asyncio.Event().wait()
            return DONE

        async def main() -> tuple[str, float]:
            queue = new_queue()
            controller = new_controller(Script(hang), queue=queue)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                queue.add(B)
                queue.add(A)
                await CLOCK.sleep(seconds(1))
                began = CLOCK.monotonic()
                with pytest.raises(TimeoutError) as raised:
                    await controller.stop(seconds(7))
                took = CLOCK.monotonic() - began
                assert not task.done()
                task.cancel()
            return str(raised.value), took

        message, took = run_virtual(main())

        assert message == "controller test still reconciles ns/a, ns/b"
        assert took == 7

    def test_stop_before_the_sources_are_synced_returns_at_once(self) -> None:
        """Nothing runs yet, so there is nothing to wait for."""

        async def main() -> float:
            controller = new_controller(Script(DONE), sources=(ListSource(A),))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                began = CLOCK.monotonic()
                await controller.stop(seconds(30))
                took = CLOCK.monotonic() - began
                task.cancel()
            return took

        assert run_virtual(main()) == 0

    def test_run_after_stop_ends_at_once(self) -> None:
        """A stop that comes before the start is not lost."""

        async def main() -> Script:
            script, source = Script(DONE), ListSource(A)
            controller = new_controller(script, sources=(source,))
            await controller.stop(seconds(1))
            async with asyncio.timeout(1):
                await controller.run()
            return script

        assert run_virtual(main()).runs == []


class TestStart:
    """Sources first, then workers."""

    def test_no_key_runs_before_every_source_is_synced(self) -> None:
        """A reconciler that sees half of the world draws wrong conclusions."""

        async def main() -> tuple[int, list[str], list[timedelta]]:
            first, second = ListSource(A), ListSource(B)
            script = Script(DONE)
            controller = new_controller(
                script, sources=(first, second), cache_sync_timeout=seconds(50)
            )
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                first.ready.set()
                await CLOCK.sleep(seconds(10))
                early = len(script.runs)
                second.ready.set()
                await CLOCK.sleep(seconds(1))
                task.cancel()
            return early, [name for name, _ in script.runs], [first.waited, second.waited]

        early, names, waited = run_virtual(main())

        assert early == 0
        assert names == ["a", "b"]
        assert waited == [seconds(50), seconds(50)]

    def test_a_source_that_fails_ends_run_with_its_error(self) -> None:
        """The error comes alone, not in a group, and with the cause it had."""
        cause = TimeoutError("2 minutes")
        error = CacheNotSynced("Pod.v1")
        error.__cause__ = cause

        async def main() -> None:
            source, waiting = ListSource(error=error), ListSource()
            await new_controller(Script(DONE), sources=(source, waiting)).run()

        with pytest.raises(CacheNotSynced) as raised:
            run_virtual(main())

        assert raised.value is error
        assert raised.value.__cause__ is cause

    def test_running_twice_is_an_error(self) -> None:
        """A controller has one life."""

        async def main() -> None:
            controller = new_controller(Script(DONE))
            await controller.stop(seconds(0))
            await controller.run()
            await controller.run()

        with pytest.raises(RuntimeError, match="controller test was run already"):
            run_virtual(main())


class TestWorkers:
    """How many keys run at once."""

    def test_as_many_keys_run_at_once_as_there_are_workers(self) -> None:
        """The third of three keys waits for one of two workers."""

        async def slow(_request: Request) -> Result:
            await CLOCK.sleep(seconds(10))
            return DONE

        async def main() -> tuple[Script, RecordedMetrics]:
            script, queue, metrics = Script(slow), new_queue(), RecordedMetrics()
            controller = new_controller(script, queue=queue, metrics=metrics, workers=2)
            for name in "abc":
                queue.add(Request(ObjectKey("ns", name)))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(25))
                task.cancel()
            return script, metrics

        script, metrics = run_virtual(main())

        assert script.moments == [0, 0, 10]
        assert metrics.workers == 2

    def test_each_run_has_its_own_log_context(self) -> None:
        """Controller, key and an id of the run are bound while it lasts, and unbound after."""
        contexts: list[dict[str, Any]] = []

        async def look(_request: Request) -> Result:
            contexts.append(structlog.contextvars.get_contextvars())
            return Result(seconds(1)) if len(contexts) < 2 else DONE

        run_for(5, look, workers=1)

        first, second = contexts
        assert (first["controller"], first["key"]) == ("test", "ns/a")
        assert first["reconcile_id"] != second["reconcile_id"]
        assert len(first["reconcile_id"]) == 16
        assert structlog.contextvars.get_contextvars() == {}
