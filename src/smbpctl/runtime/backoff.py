"""How long to wait before trying again: one growing delay, kept per key or per connection."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar, final

from smbpctl.runtime.clock import Clock, Random

K = TypeVar("K", bound=Hashable)


@final
@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """A delay that grows by `factor` with each failure in a row, from `base` to at most `cap`.

    `jitter` is the share of the delay that is left to chance, always downwards: a delay of ten
    seconds with jitter 0.1 lasts nine to ten. Things that fail together thus do not come back
    together, and `cap` is a true bound. Raise ValueError when the numbers make no sense.
    """

    base: timedelta = timedelta(milliseconds=5)
    factor: float = 2.0
    cap: timedelta = timedelta(seconds=1000)
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not timedelta(0) < self.base <= self.cap:
            raise ValueError(f"base {self.base} must be positive and at most cap {self.cap}")
        if not 1.0 <= self.factor < math.inf:
            raise ValueError(f"factor must be finite and at least 1, not {self.factor}")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter}")

    def delay(self, failures: int, random: Random) -> timedelta:
        """Return the delay after so many failures in a row; none counts as one."""
        steps = max(0, failures - 1)
        # Compared as logarithms: the power itself overflows after about a thousand failures.
        capped = steps * math.log(self.factor) >= math.log(self.cap / self.base)
        delay = self.cap if capped else min(self.cap, self.base * self.factor**steps)
        return delay * (1.0 - self.jitter * random.random())


@final
class ItemBackoff(Generic[K]):
    """Counts failures per key and says how long each key waits.

    A key takes memory from its first failure until `forget`.
    """

    __slots__ = ("_failures", "_policy", "_random")

    def __init__(self, policy: ExponentialBackoff, random: Random) -> None:
        self._policy = policy
        self._random = random
        self._failures: dict[K, int] = {}

    def when(self, key: K) -> timedelta:
        """Count one more failure of `key` and return how long it waits now."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        return self._policy.delay(failures, self._random)

    def forget(self, key: K) -> None:
        """Start `key` from the beginning; harmless when it never failed."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Return how many times in a row `key` has failed."""
        return self._failures.get(key, 0)


@final
class ReconnectBackoff:
    """Delays between attempts to reach a server, left to chance; starts anew after a quiet time.

    Each delay is drawn between `base` and three times the one before, and is at most `cap`
    ("decorrelated jitter", AWS Architecture Blog, "Exponential Backoff And Jitter"): clients that
    lose a server at the same moment come back spread over the whole time, not in waves.

    Nobody reports success: a stream that lasted for `reset_after` was one, so the growth is
    dropped when `next` was not called for that long. Base, cap and quiet time are those of
    client-go's reflector.
    """

    __slots__ = ("_asked_at", "_base", "_cap", "_clock", "_previous", "_random", "_reset_after")

    def __init__(
        self,
        clock: Clock,
        random: Random,
        *,
        base: timedelta = timedelta(milliseconds=800),
        cap: timedelta = timedelta(seconds=30),
        reset_after: timedelta = timedelta(minutes=2),
    ) -> None:
        if not timedelta(0) < base <= cap:
            raise ValueError(f"base {base} must be positive and at most cap {cap}")
        self._clock = clock
        self._random = random
        self._base = base.total_seconds()
        self._cap = cap.total_seconds()
        self._reset_after = reset_after.total_seconds()
        self._previous = self._base
        self._asked_at = -math.inf

    def next(self) -> timedelta:
        """Count one more failure and return how long to wait before the next attempt."""
        now = self._clock.monotonic()
        if now - self._asked_at >= self._reset_after:
            self._previous = self._base
        self._asked_at = now
        drawn = self._random.uniform(self._base, self._previous * 3)
        self._previous = min(self._cap, drawn)
        return timedelta(seconds=self._previous)
