"""Keeps Python's cycle collector from stopping the event loop: only where it is asked to.

A full collection looks at every container of the process. Over a large cache that stops the loop
for tens to hundreds of milliseconds, and finds nothing: what the cache holds has no cycles.
"""

import gc
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Final, final

import structlog

from smbpctl.runtime.clock import Clock, TimerHandle, stopwatch

_THRESHOLDS: Final = (50_000, 20, 100)
"""Containers made before a young collection, and young ones before older ones."""

_LONGEST_PAUSE: Final = timedelta(minutes=2)
"""How long collections are paused at most: what runs beside the first list may make cycles."""

_PERIOD: Final = timedelta(seconds=30)
"""How often what is not frozen is collected, at a time when the loop has nothing better to do."""

_LONG: Final = timedelta(milliseconds=10)
"""What a collection may take until what survived it is frozen too: it seems to be here to stay."""

_log = structlog.get_logger()


class ProcessPolicy(Enum):
    """Who decides on what belongs to the process, such as its garbage collector."""

    LEAVE = "leave"
    """The embedder: the runtime changes nothing."""
    OWN = "own"
    """The runtime: the process exists for it."""


@final
class GcPolicy:
    """What the runtime does about the collector while the process is its own.

    Between `start` and the last `stop` thresholds are raised; until `synced`, for two minutes at
    most, nothing is collected at all; then what is there is frozen, which means that it is never
    looked at again, and the rest, which is little, is collected every half minute. The worst
    pause is measured all the while.

    There is one collector per process, so the policy is shared and counts its users: the last
    `stop` restores what was found, also when others changed it meanwhile. Frozen objects that
    die are freed as ever; only cycles among them are not, until the last `stop` unfreezes them.
    """

    def __init__(self) -> None:
        self.worst_pause: timedelta = timedelta(0)
        """The longest collection since `start`."""
        self.collections: int = 0
        """How many there were."""
        self._users = 0
        self._waiting = 0
        self._found: tuple[tuple[int, int, int], bool] | None = None
        self._clock: Clock | None = None
        self._began = 0.0
        self._last_pause = timedelta(0)
        self._timer: TimerHandle | None = None

    @property
    def active(self) -> bool:
        """Tell whether anyone uses it."""
        return self._users > 0

    def start(self, clock: Clock) -> Callable[[], None]:
        """Begin to use it; return what to call when the first lists of this user are complete.

        Calling that twice, or after `stop`, does nothing more.
        """
        self._users += 1
        self._waiting += 1
        if self._users == 1:
            self._take(clock)
        synced = False

        def tell_synced() -> None:
            nonlocal synced
            if not synced and self.active:
                synced = True
                self._waiting -= 1
                if self._waiting <= 0:
                    self._settle()

        return tell_synced

    def stop(self) -> None:
        """End to use it; the last one restores what was found. Raise RuntimeError for one more."""
        if not self._users:
            raise RuntimeError("the policy is stopped more often than it was started")
        self._users -= 1
        if not self._users:
            self._restore()

    def _take(self, clock: Clock) -> None:
        self._found = (gc.get_threshold(), gc.isenabled())
        self._clock = clock
        self.worst_pause, self.collections, self._waiting = timedelta(0), 0, 1
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self._measure)
        gc.disable()
        self._later(_LONGEST_PAUSE, gc.enable)

    def _settle(self) -> None:
        # What came in belongs to the cache and stays; frozen, it costs no collection any more.
        # Not collected before: that would be the long stop that this is all about.
        gc.freeze()
        gc.enable()
        _log.info("garbage collector settled", frozen=gc.get_freeze_count())
        self._later(_PERIOD, self._collect)

    def _collect(self) -> None:
        gc.collect()
        if self._last_pause > _LONG:
            gc.freeze()
        self._later(_PERIOD, self._collect)

    def _later(self, delay: timedelta, act: Callable[[], None]) -> None:
        """Do `act` after `delay`, in place of what was to be done."""
        if self._timer is not None:
            self._timer.cancel()
        if self._clock is not None:
            self._timer = self._clock.call_later(delay, act)

    def _restore(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        gc.callbacks.remove(self._measure)
        gc.unfreeze()
        if self._found is not None:
            thresholds, enabled = self._found
            gc.set_threshold(*thresholds)
            (gc.enable if enabled else gc.disable)()
        self._found = self._clock = self._timer = None

    def _measure(self, phase: str, info: Mapping[str, int]) -> None:
        """Note how long a collection took; called on whatever thread caused it."""
        now = stopwatch()
        if phase == "start":
            self._began = now
        else:
            self._last_pause = timedelta(seconds=now - self._began)
            self.collections += 1
            self.worst_pause = max(self.worst_pause, self._last_pause)


POLICY: Final = GcPolicy()
"""The one policy of the process; does nothing until it is started."""
