"""Finds runs that last far longer than they should, and tells them from a blocked event loop."""

import math
from array import array
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar, final

K = TypeVar("K", bound=Hashable)

_REMEMBERED: Final = 512
"""Of how many past runs the 99th percentile is taken."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StuckPolicy:
    """When a run counts as stuck: after `factor` times the 99th percentile, and after `floor`.

    It is told then, and again whenever it has lasted twice as long. The watchdog looks `every` so
    often; when it comes later than that by more than `tolerance`, the event loop was blocked.
    Raise ValueError when the numbers make no sense.
    """

    floor: timedelta = timedelta(seconds=30)
    factor: float = 10.0
    every: timedelta = timedelta(seconds=5)
    tolerance: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        if self.floor <= timedelta(0) or self.every <= timedelta(0):
            raise ValueError("floor and every must be positive")
        if self.factor < 1.0:
            raise ValueError(f"factor must be at least 1, not {self.factor}")
        if self.tolerance < timedelta(0):
            raise ValueError("tolerance must not be negative")


@final
@dataclass(frozen=True, slots=True)
class Stuck(Generic[K]):
    """A run that has just come to a further stage; 1 is the first. `seconds` without blocks."""

    key: K
    seconds: float
    stage: int


@final
@dataclass(frozen=True, slots=True)
class Look(Generic[K]):
    """What the watchdog saw: runs to tell of, how many are stuck, how long the loop was blocked."""

    told: tuple[Stuck[K], ...]
    stuck: int
    blocked: float


@final
class Watchdog(Generic[K]):
    """Judges runs by how long they last. Synchronous; moments and durations are in seconds.

    The time during which the event loop was blocked is no run's: nothing could have gone on. A
    watchdog that lives on that loop learns of it by being late itself.
    """

    def __init__(self, policy: StuckPolicy) -> None:
        self._policy = policy
        self._tolerance = policy.tolerance.total_seconds()
        # A ring, and of numbers that are no objects: scattered over the memory that a long queue
        # leaves behind, 512 floats would keep most of that from being given back.
        self._durations = array("d", bytes(8 * _REMEMBERED))
        self._ended = 0
        self._stages: dict[tuple[K, float], int] = {}
        self._blocks: list[tuple[float, float]] = []
        self._due = math.inf

    def ended(self, seconds: float) -> None:
        """Take note of a run that ended."""
        self._durations[self._ended % _REMEMBERED] = seconds
        self._ended += 1

    def due(self, at: float) -> None:
        """Take note that the next look is meant to happen at this moment."""
        self._due = at

    def look(self, running: Mapping[K, float], now: float) -> Look[K]:
        """Judge the runs; `running` says since when each key runs."""
        late = now - self._due
        blocked = late if late > self._tolerance else 0.0
        if blocked:
            self._blocks.append((now, blocked))
        oldest = min(running.values(), default=now)
        self._blocks = [block for block in self._blocks if block[0] > oldest]
        told: list[Stuck[K]] = []
        stages: dict[tuple[K, float], int] = {}
        threshold = self.threshold()
        for key, since in running.items():
            seconds = now - since - self._blocked_since(since)
            stage = self._stages.get((key, since), 0)
            if seconds >= threshold * 2**stage:
                stage += 1
                told.append(Stuck(key, seconds, stage))
            if stage:
                stages[key, since] = stage
        self._stages = stages
        return Look(tuple(told), len(stages), blocked)

    def threshold(self) -> float:
        """Return after how many seconds a run is stuck."""
        floor = self._policy.floor.total_seconds()
        ordered = sorted(self._durations[: self._ended])
        if not ordered:
            return floor
        return max(floor, self._policy.factor * ordered[int(0.99 * (len(ordered) - 1))])

    def _blocked_since(self, since: float) -> float:
        # A block may have begun before the run did: no more than the run's own time counts.
        return sum(min(seconds, at - since) for at, seconds in self._blocks if at > since)
