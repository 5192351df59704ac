"""The life of a controller: start, warm-up, stop, and what it says of runs that hang."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.controller import StuckPolicy
from smbpctl.runtime.errors import CacheNotSynced
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.reconcile import DONE, Request, Result
from test.support.controllers import (
    CLOCK,
    A,
    B,
    Listening,
    ListSource,
    RecordedMetrics,
    Script,
    new_controller,
    new_queue,
    run_for,
    seconds,
)
from test.support.virtual_time import run_virtual


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

    def test_what_ran_when_it_was_cancelled_runs_again_with_the_next_run(self) -> None:
        """A leadership that was lost may come back: nothing owed is lost meanwhile."""

        async def hang(_request: Request) -> Result:
            await asyncio.Event().wait()
            return DONE

        async def main() -> tuple[list[str], bool, bool, RecordedMetrics]:
            script, queue, metrics = Script(hang, DONE), new_queue(), RecordedMetrics()
            controller = new_controller(script, queue=queue, metrics=metrics, workers=1)
            queue.add(A, priority=5)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                first.cancel()
                await CLOCK.sleep(seconds(1))
                queue.add(B)
                before = controller.repeatable
                group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                await controller.stop(seconds(1))
            return [name for name, _ in script.runs], before, controller.repeatable, metrics

        names, before, after, metrics = run_virtual(main())

        assert names == ["a", "a", "b"]
        assert (before, after) == (True, False)
        assert metrics.outcomes == ["cancelled", "success", "success"]


class TestWarmUp:
    """A standby has everything but workers."""

    def test_the_queue_fills_before_the_workers_start(self) -> None:
        """`warm_up` starts the sources and waits for them; `run` does not start them again."""

        async def main() -> tuple[int, int, list[str], RecordedMetrics]:
            source, script, queue = ListSource(A, B), Script(DONE), new_queue()
            source.ready.set()
            metrics = RecordedMetrics()
            controller = new_controller(script, queue=queue, sources=(source,), metrics=metrics)
            await controller.warm_up()
            await CLOCK.sleep(seconds(10))
            depth, early = len(queue), len(script.runs)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                task.cancel()
            return depth, early, [name for name, _ in script.runs], metrics

        depth, early, names, metrics = run_virtual(main())

        assert (depth, early) == (2, 0)
        assert names == ["a", "b"]
        assert metrics.workers == 10

    def test_run_waits_for_a_warm_up_that_is_under_way(self) -> None:
        """Elected before it is warm, it works as soon as it is."""

        async def main() -> tuple[int, list[float]]:
            source, script = ListSource(A), Script(DONE)
            controller = new_controller(script, sources=(source,))
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.warm_up())
                await CLOCK.sleep(seconds(1))
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                early = len(script.runs)
                source.ready.set()
                await CLOCK.sleep(seconds(1))
                task.cancel()
            return early, script.moments

        assert run_virtual(main()) == (0, [0])

    def test_a_run_cancelled_before_it_was_warm_can_be_repeated(self) -> None:
        """The sources are started once, and waited for by each run."""

        async def main() -> list[str]:
            source, script = ListSource(A), Script(DONE)
            controller = new_controller(script, sources=(source,))
            async with asyncio.TaskGroup() as group:
                first = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                first.cancel()
                await CLOCK.sleep(seconds(1))
                source.ready.set()
                second = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                second.cancel()
            return [name for name, _ in script.runs]

        assert run_virtual(main()) == ["a"]

    def test_warming_up_twice_is_an_error(self) -> None:
        """The sources would tell everything twice."""

        async def main() -> None:
            controller = new_controller(Script(DONE))
            await controller.warm_up()
            await controller.warm_up()

        with pytest.raises(RuntimeError, match="controller test was warmed up already"):
            run_virtual(main())


class TestAddSource:
    """A watch that comes later."""

    def test_before_the_start_it_is_one_of_the_sources(self) -> None:
        """It is started with the others."""

        async def main() -> list[str]:
            source, script = ListSource(A), Script(DONE)
            source.ready.set()
            controller = new_controller(script)
            await controller.add_source(source)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                task.cancel()
            return [name for name, _ in script.runs]

        assert run_virtual(main()) == ["a"]

    def test_while_running_it_is_started_at_once_and_waited_for(self) -> None:
        """Its keys run while the caller still waits for the end of its first list."""

        async def main() -> tuple[list[str], bool, timedelta]:
            source, script = ListSource(A), Script(DONE)
            controller = new_controller(script, cache_sync_timeout=seconds(50))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(1))
                adding = group.create_task(controller.add_source(source))
                await CLOCK.sleep(seconds(1))
                waits = not adding.done()
                source.ready.set()
                await adding
                task.cancel()
            return [name for name, _ in script.runs], waits, source.waited

        assert run_virtual(main()) == (["a"], True, seconds(50))


class TestWatchdog:
    """Runs that last too long are told of."""

    POLICY = StuckPolicy(floor=seconds(30), every=seconds(5))

    def test_a_stuck_run_is_told_of_once_per_stage_with_what_it_awaits(self) -> None:
        """After 30, 60 and 120 seconds: the log, the metric and the listener say so."""

        async def wait_for_ever() -> None:
            await asyncio.Event().wait()

        async def hang(_request: Request) -> Result:
            await wait_for_ever()
            return DONE

        listening = Listening()

        ran = run_for(125, hang, listener=listening, stuck=self.POLICY)

        told = [log for log in ran.logs if log["event"] == "reconcile stuck"]
        assert [(log["seconds"], log["stage"], log["key"]) for log in told] == [
            (30.0, 1, "ns/a"),
            (60.0, 2, "ns/a"),
            (120.0, 3, "ns/a"),
        ]
        assert "in TestWatchdog.test_a_stuck" in told[0]["awaiting"][-2]
        assert "wait_for_ever" in told[0]["awaiting"][-2]
        assert told[0]["awaiting"][-1].endswith("in Event.wait")
        assert [facts[2] for facts in listening.told if facts[0] == "stuck"] == [30, 60, 120]
        assert ran.metrics.stuck_now == 0

    def test_the_metric_tells_how_many_are_stuck_now(self) -> None:
        """It goes up with the run that is stuck, and down when that has ended."""

        async def slow(request: Request) -> Result:
            await CLOCK.sleep(seconds(90 if request == A else 1))
            return DONE

        async def main() -> list[int]:
            queue, metrics, seen = new_queue(), RecordedMetrics(), list[int]()
            controller = new_controller(
                Script(slow), queue=queue, metrics=metrics, stuck=self.POLICY
            )
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                queue.add(A)
                queue.add(B)
                for _ in range(4):
                    await CLOCK.sleep(seconds(28))
                    seen.append(metrics.stuck_now)
                task.cancel()
            return seen

        assert run_virtual(main()) == [0, 1, 1, 0]

    def test_it_costs_nothing_while_nothing_runs(self) -> None:
        """No timer is left when the last run has been looked at."""

        async def main() -> list[float]:
            queue = new_queue()
            controller = new_controller(Script(DONE), queue=queue, stuck=self.POLICY)
            timers: list[float] = []
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                queue.add(A)
                await CLOCK.sleep(seconds(20))
                loop: Any = asyncio.get_running_loop()
                timers += [handle.when() for handle in loop._scheduled if not handle.cancelled()]
                task.cancel()
            return timers

        assert run_virtual(main()) == []

    def test_a_blocked_loop_is_told_apart(self) -> None:
        """A run is not to blame for the time in which nothing could go on."""

        async def main() -> list[Any]:
            queue = new_queue()
            loop: Any = asyncio.get_running_loop()

            async def block(_request: Request) -> Result:
                loop._advance(100.0)  # what a computation without an await does
                await CLOCK.sleep(seconds(20))
                return DONE

            controller = new_controller(Script(block), queue=queue, stuck=self.POLICY)
            with capture_logs() as logs:
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(controller.run())
                    await CLOCK.sleep(seconds(1))
                    queue.add(B)
                    await CLOCK.sleep(seconds(2))
                    queue.add(A)
                    await CLOCK.sleep(seconds(40))
                    task.cancel()
            return list(logs)

        logs = run_virtual(main())

        assert [log["event"] for log in logs].count("reconcile stuck") == 0
        assert "event loop was blocked" in [log["event"] for log in logs]
