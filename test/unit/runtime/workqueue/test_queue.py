"""What the waiting around the kernel adds: order of getters, timers, cancellation, metrics."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, TimerHandle, seeded_random
from smbpctl.runtime.event import Cause, Trigger
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.workqueue import LOW_PRIORITY, QueueShutDown, WorkQueue
from test.support.virtual_time import run_virtual


def seconds(number: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=number)


class WatchedClock:
    """A loop clock that counts the timers set and not yet run or cancelled.

    `held_up` seconds are those by which the loop is late with its timers.
    """

    def __init__(self) -> None:
        self._loop_clock = LoopClock()
        self.held_up = 0.0
        self.timers_set = 0
        self.timers_pending = 0

    def monotonic(self) -> float:
        return self._loop_clock.monotonic() + self.held_up

    def now(self) -> datetime:
        return self._loop_clock.now()

    async def sleep(self, delay: timedelta) -> None:
        await self._loop_clock.sleep(delay)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        self.timers_set += 1
        self.timers_pending += 1
        assert self.timers_set < 10_000, "the queue spins on its timer"

        def run() -> None:
            self.timers_pending -= 1
            callback()

        return _WatchedTimer(self, self._loop_clock.call_later(delay, run))


class _WatchedTimer:
    def __init__(self, clock: WatchedClock, handle: TimerHandle) -> None:
        self._clock = clock
        self._handle = handle

    def cancel(self) -> None:
        self._clock.timers_pending -= 1
        self._handle.cancel()


def a_queue(clock: WatchedClock | None = None, metrics: Metrics | None = None) -> WorkQueue[Any]:
    """Return a queue whose delays after failures are not left to chance."""
    backoff: ItemBackoff[Any] = ItemBackoff(ExponentialBackoff(jitter=0.0), seeded_random(1))
    return WorkQueue(
        "echo",
        clock=clock or WatchedClock(),
        backoff=backoff,
        metrics=metrics.queue("echo") if metrics else None,
    )


async def settle() -> None:
    """Let every task run until all of them wait, without time passing."""
    for _ in range(20):
        await LoopClock().sleep(timedelta(0))


def virtual(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], None]:
    """Run a test method under virtual time."""

    @functools.wraps(test)
    def run(self: Any) -> None:
        run_virtual(test(self))

    return run


class TestWorkQueue:
    @virtual
    async def test_a_getter_waits_for_a_key(self) -> None:
        """`get` suspends until there is something to do."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            getter = group.create_task(queue.get())
            await settle()
            early = getter.done()

            queue.add("a")

        assert not early
        assert getter.result() == "a"

    @virtual
    async def test_getters_are_served_in_the_order_in_which_they_came(self) -> None:
        """Who waits longest gets the next key; one that comes later does not jump the line."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(queue.get())
            second = group.create_task(queue.get())
            await settle()
            queue.add("a")
            third = group.create_task(queue.get())
            queue.add("b")
            await settle()
            queue.add("c")

        assert [first.result(), second.result(), third.result()] == ["a", "b", "c"]

    @virtual
    async def test_a_key_promised_to_a_woken_getter_is_not_taken_by_a_newcomer(self) -> None:
        """A task that asks between the wake-up and the run of the getter waits its turn."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(queue.get())
            await settle()
            queue.add("a")

            async with asyncio.timeout(5):
                queue.add_after("b", seconds(2))
                newcomer = await queue.get()

        assert waiting.result() == "a"
        assert newcomer == "b"

    @virtual
    async def test_a_newcomer_waits_its_turn_when_a_timer_is_late(self) -> None:
        """Also a key whose delay ended unnoticed belongs to the getter that waits for it."""
        clock = WatchedClock()
        queue = a_queue(clock)
        queue.add_after("a", seconds(5))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(queue.get())
            await settle()
            clock.held_up = 10.0
            newcomer = group.create_task(queue.get())
            await settle()
            got = (waiting.done(), newcomer.done())
            queue.add("b")

        assert got == (True, False)
        assert (waiting.result(), newcomer.result()) == ("a", "b")

    @virtual
    async def test_a_key_owed_a_run_wakes_a_getter_when_its_run_is_done(self) -> None:
        """The worker that gives it back may have other things to do."""
        queue = a_queue()
        queue.add("a")
        key = await queue.get()
        queue.add(key)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(queue.get())
            await settle()
            early = waiting.done()

            queue.done(key)

        assert not early
        assert waiting.result() == "a"

    @virtual
    async def test_adds_in_one_turn_are_merged_even_when_a_getter_waits(self) -> None:
        """A key leaves the queue when its worker runs, not when it is woken."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            getter = group.create_task(queue.get())
            await settle()
            for _ in range(5):
                queue.add("a")
        queue.done(getter.result())

        assert len(queue) == 0

    @virtual
    async def test_a_delayed_key_wakes_a_getter_at_its_moment(self) -> None:
        """Under virtual time the moment is met to the microsecond."""
        queue, clock = a_queue(), LoopClock()
        started = clock.monotonic()
        queue.add_after("a", seconds(90))

        await queue.get()

        assert clock.monotonic() - started == pytest.approx(90, abs=1e-6)

    @virtual
    async def test_an_earlier_delay_brings_the_timer_forward(self) -> None:
        """The getter wakes for each key at its own moment, whatever order they were told in."""
        queue, clock = a_queue(), LoopClock()
        started = clock.monotonic()
        got: list[tuple[str, float]] = []

        async def collect() -> None:
            for _ in range(3):
                key = await queue.get()
                got.append((key, round(clock.monotonic() - started, 3)))

        async with asyncio.TaskGroup() as group:
            group.create_task(collect())
            await settle()
            queue.add_after("late", seconds(30))
            queue.add_after("early", seconds(10))
            queue.add_after("middle", seconds(20))

        assert got == [("early", 10.0), ("middle", 20.0), ("late", 30.0)]

    @virtual
    async def test_there_is_one_timer_and_only_while_a_getter_waits(self) -> None:
        """A thousand delays cost no timer while workers are busy, and one when they wait."""
        clock = WatchedClock()
        queue = a_queue(clock)
        for number in range(1000):
            queue.add_after(number, seconds(1000 - number))
        busy = clock.timers_pending

        async with asyncio.TaskGroup() as group:
            getter = group.create_task(queue.get())
            await settle()
            for number in range(1000, 2000):
                queue.add_after(number, seconds(2000))
            waiting = clock.timers_pending
        after = clock.timers_pending

        assert (busy, waiting, after) == (0, 1, 0)
        assert clock.timers_set == 1
        assert getter.result() == 999

    @virtual
    async def test_one_timer_wakes_all_getters_that_have_a_key(self) -> None:
        """Delays that end together need no timer each."""
        clock = WatchedClock()
        queue = a_queue(clock)
        for number in range(3):
            queue.add_after(number, seconds(5))
        async with asyncio.TaskGroup() as group:
            getters = [group.create_task(queue.get()) for _ in range(3)]

        assert [getter.result() for getter in getters] == [0, 1, 2]
        assert clock.timers_set == 1

    @virtual
    async def test_a_moment_between_two_microseconds_does_not_spin(self) -> None:
        """Timers count microseconds and the loop's clock is finer: the rest is not waited for."""
        clock = WatchedClock()
        queue = a_queue(clock)
        loop = asyncio.get_running_loop()
        queue.add_after("a", seconds(0.5))
        reached: asyncio.Future[None] = loop.create_future()
        loop.call_at(loop.time() + 1 / 6 + 1e-10, reached.set_result, None)
        await reached

        key = await queue.get()

        assert key == "a"
        assert clock.timers_set == 1

    @virtual
    async def test_the_longest_delay_is_no_trouble(self) -> None:
        """`timedelta.max` means: practically never; other keys are not held up by it."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            getter = group.create_task(queue.get())
            queue.add_after("never", timedelta.max)
            await LoopClock().sleep(timedelta(days=3))
            queue.add("now")

        assert getter.result() == "now"

    @virtual
    async def test_many_delays_that_end_together_do_not_hold_up_the_loop(self) -> None:
        """Ten thousand keys due at once and a worker that never waits: others get their turns."""
        queue, clock = a_queue(), LoopClock()
        taken = 0
        between_turns: list[int] = []
        moved: set[int] = set()
        for number in range(10_000):
            queue.add_after(number, seconds(5))

        async def work() -> None:
            nonlocal taken
            while taken < 10_000:
                queue.done(await queue.get())
                taken += 1
                moved.add(len(queue._kernel._levels[0].ended))

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            await clock.sleep(seconds(4))
            while taken < 10_000:
                before = taken
                await clock.sleep(timedelta(0) if taken else seconds(1))
                between_turns.append(taken - before)

        assert max(between_turns) <= 64
        assert max(moved) <= 1

    @virtual
    async def test_a_getter_cancelled_while_it_waits_leaves_no_trace(self) -> None:
        """The next key goes to the next getter."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            cancelled = group.create_task(queue.get())
            waiting = group.create_task(queue.get())
            await settle()
            cancelled.cancel()
            queue.add("a")

        assert cancelled.cancelled()
        assert waiting.result() == "a"

    @virtual
    async def test_a_getter_cancelled_after_it_was_woken_loses_no_key(self) -> None:
        """The key that it was woken for goes to another getter, now or later."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            cancelled = group.create_task(queue.get())
            waiting = group.create_task(queue.get())
            await settle()
            queue.add("a")
            cancelled.cancel()

        assert cancelled.cancelled()
        assert waiting.result() == "a"

    @virtual
    async def test_a_getter_that_times_out_can_be_called_again(self) -> None:
        """Giving up on `get` again and again neither loses keys nor keeps getters."""
        queue = a_queue()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await queue.get()
        left = len(queue._getters)
        queue.add("a")

        assert left == 0
        assert await queue.get() == "a"

    @virtual
    async def test_shutdown_ends_every_getter(self) -> None:
        """Waiting getters and later ones are told; keys added later are dropped."""
        queue = a_queue()
        queue.add_after("a", seconds(1))
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_ended(queue)) for _ in range(3)]
            await settle()
            queue.shut_down()
        queue.add("b")

        assert [task.result() for task in waiting] == [True] * 3
        assert await _ended(queue)
        assert len(queue) == 0

    @virtual
    async def test_shutdown_leaves_no_timer_and_lets_running_keys_end(self) -> None:
        """`done` still works for what was taken before."""
        clock = WatchedClock()
        queue = a_queue(clock)
        queue.add("running")
        queue.add_after("waiting", seconds(60))
        key = await queue.get()
        async with asyncio.TaskGroup() as group:
            group.create_task(_ended(queue))
            await settle()
            pending = clock.timers_pending
            queue.shut_down()

        queue.done(key)

        assert pending == 1
        assert clock.timers_pending == 0
        assert queue.running_seconds() == []

    @virtual
    async def test_failures_grow_the_delay_until_forgotten(self) -> None:
        """5 ms doubled with every failure in a row; `forget` starts from the beginning."""
        queue = a_queue()

        delays = [queue.add_rate_limited("a") for _ in range(4)]
        failures = queue.failures("a")
        queue.forget("a")
        afterwards = queue.add_rate_limited("a")

        assert [delay.total_seconds() for delay in delays] == [0.005, 0.01, 0.02, 0.04]
        assert failures == 4
        assert afterwards == timedelta(milliseconds=5)

    @virtual
    async def test_a_failed_key_comes_back_after_its_delay(self) -> None:
        """What is added while the key runs counts from then, not from the end of the run."""
        queue, clock = a_queue(), LoopClock()
        queue.add("a")
        key = await queue.get()
        started = clock.monotonic()
        queue.add_rate_limited(key)
        queue.done(key)

        again = await queue.get()

        assert again == "a"
        assert clock.monotonic() - started == pytest.approx(0.005, abs=1e-6)

    @virtual
    async def test_length_counts_ready_keys_only(self) -> None:
        """Keys that wait or run are not counted; those whose delay has just ended are."""
        queue, clock = a_queue(), LoopClock()
        for key in ("running", "ready"):
            queue.add(key)
        await queue.get()
        queue.add_after("waiting", seconds(10))
        before = len(queue)
        await clock.sleep(seconds(11))

        assert before == 1
        assert len(queue) == 2

    @virtual
    async def test_metrics_tell_what_happened(self) -> None:
        """Counters and gauges are asked for at scrape time and grow while a key is worked on."""
        metrics, clock = Metrics(), LoopClock()
        queue = a_queue(metrics=metrics)

        def value(name: str, **labels: str) -> float | None:
            labels = {"name": "echo", "controller": "echo", **labels}
            return metrics.registry.get_sample_value(f"workqueue_{name}", labels)

        for key in ("a", "b", "c"):
            queue.add(key)
        queue.add("a")
        queue.add_after("a", timedelta(0))
        queue.add_after("d", seconds(1))
        await clock.sleep(seconds(3))
        await queue.get()
        await clock.sleep(seconds(4))
        queue.done(await queue.get())

        assert value("depth", priority="0") == 2
        assert value("adds_total") == 4
        assert value("retries_total") == 1
        assert value("queue_duration_seconds_sum") == 3 + 7
        assert value("work_duration_seconds_count") == 1
        assert value("unfinished_work_seconds") == 4
        assert value("longest_running_processor_seconds") == 4

    @virtual
    async def test_urgent_keys_come_first_and_keep_their_priority(self) -> None:
        """The priority a key was handed out with is known while it runs, for its requeue."""
        queue = a_queue()
        queue.add("listed", priority=LOW_PRIORITY)
        queue.add("changed")

        order = [await queue.get(), await queue.get()]

        assert order == ["changed", "listed"]
        assert [queue.priority(key) for key in order] == [0, LOW_PRIORITY]

    @virtual
    async def test_why_a_key_runs_is_known_while_it_runs(self) -> None:
        """Causes come with the moment at which they were told, and are gone with the run."""
        queue, clock = a_queue(), LoopClock()
        began = clock.monotonic()
        created, deleted = Cause(Trigger.CREATED, name="a"), Cause(Trigger.DELETED, name="a")
        queue.add("a", cause=created)
        await clock.sleep(seconds(2))
        queue.add_after("a", seconds(5), cause=deleted)
        await queue.get()

        causes = queue.causes("a")
        queue.done("a")
        queue.add("a")
        await queue.get()

        assert causes == ((began, created), (began + 2, deleted))
        assert queue.causes("a") == ()

    @virtual
    async def test_a_held_key_comes_when_it_is_let_go(self) -> None:
        """No worker is blocked meanwhile: other keys are handed out."""
        queue = a_queue()
        queue.add("a")
        await queue.get()
        queue.hold("a")
        queue.add("a")
        queue.done("a")
        queue.add("b")
        async with asyncio.TaskGroup() as group:
            other = group.create_task(queue.get())
            waiting = group.create_task(queue.get())
            await settle()
            early, held = waiting.done(), queue.held

            queue.unhold("a")

        assert (early, held, queue.held) == (False, 1, 0)
        assert [other.result(), waiting.result()] == ["b", "a"]

    @virtual
    async def test_a_getter_whose_key_is_held_meanwhile_keeps_its_place(self) -> None:
        """Woken for a key that it cannot have, it is still the first in the line."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(queue.get())
            second = group.create_task(queue.get())
            await settle()
            queue.add("held")
            queue.hold("held")
            await settle()
            early = (first.done(), second.done())
            queue.add("a")
            queue.add("b")

        assert early == (False, False)
        assert [first.result(), second.result()] == ["a", "b"]

    @virtual
    async def test_a_getter_whose_key_is_held_ends_with_the_queue(self) -> None:
        """Shutting down tells it whatever it waited for."""
        queue = a_queue()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_ended(queue))
            await settle()
            queue.add("held")
            queue.hold("held")
            await settle()
            queue.shut_down()
            queue.unhold("held")

        assert waiting.result()

    @virtual
    async def test_depth_is_told_by_priority(self) -> None:
        """A level that was seen stays visible at zero; the plain level is always there."""
        metrics = Metrics()
        queue = a_queue(metrics=metrics)

        def depth(priority: int) -> float | None:
            labels = {"name": "echo", "controller": "echo", "priority": str(priority)}
            return metrics.registry.get_sample_value("workqueue_depth", labels)

        before = (depth(0), depth(LOW_PRIORITY))
        queue.add("a", priority=LOW_PRIORITY)
        queue.add("b", priority=LOW_PRIORITY)
        queue.add("c")
        filled = (depth(0), depth(LOW_PRIORITY))
        for _ in range(3):
            queue.done(await queue.get())

        assert before == (0, None)
        assert filled == (1, 2)
        assert (depth(0), depth(LOW_PRIORITY)) == (0, 0)

    @virtual
    async def test_priorities_without_end_share_one_label(self) -> None:
        """Priorities are numbers of the embedder's choice: labels must stay few."""
        metrics = Metrics()
        queue = a_queue(metrics=metrics)
        for number in range(40):
            queue.add(number, priority=number)

        (depths,) = [f for f in metrics.registry.collect() if f.name == "workqueue_depth"]
        by_label = {sample.labels["priority"]: sample.value for sample in depths.samples}

        assert len(by_label) == 25 + 1
        assert by_label["exceeded_cardinality_limit"] == 15
        assert sum(by_label.values()) == 40


async def _ended(queue: WorkQueue[Any]) -> bool:
    try:
        await queue.get()
    except QueueShutDown:
        return True
    return False
