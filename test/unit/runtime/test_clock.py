"""The one place that knows time and chance."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smbpctl.runtime.clock import LoopClock, SystemClock, boottime, seeded_random, system_random
from test.support.virtual_time import run_virtual


class TestSystemClock:
    async def test_it_agrees_with_the_loop(self) -> None:
        """Intervals are the same; waiting and timers are the loop's."""
        clock, loop = SystemClock(), LoopClock()
        ran = asyncio.Event()
        began, loop_began = clock.monotonic(), loop.monotonic()

        clock.call_later(timedelta(milliseconds=5), ran.set)
        await ran.wait()
        await clock.sleep(timedelta(milliseconds=5))

        passed, loop_passed = clock.monotonic() - began, loop.monotonic() - loop_began
        assert passed == pytest.approx(loop_passed, abs=0.5)
        assert abs(clock.now() - loop.now()) < timedelta(minutes=1)


class TestLoopClock:
    def test_sleep_takes_the_loops_time(self) -> None:
        """Under a virtual loop an hour passes at once, and exactly."""

        async def main() -> float:
            clock = LoopClock()
            started = clock.monotonic()
            await clock.sleep(timedelta(hours=1))
            return clock.monotonic() - started

        assert run_virtual(main()) == pytest.approx(3600, abs=1e-6)

    @pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=-5)])
    def test_no_delay_yields_once(self, delay: timedelta) -> None:
        """Others get a turn and no time passes."""

        async def main() -> tuple[list[str], float]:
            clock = LoopClock()
            order: list[str] = []

            async def other() -> None:
                order.append("other")

            started = clock.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(other())
                await clock.sleep(delay)
                order.append("sleeper")
            return order, clock.monotonic() - started

        assert run_virtual(main()) == (["other", "sleeper"], 0.0)

    def test_timers_run_in_the_order_of_their_moments(self) -> None:
        """A cancelled one does not run; cancelling one that has run is harmless."""

        async def main() -> list[tuple[str, float]]:
            clock = LoopClock()
            started = clock.monotonic()
            ran: list[tuple[str, float]] = []

            def note(name: str) -> None:
                ran.append((name, round(clock.monotonic() - started, 6)))

            clock.call_later(timedelta(seconds=2), lambda: note("late"))
            early = clock.call_later(timedelta(seconds=1), lambda: note("early"))
            cancelled = clock.call_later(timedelta(seconds=1), lambda: note("cancelled"))
            clock.call_later(timedelta(seconds=-1), lambda: note("overdue"))
            cancelled.cancel()
            await clock.sleep(timedelta(seconds=3))
            early.cancel()
            return ran

        assert run_virtual(main()) == [("overdue", 0.0), ("early", 1.0), ("late", 2.0)]

    def test_wall_clock_time_is_aware_and_utc(self) -> None:
        """Timestamps never depend on the machine's time zone."""
        now = LoopClock().now()

        assert now.tzinfo is UTC
        assert now > datetime(2025, 1, 1, tzinfo=UTC)

    def test_time_needs_a_loop(self) -> None:
        """There is no other source of intervals that could disagree with the loop's."""
        with pytest.raises(RuntimeError, match="no running event loop"):
            LoopClock().monotonic()


class TestRandom:
    def test_a_seed_repeats(self) -> None:
        """A simulation is replayed from its seed."""
        first, second, other = seeded_random(1), seeded_random(1), seeded_random(2)

        numbers = [(r.random(), r.uniform(3, 4), r.getrandbits(64)) for r in (first, second, other)]

        assert numbers[0] == numbers[1]
        assert numbers[0] != numbers[2]
        assert 0 <= numbers[0][0] < 1
        assert 3 <= numbers[0][1] <= 4

    def test_the_systems_chance_does_not_repeat(self) -> None:
        """Replicas that start together must not act together."""
        numbers = {system_random().getrandbits(64) for _ in range(8)}

        assert len(numbers) == 8


class TestBoottime:
    def test_it_never_goes_back(self) -> None:
        """Any thread may ask, and needs no loop."""
        first = boottime()

        assert boottime() >= first

    async def test_it_is_never_behind_the_clock_that_stands_still_in_suspend(self) -> None:
        """What the loop's time leaves out is counted here."""
        awake = LoopClock().monotonic()

        assert boottime() >= awake
