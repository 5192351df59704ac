"""Finds keys whose reconciler writes the same again and again though nothing asks for it."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar, final

K = TypeVar("K", bound=Hashable)

_PRUNE_AT: Final = 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HotLoopPolicy:
    """When runs are a loop, and how it is slowed down.

    `runs` runs in a row with the same input and the same writes, all of them within `window`, are
    a loop. The key is then kept back for `base`, and twice as long after each further such run,
    up to `cap`. Raise ValueError when the numbers make no sense.
    """

    runs: int = 10
    window: timedelta = timedelta(seconds=30)
    base: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if self.runs < 2:
            raise ValueError(f"a loop has at least 2 runs, not {self.runs}")
        if self.window <= timedelta(0):
            raise ValueError(f"window must be positive, not {self.window}")
        if not timedelta(0) < self.base <= self.cap:
            raise ValueError(f"base {self.base} must be positive and at most cap {self.cap}")


@final
@dataclass(frozen=True, slots=True)
class HotLoop:
    """A run that belongs to a loop: the `count`-th like it in a row; `first` of those found."""

    count: int
    delay: timedelta
    first: bool


@final
class _Streak:
    """Runs of a key in a row that were alike."""

    __slots__ = ("count", "digests", "found", "moments", "until")

    def __init__(self, digests: tuple[str, str], runs: int) -> None:
        self.digests = digests
        self.count = 0
        self.moments: deque[float] = deque(maxlen=runs)
        self.found = 0  # how many of them were told as a loop
        self.until = 0.0  # a later run is no continuation


@final
class HotLoopGuard(Generic[K]):
    """Compares each run of a key with the one before. Synchronous; `now` is given.

    A reconciler that converges is never found: it ends with a run that writes nothing, and each
    of its writes leads to another input or to another write. One that for ever writes the same
    for the same input, faster than `runs` in `window`, always is. Runs that failed are no
    business of the guard: they have a growing delay already.

    Takes memory for keys whose last run wrote something, a bounded time long.
    """

    def __init__(self, policy: HotLoopPolicy) -> None:
        self._runs = policy.runs
        self._window = policy.window.total_seconds()
        self._base = policy.base
        self._cap = policy.cap
        self._streaks: dict[K, _Streak] = {}
        self._prune_at = _PRUNE_AT

    def wrote_nothing(self, key: K) -> None:
        """Take note of a run that wrote nothing: whatever it was, it has come to rest."""
        if self._streaks:
            self._streaks.pop(key, None)

    def wrote(self, key: K, input_digest: str, write_digest: str, now: float) -> HotLoop | None:
        """Take note of a run that wrote something; return the loop that it belongs to, if any."""
        digests = (input_digest, write_digest)
        streak = self._streaks.get(key)
        if streak is None or streak.digests != digests or now > streak.until:
            self._prune(now)
            streak = self._streaks[key] = _Streak(digests, self._runs)
        streak.count += 1
        streak.moments.append(now)
        streak.until = now + self._window
        if not streak.found:
            early = streak.count < self._runs
            if early or now - streak.moments[0] > self._window:
                return None
        delay = min(self._cap, self._base * 2 ** min(streak.found, 32))
        streak.found += 1
        streak.until += delay.total_seconds()
        return HotLoop(streak.count, delay, first=streak.found == 1)

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._streaks)

    def _prune(self, now: float) -> None:
        if len(self._streaks) < self._prune_at:
            return
        self._streaks = {k: streak for k, streak in self._streaks.items() if streak.until >= now}
        self._prune_at = max(_PRUNE_AT, 2 * len(self._streaks))
