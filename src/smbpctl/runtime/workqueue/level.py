"""The keys of one priority: those that are ready, in their order, and those that still wait."""

from collections import deque
from collections.abc import Hashable
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar, final

import msgspec

from smbpctl.runtime.event import Told

K = TypeVar("K", bound=Hashable)

_STALE_IN_A_ROW: Final = 32
"""How many stale tickets are dropped one by one before a line or a heap is made anew."""


@final
class Place(Enum):
    """Where an entry stands."""

    READY = "ready"
    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    OWED = "owed"
    GONE = "gone"


@final
class Entry(msgspec.Struct, Generic[K], eq=False, gc=False):
    """One stay of a key in the queue, from being added to the end of its run.

    `at` is when its delay ends while it waits, its position among its like while it is ready, and
    when it was taken while it runs; `since` is when it became ready. `owed` is the next stay of a
    key that runs or is held. `call` tells its ticket in the heap from those that are stale.
    Entries refer to nothing that refers to them, so the garbage collector need not track them.
    """

    key: K
    place: Place
    priority: int
    at: float
    since: float
    causes: list[Told] | None = None
    call: int = 0
    holds: int = 0
    owed: "Entry[K] | None" = None


_READY: Final = Place.READY
_WAITING: Final = Place.WAITING


@final
class Level(Generic[K]):
    """The ready and the waiting entries of one priority.

    An entry that leaves before its turn (raised to another level, held, or brought forward)
    leaves its ticket behind: tickets of entries that are not here any more are *stale*, skipped
    when they come to the head, and dropped with all of their like when they are the majority.
    """

    __slots__ = ("_calls", "added", "ended", "heap", "priority", "ready", "stale", "waiting")

    def __init__(self, priority: int) -> None:
        self.priority: int = priority
        self.ready: int = 0
        self.waiting: int = 0
        # Two lines, each in the order of moments, so that a delay that ended unnoticed can be
        # noticed late and still take its place.
        self.added: deque[Entry[K]] = deque()
        self.ended: deque[Entry[K]] = deque()
        self.heap: list[tuple[float, int, Entry[K]]] = []
        self._calls = 0
        self.stale: int = 0
        """How many tickets in the lines are stale."""

    def append(self, entry: Entry[K], moment: float) -> None:
        """Make an entry of this priority ready, behind those that were so before `moment`."""
        entry.place = _READY
        entry.at = moment
        self.ready += 1
        self.added.append(entry)

    def wait(self, entry: Entry[K], at: float) -> None:
        """Have an entry of this priority wait until `at`, or until then instead of its moment."""
        if entry.place is not _WAITING:
            entry.place = _WAITING
            self.waiting += 1
        self._calls += 1
        entry.call = self._calls
        entry.at = at
        # The number decides between equal moments, so that entries are never compared.
        heappush(self.heap, (at, self._calls, entry))
        if len(self.heap) > 2 * self.waiting + _STALE_IN_A_ROW:
            self._rebuild_heap()

    def next_end(self) -> float | None:
        """Return when the earliest delay ends, or has ended unnoticed; None without delays."""
        for _ in range(_STALE_IN_A_ROW):
            if not self.heap:
                return None
            if self._waits(self.heap[0]):
                return self.heap[0][0]
            heappop(self.heap)
        self._rebuild_heap()
        return self.heap[0][0] if self.heap else None

    def release(self, now: float, limit: int) -> int:
        """Make up to `limit` entries ready whose delay has ended; return how many it were."""
        released = 0
        # The top of the heap may be stale, but nothing in the heap is earlier.
        while released < limit and self.heap and self.heap[0][0] <= now:
            end = self.next_end()
            if end is None or end > now:
                break
            entry = heappop(self.heap)[2]
            entry.place = _READY
            entry.since = end
            self.waiting -= 1
            self.ready += 1
            self.ended.append(entry)
            released += 1
        return released

    def notice(self, now: float) -> int:
        """Make the entry ready that may come before those that are; return how many it were."""
        if self.stale:
            self._skip_stale()
        return 0 if self.ended else self.release(now, 1)

    def take(self) -> Entry[K]:
        """Remove the entry that has been ready longest; there must be one."""
        if self.stale:
            self._skip_stale()
        line = self.added
        if self.ended and (not line or self.ended[0].at <= line[0].at):
            line = self.ended
        self.ready -= 1
        return line.popleft()

    def oldest_at(self) -> float | None:
        """Return the position of the ready entry that `take` would return; None without one."""
        self._skip_stale()
        heads = [line[0].at for line in (self.added, self.ended) if line]
        return min(heads) if heads else None

    def withdraw(self, entry: Entry[K]) -> None:
        """Forget an entry that is ready or waits; the caller gives it another place."""
        if entry.place is _WAITING:
            entry.place = Place.GONE
            self.waiting -= 1
            return
        entry.place = Place.GONE
        self.ready -= 1
        self.stale += 1
        if self.stale > self.ready + _STALE_IN_A_ROW:
            self.stale = 0
            for line in (self.added, self.ended):
                here = [each for each in line if self._is_ready(each)]
                line.clear()
                line.extend(here)

    def ended_unnoticed(self, now: float) -> int:
        """Return how many entries wait though their delay has ended; looks at all of them."""
        if not self.heap or self.heap[0][0] > now:
            return 0
        return sum(ticket[0] <= now and self._waits(ticket) for ticket in self.heap)

    @property
    def empty(self) -> bool:
        """Tell whether nothing is or was here that matters."""
        return not (self.ready or self.waiting)

    def _is_ready(self, entry: Entry[K]) -> bool:
        # An entry never becomes ready twice, and its priority only rises.
        return entry.place is _READY and entry.priority == self.priority

    def _waits(self, ticket: tuple[float, int, Entry[K]]) -> bool:
        _, call, entry = ticket
        return entry.place is _WAITING and entry.call == call and entry.priority == self.priority

    def _skip_stale(self) -> None:
        for line in (self.added, self.ended):
            while line and not self._is_ready(line[0]):
                line.popleft()
                self.stale -= 1

    def _rebuild_heap(self) -> None:
        self.heap = [ticket for ticket in self.heap if self._waits(ticket)]
        heapify(self.heap)
