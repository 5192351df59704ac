"""Tests of when a node tries again: restarts of containers, pulls of images."""

from datetime import UTC, datetime, timedelta

from smbpctl.runtime.simulation.agents.retries import PullAttempts, restart_delay
from test.unit.runtime.simulation.agents.builders import KEY, pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = timedelta(seconds=10)


def attempts() -> PullAttempts:
    """Return a record of attempts that tells of each for a second."""
    return PullAttempts(base=BASE, told_for=timedelta(seconds=1))


def test_restart_delays_double_up_to_five_minutes() -> None:
    """The first restart is at once; then the delay doubles from its base, and is bounded."""
    delays = [restart_delay(n, BASE).total_seconds() for n in (0, 1, 2, 3, 6, 7, 10_000)]

    assert delays == [0, 10, 20, 40, 300, 300, 300]


def test_pulls_fail_anew_after_growing_delays() -> None:
    """The error is told after each attempt: at once, after 10 s, then 20 s and 40 s later."""
    pulls = attempts()

    failed = [
        second
        for second in range(75)
        if pulls.has_just_failed(pod(), NOW + timedelta(seconds=second))
    ]

    assert failed == [0, 10, 30, 70]


def test_a_namesake_starts_anew() -> None:
    """Another pod of the same name has had no attempt, nor has one that was forgotten."""
    pulls = attempts()
    pulls.has_just_failed(pod("uid-1"), NOW)
    later = NOW + timedelta(seconds=5)

    same = pulls.has_just_failed(pod("uid-1"), later)
    other = pulls.has_just_failed(pod("uid-2"), later)
    pulls.forget(KEY)
    forgotten = pulls.has_just_failed(pod("uid-2"), later + timedelta(seconds=5))

    assert (same, other, forgotten) == (False, True, True)
