"""Which runs are stuck, and what is the event loop's fault."""

from collections.abc import Mapping

import pytest

from smbpctl.runtime.controller import StuckPolicy, Watchdog
from smbpctl.runtime.controller.watchdog import Stuck
from test.support.controllers import seconds

POLICY = StuckPolicy(floor=seconds(30), factor=10.0, every=seconds(5), tolerance=seconds(1))


def looks(
    watchdog: Watchdog[str], running: Mapping[str, float], *moments: float
) -> list[tuple[Stuck[str], ...]]:
    """Look in time at each of the moments; return what was told each time."""
    told: list[tuple[Stuck[str], ...]] = []
    for now in moments:
        watchdog.due(now)
        told.append(watchdog.look(running, now).told)
    return told


class TestThreshold:
    """When a run has lasted too long."""

    @pytest.mark.parametrize(
        ("durations", "threshold"),
        [
            ([], 30.0),
            ([0.1] * 1000, 30.0),
            ([4.0] * 100, 40.0),
            ([4.0] * 200 + [100.0], 40.0),
            ([4.0] * 50 + [100.0] * 50, 1000.0),
        ],
        ids=["nothing known", "fast", "slow", "an outlier", "two kinds"],
    )
    def test_it_follows_the_slowest_runs_but_not_a_single_one(
        self, durations: list[float], threshold: float
    ) -> None:
        """Ten times the 99th percentile, and never less than the floor."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        for duration in durations:
            watchdog.ended(duration)

        assert watchdog.threshold() == threshold

    def test_the_last_runs_count(self) -> None:
        """What was slow yesterday does not excuse what is slow today."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        for duration in [100.0] * 512 + [1.0] * 512:
            watchdog.ended(duration)

        assert watchdog.threshold() == 30.0


class TestLook:
    """What is told, and when."""

    def test_each_stage_is_told_once(self) -> None:
        """At 30, 60 and 120 seconds, not at every look between."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        running = {"a": 1000.0, "b": 1025.0}

        told = looks(watchdog, running, 1029.0, 1030.0, 1035.0, 1059.0, 1060.0, 1119.0, 1120.0)

        assert told == [
            (),
            (Stuck("a", 30.0, 1),),
            (),
            (Stuck("b", 34.0, 1),),
            (Stuck("a", 60.0, 2),),
            (Stuck("b", 94.0, 2),),
            (Stuck("a", 120.0, 3),),
        ]

    def test_the_next_run_of_a_key_starts_anew(self) -> None:
        """Stages belong to a run, and how many are stuck is told at each look."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        watchdog.due(1030.0)
        first = watchdog.look({"a": 1000.0}, 1030.0)
        watchdog.due(1035.0)
        between = watchdog.look({"a": 1031.0}, 1035.0)
        watchdog.due(1065.0)
        second = watchdog.look({"a": 1031.0}, 1065.0)

        assert (first.stuck, between.stuck, second.stuck) == (1, 0, 1)
        assert second.told == (Stuck("a", 34.0, 1),)

    def test_time_in_which_the_loop_was_blocked_is_no_runs(self) -> None:
        """The watchdog comes 40 s late: nothing could go on, so nobody is stuck yet."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        watchdog.due(1005.0)

        late = watchdog.look({"a": 1000.0, "b": 1040.0}, 1045.0)
        told = looks(watchdog, {"a": 1000.0, "b": 1040.0}, 1069.0, 1070.0, 1075.0)

        assert (late.blocked, late.told) == (40.0, ())
        assert told == [(), (Stuck("a", 30.0, 1),), (Stuck("b", 30.0, 1),)]

    def test_a_little_late_is_not_blocked(self) -> None:
        """A busy loop serves its timers late without being blocked."""
        watchdog: Watchdog[str] = Watchdog(POLICY)
        watchdog.due(1005.0)

        assert watchdog.look({"a": 1000.0}, 1006.0).blocked == 0.0

    def test_the_first_look_is_never_late(self) -> None:
        """Nothing was due before."""
        assert Watchdog[str](POLICY).look({}, 1e9).blocked == 0.0


class TestPolicy:
    """Senseless numbers."""

    @pytest.mark.parametrize(
        "numbers",
        [
            {"floor": seconds(0)},
            {"every": seconds(0)},
            {"factor": 0.5},
            {"tolerance": seconds(-1)},
        ],
        ids=str,
    )
    def test_they_are_refused(self, numbers: dict[str, float]) -> None:
        """A mistake is found where it is made."""
        with pytest.raises(ValueError, match=r"must (not )?be|at least 1"):
            StuckPolicy(**numbers)  # type: ignore[arg-type]
