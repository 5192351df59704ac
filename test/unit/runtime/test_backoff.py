"""Delays before trying again: they grow, are bounded, and start anew when things went well."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff, ReconnectBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from test.support.virtual_time import run_virtual

PLAIN = ExponentialBackoff(jitter=0.0)
CHANCE = seeded_random(7)


class TestExponentialBackoff:
    @pytest.mark.parametrize(
        ("failures", "milliseconds"),
        [(0, 5), (1, 5), (2, 10), (3, 20), (10, 2560), (18, 655_360), (19, 1_000_000)],
    )
    def test_delay_doubles_from_5_ms_to_1000_s(self, failures: int, milliseconds: int) -> None:
        """The defaults are controller-runtime's; no failure counts as one."""
        delay = PLAIN.delay(failures, CHANCE)

        assert delay == timedelta(milliseconds=milliseconds)

    def test_any_number_of_failures_has_a_delay(self) -> None:
        """A key that fails for months does not overflow anything."""
        delay = PLAIN.delay(10**9, CHANCE)

        assert delay == PLAIN.cap

    def test_a_factor_of_one_is_a_constant_delay(self) -> None:
        """The delay need not grow."""
        policy = ExponentialBackoff(base=timedelta(seconds=3), factor=1.0, jitter=0.0)

        delays = {policy.delay(failures, CHANCE) for failures in (1, 2, 50, 5000)}

        assert delays == {timedelta(seconds=3)}

    @given(
        base=st.timedeltas(timedelta(milliseconds=1), timedelta(seconds=10)),
        factor=st.floats(1.0, 10.0),
        cap=st.timedeltas(timedelta(seconds=10), timedelta(days=1)),
        jitter=st.floats(0.0, 1.0),
        failures=st.integers(0, 3000),
        seed=st.integers(0, 99),
    )
    def test_delay_stays_between_its_bounds(
        self,
        base: timedelta,
        factor: float,
        cap: timedelta,
        jitter: float,
        failures: int,
        seed: int,
    ) -> None:
        """Chance only shortens, by at most the jitter, and the cap is never exceeded."""
        exact = ExponentialBackoff(base, factor, cap, 0.0).delay(failures, CHANCE)

        delay = ExponentialBackoff(base, factor, cap, jitter).delay(failures, seeded_random(seed))

        assert base <= exact <= cap
        assert exact * (1.0 - jitter) <= delay <= exact

    def test_things_that_fail_together_come_back_apart(self) -> None:
        """With jitter a hundred keys do not share one moment."""
        policy, random = ExponentialBackoff(), seeded_random(3)

        delays = {policy.delay(12, random) for _ in range(100)}

        assert len(delays) > 90

    @pytest.mark.parametrize(
        "numbers",
        [
            {"base": timedelta(0)},
            {"base": timedelta(seconds=2), "cap": timedelta(seconds=1)},
            {"factor": 0.5},
            {"factor": float("inf")},
            {"factor": float("nan")},
            {"jitter": -0.1},
            {"jitter": 1.1},
        ],
    )
    def test_nonsense_is_refused(self, numbers: dict[str, Any]) -> None:
        """A policy that cannot be meant fails where it is made."""
        with pytest.raises(ValueError, match=next(iter(numbers))):
            ExponentialBackoff(**numbers)


class TestItemBackoff:
    def test_each_key_has_its_own_count(self) -> None:
        """One failing key does not slow another."""
        backoff: ItemBackoff[str] = ItemBackoff(PLAIN, CHANCE)
        for _ in range(5):
            backoff.when("bad")

        delay = backoff.when("good")

        assert delay == timedelta(milliseconds=5)
        assert backoff.failures("bad") == 5
        assert backoff.failures("good") == 1
        assert backoff.failures("unknown") == 0

    def test_forget_starts_from_the_beginning(self) -> None:
        """After a success the next failure is the first; forgetting an unknown key is fine."""
        backoff: ItemBackoff[str] = ItemBackoff(PLAIN, CHANCE)
        for _ in range(5):
            backoff.when("a")

        backoff.forget("a")
        backoff.forget("unknown")

        assert backoff.failures("a") == 0
        assert backoff.when("a") == timedelta(milliseconds=5)


def delays(count: int, seed: int = 7, **options: timedelta) -> list[float]:
    """Return the delays of so many failures in a row, in seconds."""

    async def main() -> list[float]:
        backoff = ReconnectBackoff(LoopClock(), seeded_random(seed), **options)
        return [backoff.next().total_seconds() for _ in range(count)]

    return run_virtual(main())


class TestReconnectBackoff:
    @given(st.integers(0, 10_000))
    def test_each_delay_is_between_800_ms_and_three_times_the_one_before(self, seed: int) -> None:
        """Base and cap are client-go's: 0.8 s and 30 s."""
        drawn = delays(20, seed)

        for before, delay in pairwise([0.8, *drawn]):
            assert 0.8 <= delay <= min(30.0, before * 3) + 1e-6

    def test_a_server_that_stays_away_is_asked_rarely(self) -> None:
        """The delays grow towards the cap, and reach it."""
        drawn = [delays(12, seed) for seed in range(200)]

        means = [sum(each) / len(each) for each in zip(*drawn, strict=True)]
        assert means[0] < 1.7 < 5 < means[6]
        assert all(mean > 9 for mean in means[9:])
        assert max(map(max, drawn)) == 30.0

    def test_clients_that_lost_one_server_come_back_spread_out(self) -> None:
        """No two in step, and no second of the possible time holds a crowd of them."""
        fifth = sorted(delays(5, seed)[-1] for seed in range(300))

        assert len(set(fifth)) > 250
        crowds = Counter(int(delay) for delay in fifth if delay < 30.0)
        assert max(crowds.values()) < 60
        assert fifth[-1] - fifth[0] > 20

    def test_the_same_seed_gives_the_same_delays(self) -> None:
        """So that a simulation can be played again."""
        assert delays(9, 3) == delays(9, 3) != delays(9, 4)

    @pytest.mark.parametrize(("quiet", "anew"), [(119, False), (120, True), (5000, True)])
    def test_starts_anew_after_two_quiet_minutes(self, quiet: int, anew: bool) -> None:
        """A stream that lasted two minutes was a success; one of a shorter life was not."""

        async def main(seed: int) -> float:
            clock = LoopClock()
            backoff = ReconnectBackoff(clock, seeded_random(seed))
            for _ in range(8):
                backoff.next()
            await clock.sleep(timedelta(seconds=quiet))
            return backoff.next().total_seconds()

        drawn = [run_virtual(main(seed)) for seed in range(40)]

        assert (max(drawn) <= 2.4) is anew

    def test_repeated_short_quiets_do_not_add_up(self) -> None:
        """The quiet time is counted from the last attempt, not from the first."""

        async def main(seed: int) -> float:
            clock = LoopClock()
            backoff = ReconnectBackoff(clock, seeded_random(seed))
            for _ in range(8):
                backoff.next()
                await clock.sleep(timedelta(seconds=60))
            return backoff.next().total_seconds()

        assert max(run_virtual(main(seed)) for seed in range(40)) > 10

    @pytest.mark.parametrize(
        "numbers",
        [
            {"base": timedelta(0)},
            {"base": timedelta(seconds=-1)},
            {"base": timedelta(seconds=2), "cap": timedelta(seconds=1)},
        ],
    )
    def test_nonsense_is_refused(self, numbers: dict[str, timedelta]) -> None:
        """At construction, not at the first failure."""
        with pytest.raises(ValueError, match="must be positive and at most"):
            ReconnectBackoff(LoopClock(), CHANCE, **numbers)
