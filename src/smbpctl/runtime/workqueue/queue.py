"""The queue that workers wait on: the kernel with a clock, delays after failures, and metrics."""

import asyncio
import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Generic, TypeVar, final

from smbpctl.runtime.backoff import ItemBackoff
from smbpctl.runtime.clock import Clock, TimerHandle
from smbpctl.runtime.event import Cause, Told
from smbpctl.runtime.metrics import QueueMetrics
from smbpctl.runtime.workqueue.kernel import AGED_SHARE, PATIENCE, KeyQueue

K = TypeVar("K", bound=Hashable)

_TURN = 64
"""How many keys are handed out without waiting before the event loop gets a turn."""

_LONGEST_TIMER = 86_400.0
"""Seconds after which a timer looks again, so that no delay is too long for it."""


class QueueShutDown(Exception):
    """The queue hands out no more keys; a worker that gets this ends."""


@final
class WorkQueue(Generic[K]):
    """The queue that workers wait on: a `KeyQueue`, a clock, delays after failures, metrics.

    Getters are served in the order in which they came. A getter is woken for a key but takes it
    only when its task runs, so that what is added until then is still merged, and a getter that
    is cancelled loses nothing. There is one timer, and only while a getter waits and a delay
    runs: workers that are busy find ended delays by themselves. A worker that never waits for
    anything still leaves the loop a turn after every 64 keys.

    All calls belong to one event loop. None is no key.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        backoff: ItemBackoff[K],
        metrics: QueueMetrics | None = None,
        patience: timedelta = PATIENCE,
        share: int = AGED_SHARE,
    ) -> None:
        """Make an empty queue; `patience` and `share` are those of `KeyQueue`."""
        self.name = name
        self._clock = clock
        self._now = clock.monotonic
        self._backoff = backoff
        self._metrics = metrics
        self._kernel: KeyQueue[K] = KeyQueue(patience=patience, share=share)
        self._getters: deque[asyncio.Future[None]] = deque()
        # Getters whose wait is over and whose task has not run since: each has a ready key.
        self._woken = 0
        self._timer: TimerHandle | None = None
        self._timer_at = math.inf
        self._streak = 0
        self._retries = 0
        if metrics is not None:
            metrics.watch(self)

    def add(self, key: K, *, priority: int = 0, cause: Cause | None = None) -> None:
        """Have `key` run as soon as a worker is free, and once more if it runs now.

        Keys of higher priority run first; a key keeps the highest it was added with.
        """
        now = self._now()
        self._kernel.add(key, now, priority, cause)
        if self._getters:
            self._wake_getters(now)

    def add_after(
        self, key: K, delay: timedelta, *, priority: int = 0, cause: Cause | None = None
    ) -> None:
        """Have `key` run after `delay`, or earlier if that was asked for; zero or less adds."""
        now = self._now()
        if delay > timedelta(0):
            self._retries += 1
        self._kernel.add_after(key, delay.total_seconds(), now, priority, cause)
        self._wake_getters(now)

    def add_rate_limited(
        self, key: K, *, priority: int = 0, cause: Cause | None = None
    ) -> timedelta:
        """Count a failure of `key`, add it after the delay that follows, and return the delay."""
        delay = self._backoff.when(key)
        self.add_after(key, delay, priority=priority, cause=cause)
        return delay

    def hold(self, key: K) -> None:
        """Hand `key` out no more until it is let go; what runs goes on.

        What was and is added meanwhile is kept. Holds are counted: a key held twice is let go
        twice. Shutting down ends all of them.
        """
        self._kernel.hold(key)

    def unhold(self, key: K) -> None:
        """Take back one `hold`; harmless without one, and after shutting down."""
        now = self._now()
        self._kernel.unhold(key, now)
        self._wake_getters(now)

    def forget(self, key: K) -> None:
        """Drop the failures of `key`; what is queued stays queued."""
        self._backoff.forget(key)

    def failures(self, key: K) -> int:
        """Return how many times in a row `key` has failed."""
        return self._backoff.failures(key)

    async def get(self) -> K:
        """Wait for a key and start its run; `done` must follow, whatever happens.

        Raise QueueShutDown when the queue is shut down, now or while waiting.
        """
        if self._streak >= _TURN:
            self._streak = 0
            await self._clock.sleep(timedelta(0))
        now = self._now()
        # Whoever waits or was woken comes first: only a key beyond those is free to be taken.
        key = None if self._getters or self._woken else self._kernel.pop(now)
        if key is None:
            key = await self._wait_and_pop(now)
        self._streak += 1
        if self._metrics is not None:
            self._metrics.taken(self._kernel.waited(key))
        return key

    def done(self, key: K) -> None:
        """End the run of `key`; raise ValueError when it was not taken from this queue."""
        now = self._now()
        worked = self._kernel.done(key, now)
        if self._metrics is not None:
            self._metrics.done(worked)
        if self._getters:
            self._wake_getters(now)

    def priority(self, key: K) -> int:
        """Return the priority with which `key`, which runs now, was handed out."""
        return self._kernel.priority(key)

    def causes(self, key: K) -> Sequence[Told]:
        """Return why `key`, which runs now, was handed out; up to 8 causes, earliest first."""
        return self._kernel.causes(key)

    def shut_down(self) -> None:
        """Drop all keys that are not running and wake every getter with QueueShutDown."""
        self._kernel.shut_down()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake(len(self._getters))

    def __len__(self) -> int:
        """Return how many keys are ready; those that wait or run do not count."""
        return self._kernel.ready_count(self._now())

    def depths(self) -> Mapping[int, int]:
        """Return how many keys are ready of each priority that has any, highest first."""
        return self._kernel.ready_counts(self._now())

    @property
    def held(self) -> int:
        """Return how many keys are held."""
        return self._kernel.held_count()

    @property
    def arrivals(self) -> int:
        """Return how many times a key became ready."""
        return self._kernel.arrivals

    @property
    def retries(self) -> int:
        """Return how many times a key was added with a delay."""
        return self._retries

    def running_seconds(self) -> Sequence[float]:
        """Return for each running key how long ago it was taken, in seconds."""
        now = self._now()
        return [now - started for started in self._kernel.running_since()]

    async def _wait_and_pop(self, now: float) -> K:
        if self._getters or self._kernel.release(now, 1) <= self._woken:
            await self._wait_for_key(now)
            now = self._now()
        while (key := self._kernel.pop(now)) is None:
            if self._kernel.closed:
                raise QueueShutDown(self.name)
            # The key that this task was woken for has been held since.
            await self._wait_for_key(now, first=True)
            now = self._now()
        return key

    async def _wait_for_key(self, now: float, *, first: bool = False) -> None:
        """Return when a ready key is this task's to pop, or when the queue is shut down.

        The task is the last of those that wait, or the `first`.
        """
        if self._kernel.closed:
            return
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._getters.appendleft(getter)
        else:
            self._getters.append(getter)
        self._wake_getters(now)
        try:
            await getter
        except asyncio.CancelledError:
            if getter.cancelled():
                self._getters = deque(other for other in self._getters if other is not getter)
            else:
                self._woken -= 1
                self._wake_getters(self._now())  # the key is another's now
            raise
        self._woken -= 1
        self._streak = 0

    def _wake_getters(self, now: float) -> None:
        """Wake a getter for each ready key that has none; set the timer when some are left."""
        if not self._getters:
            return
        ready = self._kernel.release(now, len(self._getters))
        self._wake(ready - self._woken)
        if self._getters:
            self._set_timer(now)

    def _wake(self, count: int) -> None:
        while count > 0 and self._getters:
            getter = self._getters.popleft()
            if not getter.done():  # else its task was cancelled, and has not run since
                getter.set_result(None)
                self._woken += 1
                count -= 1

    def _set_timer(self, now: float) -> None:
        at = self._kernel.next_delay_end()
        if at is None or at >= self._timer_at:
            return  # a timer that is too early only looks again
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = min(at, now + _LONGEST_TIMER)
        delay = timedelta(seconds=self._timer_at - now)
        self._timer = self._clock.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        # The delay was rounded to microseconds, so the clock may not quite have come to the
        # moment: waiting again for the rest of it would spin.
        now = max(self._now(), self._timer_at)
        self._timer = None
        self._timer_at = math.inf
        self._wake_getters(now)
