"""Which key runs next: the rules of the queue, synchronous and without a clock."""

from bisect import insort
from collections.abc import Hashable, Mapping
from datetime import timedelta
from typing import Final, Generic, TypeVar, final

from smbpctl.runtime.event import Cause, Told
from smbpctl.runtime.workqueue.level import Entry, Level, Place

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""The priority of what can wait: objects found at the start, and resyncs."""

MOST_CAUSES: Final = 8
"""How many causes a key keeps: the first ones, and the latest."""

PATIENCE: Final = timedelta(seconds=30)
"""How long a key may be ready before keys of higher priority have to share with it."""

AGED_SHARE: Final = 8
"""One of so many keys that pass over one that has waited too long is that key instead."""

_EMPTY_LEVELS: Final = 8

_READY: Final = Place.READY
_WAITING: Final = Place.WAITING
_RUNNING: Final = Place.RUNNING
_HELD: Final = Place.HELD
_OWED: Final = Place.OWED


@final
class KeyQueue(Generic[K]):
    """Which key runs next: the rules of the queue without the waiting.

    A key is *ready*, *waiting* for its moment, *running*, *held*, or unknown. While it runs or is
    held it may also be *owed* a run. What always holds:

    1. A key is in one of these places, and only a running or held key is owed a run: no key runs
       twice at once, and a key has one entry however often it is added.
    2. A key that was added stays ready, waiting or owed until `pop` returns it: nothing owed is
       lost. What is added several times before it runs, runs once; what is added while it runs,
       runs once more.
    3. Of several moments asked for, the earliest counts; of several priorities, the highest,
       whatever moment it came with.
    4. `pop` returns a key of the highest priority that has ready keys, of these the one that has
       been ready longest. A key is ready from the moment it was added, its delay ended, the run
       that it was added during was done, or it was let go; a priority that is raised counts as
       becoming ready anew. Of those that became ready at the same moment, ended delays come
       first, then the order of the calls counts.
    5. No key starves: when `pop` would pass over the key that has been ready longest of all, and
       that for `patience` or longer, it returns that key every `share`-th time. A key that has
       been ready for that long, with n keys ready for longer, is therefore returned by one of the
       next `share` x (n + 1) calls, whatever is added meanwhile; raising its priority starts that
       anew, at a better place.
    6. A held key is not returned until it was let go as often as it was held.
    7. Up to 8 causes are kept for a run, one per object and kind of event: the latest.
    8. Shutting down drops all but the running keys, and what is added or held later.

    There is no clock in here: `now` and delays are seconds on one clock that never goes back.
    Delays end unnoticed: keys are moved to the ready ones when `pop` needs one and in the
    portions asked for by `release`, so that no call has to move all that end at once. It makes no
    difference to the order. Each priority has two lines and a heap of its own (see `Level`), so
    that a queue of one priority pays for no order but that of arrival.
    """

    def __init__(self, *, patience: timedelta = PATIENCE, share: int = AGED_SHARE) -> None:
        """Make an empty queue; raise ValueError when `share` is below one."""
        if share < 1:
            raise ValueError(f"share must be at least 1, not {share}")
        self.arrivals: int = 0
        """How many times a key was found to be ready."""
        self._entries: dict[K, Entry[K]] = {}
        self._levels: list[Level[K]] = []  # highest priority first
        self._by_priority: dict[int, Level[K]] = {}
        self._closed = False
        self._patience = patience.total_seconds()
        self._share = share
        self._passed_over = 0
        # Before this moment no key has been ready for too long.
        self._look_at = 0.0

    def add(self, key: K, now: float, priority: int = 0, cause: Cause | None = None) -> None:
        """Make `key` ready, or owed another run when it runs or is held."""
        entry = self._entries.get(key)
        if entry is not None:
            self._merge(entry, now, now, priority, cause)
            return
        if self._closed:
            return
        causes = None if cause is None else [(now, cause)]
        entry = self._entries[key] = Entry(key, _READY, priority, now, now, causes)
        level = self._by_priority.get(priority)
        if level is None:
            level = self._level(priority)
        level.added.append(entry)
        level.ready += 1
        self.arrivals += 1

    def add_after(
        self, key: K, delay: float, now: float, priority: int = 0, cause: Cause | None = None
    ) -> None:
        """Make `key` ready, or owed, `delay` seconds from now, unless it is so earlier."""
        at = now + delay
        if at <= now:
            self.add(key, now, priority, cause)
            return
        entry = self._entries.get(key)
        if entry is not None:
            self._merge(entry, at, now, priority, cause)
            return
        if self._closed:
            return
        causes = None if cause is None else [(now, cause)]
        entry = self._entries[key] = Entry(key, _OWED, priority, at, at, causes)
        self._level(priority).wait(entry, at)

    def release(self, now: float, limit: int) -> int:
        """Notice up to `limit` ended delays; return how many keys are now known to be ready."""
        ready = 0
        for level in self._levels:
            heap = level.heap
            if heap and heap[0][0] <= now and limit > 0:
                released = level.release(now, limit)
                self.arrivals += released
                limit -= released
            ready += level.ready
        return ready

    def pop(self, now: float) -> K | None:
        """Start the run of the key whose turn it is; None when none is ready."""
        empty = 0
        for level in self._levels:
            heap = level.heap
            if heap and heap[0][0] <= now:
                self.arrivals += level.notice(now)
            if level.ready:
                break
            empty += 1
        else:
            return None
        if len(self._levels) > 1 and now >= self._look_at:
            level = self._overtaking(level, now)
        if empty > _EMPTY_LEVELS:
            self._drop_empty_levels()
        if level.stale or level.ended:
            entry = level.take()
        else:
            entry = level.added.popleft()
            level.ready -= 1
        entry.place = _RUNNING
        entry.at = now
        return entry.key

    def done(self, key: K, now: float) -> float:
        """End the run of `key` and return its seconds; the run that it is owed comes next.

        Raise ValueError when the key is not running.
        """
        entry = self._entries.pop(key, None)
        if entry is None:
            raise ValueError(f"{key!r} is not running")
        if entry.place is not _RUNNING:
            self._entries[key] = entry
            raise ValueError(f"{key!r} is not running")
        if entry.holds:
            entry.place = _HELD
            self._entries[key] = entry
        elif entry.owed is not None:
            self._settle(entry.owed, now)
        elif not self._entries:
            self._entries.clear()  # a table that was large once stays so otherwise
        return now - entry.at

    def hold(self, key: K) -> None:
        """Keep `key` from being returned by `pop` until it is let go; a run goes on.

        Whatever is and will be added is owed meanwhile. Holds are counted.
        """
        if self._closed:
            return
        entry = self._entries.get(key)
        if entry is not None and (entry.place is _RUNNING or entry.place is _HELD):
            entry.holds += 1
            return
        owed = None
        if entry is not None:
            owed = Entry(key, _OWED, entry.priority, entry.at, entry.at, entry.causes)
            self._by_priority[entry.priority].withdraw(entry)
        self._entries[key] = Entry(key, _HELD, 0, 0.0, 0.0, holds=1, owed=owed)

    def unhold(self, key: K, now: float) -> None:
        """Take back one `hold`; harmless when there is none. What is owed comes next."""
        entry = self._entries.get(key)
        if entry is None or not entry.holds:
            return
        entry.holds -= 1
        if not entry.holds and entry.place is _HELD:
            del self._entries[key]
            if entry.owed is not None:
                self._settle(entry.owed, now)

    def next_ready_at(self, now: float) -> float | None:
        """Return when `pop` can next succeed if nothing else is called; None means never.

        A moment that has passed is told as `now`.
        """
        if any(level.ready for level in self._levels):
            return now
        end = self.next_delay_end()
        return None if end is None else max(now, end)

    def next_delay_end(self) -> float | None:
        """Return when the earliest delay ends, or has ended unnoticed; None without delays."""
        earliest: float | None = None
        for level in self._levels:
            end = level.next_end() if level.heap else None
            if end is not None and (earliest is None or end < earliest):
                earliest = end
        return earliest

    def ready_count(self, now: float) -> int:
        """Return how many keys are ready; looks at every delay when one has ended unnoticed."""
        return sum(level.ready + level.ended_unnoticed(now) for level in self._levels)

    def ready_counts(self, now: float) -> Mapping[int, int]:
        """Return how many keys are ready of each priority that has any, highest first."""
        counts = {
            level.priority: level.ready + level.ended_unnoticed(now) for level in self._levels
        }
        return {priority: count for priority, count in counts.items() if count}

    def waited(self, key: K) -> float:
        """Return how many seconds the running `key` was ready before it was popped."""
        entry = self._entries[key]
        return entry.at - entry.since

    def priority(self, key: K) -> int:
        """Return the priority with which the running `key` was popped."""
        return self._entries[key].priority

    def causes(self, key: K) -> tuple[Told, ...]:
        """Return why the running `key` runs, and when each cause was told; earliest first."""
        return tuple(self._entries[key].causes or ())

    def running_since(self) -> list[float]:
        """Return when each running key was popped; looks at every key."""
        return [entry.at for entry in self._entries.values() if entry.place is _RUNNING]

    def held_count(self) -> int:
        """Return how many keys are held; looks at every key."""
        return sum(entry.holds > 0 for entry in self._entries.values())

    @property
    def closed(self) -> bool:
        """Tell whether `shut_down` was called."""
        return self._closed

    def shut_down(self) -> None:
        """Drop everything but the running keys, for good; `done` still ends their runs."""
        self._closed = True
        running = {k: entry for k, entry in self._entries.items() if entry.place is _RUNNING}
        for entry in running.values():
            entry.owed = None
            entry.holds = 0
        self._entries = running
        self._levels.clear()
        self._by_priority.clear()

    def _merge(
        self, entry: Entry[K], at: float, now: float, priority: int, cause: Cause | None
    ) -> None:
        """Add a key that has an entry already."""
        if entry.place is _RUNNING or entry.place is _HELD:
            if not self._closed:
                self._owe(entry, at, now, priority, cause)
            return
        if cause is not None:
            _note(entry, now, cause)
        raised = priority > entry.priority
        if entry.place is _WAITING and entry.at > now:
            if at < entry.at or raised:
                self._place(entry, min(at, entry.at), now, max(priority, entry.priority))
        elif raised:
            # Whether its end was noticed makes no difference: the key has become ready already.
            since = entry.at if entry.place is _WAITING else entry.since
            self._place(entry, now, now, priority)
            entry.since = since

    def _owe(
        self, entry: Entry[K], at: float, now: float, priority: int, cause: Cause | None
    ) -> None:
        owed = entry.owed
        if owed is None:
            owed = entry.owed = Entry(entry.key, _OWED, priority, at, at)
        else:
            owed.at = min(at, owed.at)
            owed.priority = max(priority, owed.priority)
        if cause is not None:
            _note(owed, now, cause)

    def _settle(self, owed: Entry[K], now: float) -> None:
        """Give a key that neither runs nor is held any more what it is owed."""
        self._entries[owed.key] = owed
        self._place(owed, owed.at, now, owed.priority)

    def _place(self, entry: Entry[K], at: float, now: float, priority: int) -> None:
        """Make an entry ready now or waiting, on the level of `priority`, wherever it is."""
        was_ready = entry.place is _READY
        if entry.place is not _OWED:
            self._by_priority[entry.priority].withdraw(entry)
        entry.priority = priority
        level = self._level(priority)
        if at > now:
            level.wait(entry, at)
            return
        entry.since = now
        level.append(entry, now)
        if not was_ready:
            self.arrivals += 1

    def _overtaking(self, level: Level[K], now: float) -> Level[K]:
        """Return the level whose turn it is instead of `level`, the highest with ready keys."""
        oldest, oldest_at = level, now
        for other in self._levels:
            self.arrivals += other.notice(now)
            at = other.oldest_at()
            if at is not None and at < oldest_at:
                oldest, oldest_at = other, at
        self._look_at = oldest_at + self._patience
        if oldest is level or now < self._look_at:
            return level
        self._passed_over += 1
        if self._passed_over < self._share:
            return level
        self._passed_over = 0
        return oldest

    def _level(self, priority: int) -> Level[K]:
        level = self._by_priority.get(priority)
        if level is None:
            if len(self._levels) > _EMPTY_LEVELS:
                self._drop_empty_levels()
            level = self._by_priority[priority] = Level(priority)
            insort(self._levels, level, key=lambda each: -each.priority)
        return level

    def _drop_empty_levels(self) -> None:
        self._levels = [level for level in self._levels if not level.empty]
        self._by_priority = {level.priority: level for level in self._levels}


def _note(entry: Entry[K], now: float, cause: Cause) -> None:
    """Keep a cause in place of one that says the same of an older state, or of the last one."""
    causes = entry.causes
    if causes is None:
        entry.causes = [(now, cause)]
        return
    for index, (_, known) in enumerate(causes):
        if known.same_as(cause):
            causes[index] = (now, cause)
            return
    if len(causes) < MOST_CAUSES:
        causes.append((now, cause))
    else:
        causes[-1] = (now, cause)
