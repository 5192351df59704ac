"""Silence ends a block after its limit, and long work gives way."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.runtime.informer.patience import Turn, ends_when_silent
from test.support.virtual_time import run_virtual

LIMIT = timedelta(seconds=10)


class StepClock:
    """A clock on which every look costs a millisecond; counts the yields."""

    def __init__(self) -> None:
        self.time = 0.0
        self.yields = 0

    def monotonic(self) -> float:
        """Return the time, one millisecond later each time."""
        self.time += 0.001
        return self.time

    def now(self) -> datetime:
        """Not used."""
        raise NotImplementedError

    async def sleep(self, delay: timedelta) -> None:
        """Count."""
        self.yields += 1

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Not used."""
        raise NotImplementedError


def test_silence_ends_the_block_at_its_limit() -> None:
    """Counted from the last sign of life, not from the beginning."""
    clock = LoopClock()

    async def speak_three_times_then_never() -> None:
        async with ends_when_silent(clock, LIMIT) as heard:
            for _ in range(3):
                await clock.sleep(timedelta(seconds=9))
                heard()
            await asyncio.Event().wait()

    async def scenario() -> float:
        began = clock.monotonic()
        with pytest.raises(TimeoutError):
            await speak_three_times_then_never()
        return clock.monotonic() - began

    assert run_virtual(scenario()) == pytest.approx(37)


def test_a_block_that_ends_leaves_no_timer() -> None:
    """What happens later is not cut off."""
    clock = LoopClock()

    async def scenario() -> str:
        async with ends_when_silent(clock, LIMIT):
            await clock.sleep(timedelta(seconds=9))
        await clock.sleep(timedelta(seconds=60))
        return "undisturbed"

    assert run_virtual(scenario()) == "undisturbed"


def test_errors_and_cancellation_pass_through() -> None:
    """Only silence is reported as a timeout."""
    clock = LoopClock()

    async def scenario() -> None:
        with pytest.raises(KeyError):
            async with ends_when_silent(clock, LIMIT):
                raise KeyError("x")
        with pytest.raises(asyncio.CancelledError):
            async with ends_when_silent(clock, LIMIT):
                raise asyncio.CancelledError

    run_virtual(scenario())


async def test_work_gives_way_when_its_turn_is_spent() -> None:
    """A turn of 3.5 ms and 1 ms per look: every fourth piece of work yields."""
    clock = StepClock()
    turn = Turn(clock, timedelta(milliseconds=3.5))

    for _ in range(20):
        if turn.over():
            await turn.next()

    assert clock.yields == 5


async def test_waiting_in_between_does_not_start_a_new_turn() -> None:
    """What was waited for may have been there already, so that nobody else could run."""
    clock = StepClock()
    turn = Turn(clock, timedelta(milliseconds=10))

    for _ in range(20):
        turn.resume()
        if turn.over():
            await turn.next()
        turn.rest()

    assert clock.yields >= 3
