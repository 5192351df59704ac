"""One run: every outcome becomes the requeue, the count and the log line it should."""

import asyncio
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smbpctl.runtime.controller import QUIET_CONFLICTS, HotLoopPolicy, RunReport
from smbpctl.runtime.errors import Conflict, Forbidden, Invalid, TerminalError, TooManyRequests
from smbpctl.runtime.event import Cause, Trigger
from smbpctl.runtime.metrics import ErrorClass, Outcome
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.workqueue import LOW_PRIORITY
from test.support.controllers import (
    CLOCK,
    A,
    B,
    FakeGate,
    Listening,
    Record,
    RecordedMetrics,
    Script,
    new_controller,
    new_queue,
    run_for,
    seconds,
    status,
)
from test.support.virtual_time import run_virtual


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

        assert ran.script.moments == [0, 30, 60]
        assert ran.failures("log_level") == ["error", "error", "error"]

    def test_a_conflict_is_quiet(self) -> None:
        """A conflict is retried without an error in the log or in the metrics."""
        ran = run_for(5, status(Conflict), DONE)

        assert ran.script.moments == [0, 1]
        assert ran.metrics.outcomes == ["requeue", "success"]
        assert ran.metrics.classes == ["conflict"]
        assert ran.failures("log_level") == ["debug"]
        assert ran.failures("exc_info") == [None]

    def test_only_conflicts_in_a_row_are_counted(self) -> None:
        """The sixth in a row is an error; any other end of a run starts the count afresh."""
        conflict, wrong = status(Conflict), RuntimeError("boom")
        row = [conflict] * QUIET_CONFLICTS

        ran = run_for(86_400, *row, conflict, wrong, *row, Result(seconds(9)), *row, DONE)

        assert ran.metrics.outcomes == [
            *(["requeue"] * QUIET_CONFLICTS),
            *("error", "error"),
            *(["requeue"] * QUIET_CONFLICTS),
            "requeue_after",
            *(["requeue"] * QUIET_CONFLICTS),
            "success",
        ]

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


class TestErrors:
    """Which exceptions are errors of a run, and which are not."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_what_ends_the_process_passes(self, error: BaseException) -> None:
        """Neither is an error of the reconciler's."""

        async def end(_request: Request) -> Result:
            raise error

        with pytest.raises(type(error)):
            run_for(5, end)

    def test_an_invalid_write_is_not_repeated_but_comes_back_on_events(self) -> None:
        """The server says that the object is wrong: only a change of the input helps."""

        async def main() -> tuple[list[float], RecordedMetrics]:
            script = Script(RuntimeError("boom"), status(Invalid), RuntimeError("boom"), DONE)
            queue, metrics = new_queue(), RecordedMetrics()
            async with asyncio.TaskGroup() as group:
                controller = new_controller(script, queue=queue, metrics=metrics)
                task = group.create_task(controller.run())
                queue.add(A)
                await CLOCK.sleep(seconds(1000))
                queue.add(A)
                await CLOCK.sleep(seconds(1000))
                task.cancel()
            return script.moments, metrics

        moments, metrics = run_virtual(main())

        assert moments == [0, 1, 1000, 1001]
        assert metrics.classes == ["error", "invalid", "error"]


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


class TestPriority:
    """A key keeps its priority through its requeues unless the result says otherwise."""

    def test_a_requeue_keeps_the_priority_or_takes_that_of_the_result(self) -> None:
        """Retries and returns are as urgent as the run was; a result may change that."""

        async def main() -> list[int]:
            queue, priorities = new_queue(), list[int]()

            async def look(request: Request) -> Result:
                priorities.append(queue.priority(request))
                match len(priorities):
                    case 1:
                        raise RuntimeError("boom")
                    case 2:
                        return Result(seconds(1))
                    case 3:
                        return Result(seconds(1), priority=9)
                    case _:
                        return DONE

            queue.add(A, priority=LOW_PRIORITY)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(new_controller(Script(look), queue=queue).run())
                await CLOCK.sleep(seconds(10))
                task.cancel()
            return priorities

        assert run_virtual(main()) == [LOW_PRIORITY, LOW_PRIORITY, LOW_PRIORITY, 9]


class TestGate:
    """The next run of a key sees what its last run wrote."""

    def test_a_key_waits_for_its_own_writes_and_no_worker_does(self) -> None:
        """Whatever wakes it meanwhile is kept; with one worker the other key runs on."""

        async def main() -> tuple[list[tuple[str, float]], FakeGate]:
            gate, queue = FakeGate(Record(waits=True), Record()), new_queue()
            script = Script(DONE)
            controller = new_controller(script, queue=queue, gate=gate, workers=1)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                queue.add(A)
                await CLOCK.sleep(seconds(1))
                queue.add(A)
                queue.add(B)
                await CLOCK.sleep(seconds(1))
                gate.let_go()
                await CLOCK.sleep(seconds(1))
                task.cancel()
            return script.runs, gate

        runs, gate = run_virtual(main())

        assert [(name, at - runs[0][1]) for name, at in runs] == [("a", 0), ("b", 1), ("a", 2)]
        assert gate.entered == gate.left == 3

    def test_a_retry_waits_too(self) -> None:
        """A conflict comes back when the cache has caught up, however short its own delay."""

        async def main() -> list[float]:
            gate, queue = FakeGate(Record(waits=True), Record()), new_queue()
            script = Script(status(Conflict), DONE)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(new_controller(script, queue=queue, gate=gate).run())
                queue.add(A)
                await CLOCK.sleep(seconds(7))
                gate.let_go()
                await CLOCK.sleep(seconds(7))
                task.cancel()
            return script.moments

        assert run_virtual(main()) == [0, 7]

    def test_the_call_that_lets_go_may_come_twice_and_at_any_time(self) -> None:
        """A second call does not end the hold of a later run; one after the stop does nothing."""

        async def main() -> list[float]:
            gate, queue = FakeGate(Record(waits=True)), new_queue()
            script = Script(DONE)
            controller = new_controller(script, queue=queue, gate=gate)
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                queue.add(A)
                await CLOCK.sleep(seconds(1))
                (let_go,) = gate.waiting
                gate.let_go()
                queue.add(A)
                await CLOCK.sleep(seconds(1))
                queue.add(A)
                let_go()
                await CLOCK.sleep(seconds(1))
                await controller.stop(seconds(1))
                gate.let_go()
                let_go()
            return script.moments

        assert run_virtual(main()) == [0, 1]

    def test_nothing_to_wait_for_at_once_is_as_if_there_was_nothing(self) -> None:
        """The call may come from within `when_over`, while the run still counts."""

        class Open(FakeGate):
            def when_over(self, call: Any, /) -> None:
                call()

        async def main() -> list[float]:
            script, queue = Script(Result(seconds(3))), new_queue()
            gate = Open(Record(waits=True))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(new_controller(script, queue=queue, gate=gate).run())
                queue.add(A)
                await CLOCK.sleep(seconds(7))
                task.cancel()
            return script.moments

        assert run_virtual(main()) == [0, 3, 6]

    def test_a_run_that_was_cancelled_wrote_something_all_the_same(self) -> None:
        """Its key waits like any other, and is owed a run when the controller runs again."""

        async def hang(_request: Request) -> Result:
            await asyncio.Event().wait()
            return DONE

        async def main() -> tuple[list[float], int]:
            gate, queue = FakeGate(Record(waits=True), Record()), new_queue()
            script = Script(hang, DONE)
            controller = new_controller(script, queue=queue, gate=gate)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(controller.run())
                queue.add(A)
                await CLOCK.sleep(seconds(1))
                first.cancel()
                await CLOCK.sleep(seconds(1))
                second = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                held = queue.held
                gate.let_go()
                await CLOCK.sleep(seconds(1))
                second.cancel()
            return script.moments, held

        assert run_virtual(main()) == ([0, 3], 1)


class TestHotLoop:
    """A key that repeats its own work is slowed down."""

    def test_a_loop_is_slowed_down_and_told_once(self) -> None:
        """Runs that are woken by what they write: the third like it waits, then longer."""
        policy = HotLoopPolicy(runs=3, base=seconds(10), cap=seconds(35))

        async def main() -> tuple[Script, RecordedMetrics, Listening, list[Any]]:
            queue, metrics, listening = new_queue(), RecordedMetrics(), Listening()

            async def write(request: Request) -> Result:
                queue.add(request)  # its own write wakes it
                return DONE

            script = Script(write)
            controller = new_controller(
                script,
                queue=queue,
                metrics=metrics,
                listener=listening,
                gate=FakeGate(Record(write_digest="status")),
                hot_loops=policy,
            )
            queue.add(A)
            with capture_logs() as logs:
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(controller.run())
                    await CLOCK.sleep(seconds(100))
                    task.cancel()
            return script, metrics, listening, list(logs)

        script, metrics, listening, logs = run_virtual(main())

        assert script.moments == [0, 0, 0, 10, 30, 65, 100][: len(script.moments)]
        assert len(script.moments) >= 6
        assert metrics.hot_loops == 1
        found = [log for log in logs if log["event"] == "reconcile loop found"]
        assert [(log["runs"], log["delay"], log["log_level"]) for log in found] == [
            (3, 10.0, "warning")
        ]
        told = [facts[1:] for facts in listening.told if facts[0] == "hot_loop"]
        assert told[:3] == [("ns/a", 3, 10.0), ("ns/a", 4, 20.0), ("ns/a", 5, 35.0)]

    @pytest.mark.parametrize(
        ("records", "options"),
        [
            ([Record(write_digest="")], {}),
            ([Record(write_digest="same"), Record()] * 25, {}),
            ([Record(write_digest=str(n)) for n in range(50)], {}),
            ([Record(str(n), "same") for n in range(50)], {}),
            ([Record(write_digest="same")], {"hot_loops": None}),
        ],
        ids=[
            "writes nothing",
            "comes to rest",
            "writes other things",
            "reads other things",
            "switched off",
        ],
    )
    def test_what_is_no_loop_runs_as_fast_as_it_likes(
        self, records: list[Record], options: dict[str, Any]
    ) -> None:
        """Only the same write for the same input, again and again, is one."""
        step = Result(seconds(0.1))

        ran = run_for(3.05, step, gate=FakeGate(*records), **options)

        assert len(ran.script.moments) == 31
        assert ran.metrics.hot_loops == 0

    def test_runs_that_fail_have_their_own_delay(self) -> None:
        """What they wrote before they failed makes no loop of them."""
        ran = run_for(
            2000,
            RuntimeError("boom"),
            gate=FakeGate(Record(write_digest="same")),
            hot_loops=HotLoopPolicy(runs=2, window=seconds(10_000)),
        )

        assert ran.metrics.hot_loops == 0
        assert ran.script.moments[:4] == [0, 1, 3, 7]


class TestListener:
    """Whoever listens learns of every run."""

    def test_it_is_told_why_a_run_began_and_how_it_ended(self) -> None:
        """Causes first, then the report, with the time of the next run where there is one."""

        async def main() -> Listening:
            listening, queue = Listening(), new_queue()
            script = Script(status(TooManyRequests, 4), DONE)
            queue.add(A, cause=Cause(Trigger.CREATED))
            controller = new_controller(script, queue=queue, listener=listening)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(10))
                task.cancel()
            return listening

        first, throttled, second, done = run_virtual(main()).told

        assert first == ("started", "ns/a", ["created"], "-0")
        report = throttled[2]
        assert isinstance(report, RunReport)
        assert (report.outcome, report.error_class) == (Outcome.ERROR, ErrorClass.THROTTLED)
        assert (report.retry_in, str(report.error)) == (seconds(4), "refused")
        assert second == ("started", "ns/a", ["retry"], "-1")
        assert done == ("finished", "ns/a", RunReport(Outcome.SUCCESS, 0.0, None))

    def test_it_is_told_of_a_run_that_was_cancelled(self) -> None:
        """Every start has its end."""

        async def hang(_request: Request) -> Result:
            await asyncio.Event().wait()
            return DONE

        listening = Listening()

        run_for(1, hang, listener=listening)

        assert [facts[0] for facts in listening.told] == ["started", "cancelled"]

    def test_what_it_raises_is_logged_and_changes_nothing(self) -> None:
        """A bug in a timeline is no reason to stop reconciling."""
        listening = Listening(error=RuntimeError("full"))

        ran = run_for(10, Result(seconds(4)), listener=listening)

        assert ran.script.moments == [0, 4, 8]
        assert ran.metrics.outcomes == ["requeue_after"] * 3
        assert [log["event"] for log in ran.logs].count("listener failed") == 6


class TestLogs:
    """What one line says."""

    def test_a_line_tells_why_the_key_ran(self) -> None:
        """The causes are put into words only where the line is written."""
        ran = run_for(1.5, RuntimeError("boom"), DONE)

        (done,) = [log for log in ran.logs if log["event"] == "reconciled"]
        assert done["log_level"] == "debug"
        assert repr(done["causes"]) == "retry"
        assert ran.failures("error_class") == ["error"]

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
        series = [each["reconcile_id"].partition("-")[0] for each in contexts]
        assert series[0] == series[1]
        assert len(series[0]) == 8
        assert structlog.contextvars.get_contextvars() == {}
