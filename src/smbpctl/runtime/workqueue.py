"""The queue of keys to reconcile: a synchronous kernel with the rules, an async shell to wait."""

import asyncio
import math
from collections import deque
from collections.abc import Hashable, Sequence
from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar, final

from smbpctl.runtime.backoff import ItemBackoff
from smbpctl.runtime.clock import Clock, TimerHandle
from smbpctl.runtime.metrics import QueueMetrics

K = TypeVar("K", bound=Hashable)

_TURN = 64
"""How many keys are handed out without waiting before the event loop gets a turn."""

_LONGEST_TIMER = 86_400.0
"""Seconds after which a timer looks again, so that no delay is too long for it."""

_STALE_IN_A_ROW = 32
"""How many stale entries are taken off the heap one by one before it is rebuilt without any."""


class QueueShutDown(Exception):
    """The queue hands out no more keys; a worker that gets this ends."""


@final
class KeyQueue(Generic[K]):
    """Which key runs next: the rules of the queue without the waiting.

    A key is *ready*, *waiting* for its moment, *running*, or unknown. While it runs it may also
    be *owed* another run. What always holds:

    1. Ready, waiting and running are disjoint, and only a running key is owed another run: no
       key runs twice at once, and a key has one entry however often it is added.
    2. A key that was added stays ready, waiting or owed until `pop` returns it: nothing owed is
       lost. What is added several times before it runs, runs once; what is added while it runs,
       runs once more.
    3. Of several moments asked for, the earliest counts.
    4. `pop` returns the key that has been ready longest. A key is ready from the moment it was
       added, its delay ended, or the run that it was added during was done. Of those that became
       ready at the same moment, ended delays come first, then the order of the calls counts.
    5. Shutting down drops all but the running keys, and what is added later.

    There is no clock in here: `now` and delays are seconds on one clock that never goes back.
    Delays end unnoticed: keys are moved from the heap to the ready ones when `pop` needs one and
    in the portions asked for by `release`, so that no call has to move all that end at once. It
    makes no difference to the order. The heap is cleaned lazily: an entry whose key has moved on
    is dropped when it comes to the top, or with all of its like when they are the majority.

    Priorities have their place in `_added` and `_ended`: a pair of such lines for each level.
    """

    def __init__(self) -> None:
        self.arrivals: int = 0
        """How many times a key was found to be ready."""
        self._ready: set[K] = set()
        self._added: deque[tuple[float, K]] = deque()  # the ready ones, with the moment of each
        self._ended: deque[tuple[float, K]] = deque()  # the same for those that had a delay
        self._waiting: dict[K, tuple[float, int, K]] = {}  # the entry in the heap that counts
        self._running: dict[K, tuple[float, float]] = {}  # ready since when, started when
        self._owed: dict[K, float] = {}  # from when on
        self._heap: list[tuple[float, int, K]] = []
        self._calls = 0
        self._closed = False

    def add(self, key: K, now: float) -> None:
        """Make `key` ready, or owed another run when it runs."""
        if self._closed or key in self._ready:
            return
        if key in self._running:
            self._owed[key] = now
            return
        entry = self._waiting.get(key) if self._waiting else None
        if entry is None:
            self._arrive(key, now, self._added)
        elif entry[0] > now:
            del self._waiting[key]
            self._arrive(key, now, self._added)

    def add_after(self, key: K, delay: float, now: float) -> None:
        """Make `key` ready, or owed, `delay` seconds from now, unless it is so earlier."""
        at = now + delay
        if at <= now:
            self.add(key, now)
            return
        if self._closed or key in self._ready:
            return
        if key in self._running:
            self._owed[key] = min(at, self._owed.get(key, at))
            return
        entry = self._waiting.get(key)
        if entry is None or at < entry[0]:
            self._wait(key, at)

    def release(self, now: float, limit: int) -> int:
        """Notice up to `limit` ended delays; return how many keys are now known to be ready."""
        # The top of the heap may be stale, but nothing in the heap is earlier.
        while limit > 0 and self._heap and self._heap[0][0] <= now:
            entry = self._earliest()
            if entry is None or entry[0] > now:
                break
            limit -= 1
            moment, _, key = heappop(self._heap)
            del self._waiting[key]
            self._arrive(key, moment, self._ended)
        return len(self._ready)

    def pop(self, now: float) -> K | None:
        """Start the run of the key that has been ready longest; None when none is ready."""
        if not self._ended:
            self.release(now, 1)
        line = self._added
        if self._ended and (not line or self._ended[0][0] <= line[0][0]):
            line = self._ended
        if not line:
            return None
        since, key = line.popleft()
        self._ready.remove(key)
        self._running[key] = (since, now)
        return key

    def done(self, key: K, now: float) -> float:
        """End the run of `key` and return its seconds; the run that it is owed comes next.

        Raise ValueError when the key is not running.
        """
        run = self._running.pop(key, None)
        if run is None:
            raise ValueError(f"{key!r} is not running")
        owed_at = self._owed.pop(key, None) if self._owed else None
        if owed_at is not None and owed_at > now:
            self._wait(key, owed_at)
        elif owed_at is not None:
            self._arrive(key, now, self._added)
        return now - run[1]

    def next_ready_at(self, now: float) -> float | None:
        """Return when `pop` can next succeed if nothing else is called; None means never.

        A moment that has passed is told as `now`.
        """
        end = self.next_delay_end()
        return now if self._ready else None if end is None else max(now, end)

    def next_delay_end(self) -> float | None:
        """Return when the earliest delay ends, or has ended unnoticed; None without delays."""
        entry = self._earliest()
        return None if entry is None else entry[0]

    def ready_count(self, now: float) -> int:
        """Return how many keys are ready; looks at every delay when one has ended unnoticed."""
        if not self._heap or self._heap[0][0] > now:
            return len(self._ready)
        return len(self._ready) + sum(at <= now for at, _, _ in self._waiting.values())

    def waited(self, key: K) -> float:
        """Return how many seconds the running `key` was ready before it was popped."""
        since, started = self._running[key]
        return started - since

    def running_since(self) -> list[float]:
        """Return when each running key was popped, in that order."""
        return [started for _, started in self._running.values()]

    @property
    def closed(self) -> bool:
        """Tell whether `shut_down` was called."""
        return self._closed

    def shut_down(self) -> None:
        """Drop everything but the running keys, for good; `done` still ends their runs."""
        self._closed = True
        for place in (self._ready, self._added, self._ended, self._waiting, self._heap, self._owed):
            place.clear()

    def _arrive(self, key: K, moment: float, line: deque[tuple[float, K]]) -> None:
        self._ready.add(key)
        line.append((moment, key))
        self.arrivals += 1

    def _wait(self, key: K, at: float) -> None:
        self._calls += 1
        # The number decides between equal moments, so that keys are never compared.
        entry = self._waiting[key] = (at, self._calls, key)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._waiting) + _STALE_IN_A_ROW:
            self._rebuild()

    def _earliest(self) -> tuple[float, int, K] | None:
        """Return the waiting entry with the earliest moment; it is then at the heap's top."""
        for _ in range(_STALE_IN_A_ROW):
            if not self._heap:
                return None
            entry = self._heap[0]
            if self._waiting.get(entry[2]) is entry:
                return entry
            heappop(self._heap)
        self._rebuild()
        return self._heap[0] if self._heap else None

    def _rebuild(self) -> None:
        self._heap = list(self._waiting.values())
        heapify(self._heap)


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
    ) -> None:
        self.name = name
        self._clock = clock
        self._backoff = backoff
        self._metrics = metrics
        self._kernel: KeyQueue[K] = KeyQueue()
        self._getters: deque[asyncio.Future[None]] = deque()
        # Getters whose wait is over and whose task has not run since: each has a ready key.
        self._woken = 0
        self._timer: TimerHandle | None = None
        self._timer_at = math.inf
        self._streak = 0
        self._retries = 0
        if metrics is not None:
            metrics.watch(self)

    def add(self, key: K) -> None:
        """Have `key` run as soon as a worker is free, and once more if it runs now."""
        now = self._clock.monotonic()
        self._kernel.add(key, now)
        self._wake_getters(now)

    def add_after(self, key: K, delay: timedelta) -> None:
        """Have `key` run after `delay`, or earlier if that was asked for; zero or less adds."""
        now = self._clock.monotonic()
        if delay > timedelta(0):
            self._retries += 1
        self._kernel.add_after(key, delay.total_seconds(), now)
        self._wake_getters(now)

    def add_rate_limited(self, key: K) -> timedelta:
        """Count a failure of `key`, add it after the delay that follows, and return the delay."""
        delay = self._backoff.when(key)
        self.add_after(key, delay)
        return delay

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
        now = self._clock.monotonic()
        # Whoever waits already comes first: only a key beyond those is free to be taken.
        if self._getters or self._kernel.release(now, 1) <= self._woken:
            await self._wait_for_key(now)
            now = self._clock.monotonic()
        key = self._kernel.pop(now)
        if key is None:
            raise QueueShutDown(self.name)
        self._streak += 1
        if self._metrics is not None:
            self._metrics.taken(self._kernel.waited(key))
        return key

    def done(self, key: K) -> None:
        """End the run of `key`; raise ValueError when it was not taken from this queue."""
        now = self._clock.monotonic()
        worked = self._kernel.done(key, now)
        if self._metrics is not None:
            self._metrics.done(worked)
        self._wake_getters(now)

    def shut_down(self) -> None:
        """Drop all keys that are not running and wake every getter with QueueShutDown."""
        self._kernel.shut_down()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake(len(self._getters))

    def __len__(self) -> int:
        """Return how many keys are ready; those that wait or run do not count."""
        return self._kernel.ready_count(self._clock.monotonic())

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
        now = self._clock.monotonic()
        return [now - started for started in self._kernel.running_since()]

    async def _wait_for_key(self, now: float) -> None:
        """Return when a ready key is this task's to pop, or when the queue is shut down."""
        if self._kernel.closed:
            return
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        self._wake_getters(now)
        try:
            await getter
        except asyncio.CancelledError:
            if getter.cancelled():
                self._getters = deque(other for other in self._getters if other is not getter)
            else:
                self._woken -= 1
                self._wake_getters(self._clock.monotonic())  # the key is another's now
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
        now = max(self._clock.monotonic(), self._timer_at)
        self._timer = None
        self._timer_at = math.inf
        self._wake_getters(now)
