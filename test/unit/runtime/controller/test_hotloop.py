"""When runs of a key are a loop, and how long it is kept back; see also the property tests."""

from typing import Any

import pytest

from smbpctl.runtime.controller import HotLoop, HotLoopGuard, HotLoopPolicy
from test.support.controllers import seconds

POLICY = HotLoopPolicy(runs=3, window=seconds(10), base=seconds(2), cap=seconds(5))


def guard_after(runs: int, *, at: float = 0.0) -> HotLoopGuard[str]:
    """Return a guard that saw so many runs of one key that were alike."""
    guard: HotLoopGuard[str] = HotLoopGuard(POLICY)
    for _ in range(runs):
        guard.wrote("a", "in", "out", at)
    return guard


class TestHotLoopGuard:
    """The rules, one by one."""

    def test_a_loop_is_found_at_its_third_run_and_slowed_down_more_and_more(self) -> None:
        """2, 4, then 5 seconds, which is the most."""
        guard = guard_after(0)

        found = [guard.wrote("a", "in", "out", 1.0) for _ in range(6)]

        assert found == [
            None,
            None,
            HotLoop(3, seconds(2), first=True),
            HotLoop(4, seconds(4), first=False),
            HotLoop(5, seconds(5), first=False),
            HotLoop(6, seconds(5), first=False),
        ]

    def test_keys_do_not_share_their_runs(self) -> None:
        """A thousand keys may write the same once each: that is what they are for."""
        guard = guard_after(2)

        assert guard.wrote("b", "in", "out", 0.0) is None

    @pytest.mark.parametrize("digests", [("in", "other"), ("other", "out")])
    def test_another_input_or_output_starts_anew(self, digests: tuple[str, str]) -> None:
        """Something moves on; also when the key was found to loop before."""
        guard = guard_after(5)

        assert guard.wrote("a", *digests, 0.0) is None
        assert guard.wrote("a", "in", "out", 0.0) is None

    def test_a_run_that_writes_nothing_ends_it(self) -> None:
        """The key has come to rest, and takes no memory."""
        guard = guard_after(5)

        guard.wrote_nothing("a")

        assert len(guard) == 0
        assert guard.wrote("a", "in", "out", 0.0) is None

    def test_slow_repetition_is_no_loop(self) -> None:
        """Three runs in more than ten seconds are a habit, not a loop."""
        guard = guard_after(0)

        found = [guard.wrote("a", "in", "out", 5.5 * number) for number in range(50)]

        assert found == [None] * 50

    def test_a_loop_that_is_slowed_down_is_still_one(self) -> None:
        """The delay itself makes it slower than the window."""
        guard, now = guard_after(2), 0.0
        for _ in range(20):
            found = guard.wrote("a", "in", "out", now)
            assert found is not None
            now += found.delay.total_seconds() + 9.0

    def test_long_after_it_is_forgiven(self) -> None:
        """Somebody who undoes our work once an hour is no loop of ours."""
        guard = guard_after(5)

        assert guard.wrote("a", "in", "out", 3600.0) is None

    def test_keys_that_went_away_are_forgotten(self) -> None:
        """A key whose object is gone never runs again to say so."""
        guard: HotLoopGuard[int] = HotLoopGuard(POLICY)
        for number in range(10_000):
            guard.wrote(number, "in", "out", float(number))

        assert len(guard) <= 1024

    @pytest.mark.parametrize(
        "numbers",
        [
            {"runs": 1},
            {"window": seconds(0)},
            {"base": seconds(0)},
            {"base": seconds(9), "cap": seconds(5)},
        ],
        ids=str,
    )
    def test_senseless_numbers_are_refused(self, numbers: dict[str, Any]) -> None:
        """A mistake is found where it is made."""
        with pytest.raises(ValueError, match=r"at least 2 runs|must be positive"):
            HotLoopPolicy(**numbers)
