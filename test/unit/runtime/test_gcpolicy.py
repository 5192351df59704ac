"""The collector is left alone until it is asked for, and put back as it was found."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import TimerHandle
from smbpctl.runtime.gcpolicy import GcPolicy

MINUTE = timedelta(minutes=1)


class Timer:
    """A call to come, unless it is cancelled."""

    def __init__(self, due: float, act: Callable[[], None]) -> None:
        self.due = due
        self.act = act
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the call."""
        self.cancelled = True


class StepClock:
    """Satisfies `Clock`; calls what is due when the test lets time pass."""

    def __init__(self) -> None:
        self.time = 0.0
        self.timers: list[Timer] = []

    def monotonic(self) -> float:
        """Return the time."""
        return self.time

    def now(self) -> datetime:
        """Not used."""
        raise NotImplementedError

    async def sleep(self, delay: timedelta) -> None:
        """Not used."""
        raise NotImplementedError

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Note the call."""
        timer = Timer(self.time + delay.total_seconds(), callback)
        self.timers.append(timer)
        return timer

    def advance(self, delay: timedelta) -> None:
        """Let time pass."""
        self.time += delay.total_seconds()
        due = [each for each in self.timers if each.due <= self.time]
        self.timers = [each for each in self.timers if each.due > self.time]
        for timer in due:
            if not timer.cancelled:
                timer.act()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Whatever a test does, the next one finds the collector as it was."""
    found, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*found)
    (gc.enable if enabled else gc.disable)()


@pytest.fixture
def policy() -> Iterator[GcPolicy]:
    """A policy of its own, stopped afterwards."""
    made = GcPolicy()
    yield made
    while made.active:
        made.stop()


def state() -> tuple[Any, ...]:
    """Return all that is global."""
    return gc.get_threshold(), gc.isenabled(), gc.get_freeze_count(), list(gc.callbacks)


def test_importing_changes_nothing() -> None:
    """Neither this module nor the whole of what embedders import."""
    program = """
import gc
before = gc.get_threshold(), gc.isenabled(), gc.get_freeze_count(), len(gc.callbacks)
import smbpctl.runtime.gcpolicy, smbpctl.runtime.manager
after = gc.get_threshold(), gc.isenabled(), gc.get_freeze_count(), len(gc.callbacks)
assert before == after, (before, after)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": "src"})


def test_nothing_is_collected_until_the_first_lists_are_there(policy: GcPolicy) -> None:
    """Then what is there is frozen, and the collector runs again, more rarely than before."""
    found = gc.get_threshold()

    synced = policy.start(StepClock())
    paused = gc.isenabled()
    synced()

    assert not paused
    assert gc.isenabled()
    assert gc.get_threshold() > found
    assert gc.get_freeze_count() > 1000


def test_the_pause_is_bounded(policy: GcPolicy) -> None:
    """A cluster that does not answer must not make the process grow for ever."""
    clock = StepClock()

    policy.start(clock)
    clock.advance(2 * MINUTE)

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_last_to_stop_restores_what_was_found(policy: GcPolicy) -> None:
    """Two managers of one process share the policy."""
    gc.set_threshold(333, 4, 5)
    before = state()
    first, second = policy.start(StepClock()), policy.start(StepClock())

    first()
    waiting = gc.isenabled()
    second()
    policy.stop()
    still = gc.get_threshold()
    policy.stop()

    assert not waiting, "the second one's lists are not there yet"
    assert still != (333, 4, 5)
    assert state() == before


def test_a_collector_that_was_off_stays_off(policy: GcPolicy) -> None:
    """The embedder knows why."""
    gc.disable()

    policy.start(StepClock())()
    policy.stop()

    assert not gc.isenabled()


def test_what_is_not_frozen_is_collected_every_half_minute(policy: GcPolicy) -> None:
    """So that cycles made since do not wait for a threshold that is seldom reached."""
    clock = StepClock()
    policy.start(clock)()
    cycle: list[Any] = []
    cycle.append(cycle)
    marker = threading.Event()

    class Dies:
        def __del__(self) -> None:
            marker.set()

    cycle.append(Dies())
    del cycle
    collected = policy.collections
    clock.advance(timedelta(seconds=31))

    assert marker.is_set()
    assert policy.collections > collected


def test_the_worst_pause_is_measured_on_any_thread(policy: GcPolicy) -> None:
    """A collection stops the loop, whoever causes it."""
    policy.start(StepClock())()
    collecting = threading.Thread(target=gc.collect)
    collecting.start()
    collecting.join()

    assert policy.collections >= 1
    assert policy.worst_pause > timedelta(0)


def test_telling_twice_or_late_does_nothing(policy: GcPolicy) -> None:
    """Nor does it upset what others wait for."""
    first, _ = policy.start(StepClock()), policy.start(StepClock())
    first()
    first()
    paused = not gc.isenabled()
    policy.stop()
    policy.stop()
    before = state()
    first()

    assert paused
    assert state() == before
    with pytest.raises(RuntimeError, match="more often"):
        policy.stop()
