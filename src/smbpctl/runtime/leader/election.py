"""The rules of an election for one candidate: what it saw, what it may do next, when it has lost.

Synchronous and without a clock: each call says what time it is, in seconds of one clock of this
machine. It is client-go's algorithm with three differences, each of which closes a gap:

- a renewal counts from before its request was sent, and an answer that was lost is read back;
- only a holder that let go makes the Lease free at once: what was deleted, blanked or edited is
  waited out, because the holder may not know and still work;
- whoever was told of another holder has lost, whatever its own last renewal says.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TypeAlias, final

from smbpctl.runtime.clock import Random
from smbpctl.runtime.leader.record import (
    RELEASED,
    Claim,
    LeaseRecord,
    micro_time,
    new_lease,
)
from smbpctl.runtime.leader.settings import JITTER, LeaderElection
from smbpctl.runtime.meta import Manifest

_SENT_REMEMBERED = 16
_MICROSECOND = timedelta(microseconds=1)


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless the Lease changes."""

    until: float


@final
@dataclass(frozen=True, slots=True)
class Read:
    """Get the Lease and tell `Election.read`; `slow` when a leader could not renew without it."""

    slow: bool = False


@final
@dataclass(frozen=True, slots=True)
class Write:
    """Send this Lease, as a create or as an update of its resourceVersion.

    Then tell `Election.written`, or `Election.failed` when it was refused or nothing is known.
    """

    manifest: Manifest
    create: bool
    sent: float


@final
@dataclass(frozen=True, slots=True)
class Over:
    """This term has ended; `reason` says why."""

    reason: str


Step: TypeAlias = Wait | Read | Write | Over


@final
class Election:
    """One candidate. Ask `step`, do what it says, tell the outcome, ask again.

    `observed` may be told at any time. While `leading`, nobody else who plays by the same rules
    leads before `renewed + lease_duration`, provided that clocks run at about the same pace;
    where they stand does not matter.
    """

    def __init__(self, settings: LeaderElection, identity: str, random: Random) -> None:
        self._settings = settings
        self._lease = settings.lease_duration.total_seconds()
        self._deadline = settings.renew_deadline.total_seconds()
        self._retry = settings.retry_period.total_seconds()
        self._identity = identity
        self._random = random
        self._record: LeaseRecord | None = None
        self._fresh = False
        self._free_at = -inf
        self._next_try = -inf
        self._slow = False
        self._over: Over | None = None
        self._leading = False
        self._renewed = -inf
        self._term = -1
        self._acquired = ""
        self._transitions = -1
        self._last_stamp: datetime | None = None
        self._sent: dict[str, float] = {}

    @property
    def leading(self) -> bool:
        """Tell whether this candidate holds the Lease and has not given up."""
        return self._leading

    @property
    def over(self) -> str:
        """Return why the candidacy ended; empty while it goes on."""
        return "" if self._over is None else self._over.reason

    @property
    def renewed(self) -> float:
        """Return when the last renewal that succeeded was sent; -inf before the first."""
        return self._renewed

    @property
    def term(self) -> int:
        """Return the `leaseTransitions` of the term this candidate led last; -1 before the first.

        It grows from term to term as long as the Lease is not deleted.
        """
        return self._term

    @property
    def record(self) -> LeaseRecord | None:
        """Return the Lease as last seen; None when it did not exist, or was never looked for."""
        return self._record

    def step(self, now: float, wall: datetime) -> Step:
        """Return what to do now; `wall` goes into the Lease, for people to read."""
        if self._leading and now >= self._renewed + self._deadline:
            self._lose(f"the lease was not renewed within {self._settings.renew_deadline}")
        if self._over is not None:
            return self._over
        return self._lead(now, wall) if self._leading else self._stand(now, wall)

    def observed(self, now: float, record: LeaseRecord | None) -> None:
        """Take note of the Lease as a watch told it, None when it was deleted.

        What is older than what is known changes nothing.
        """
        known = self._record
        if record is None or known is None or record.order > known.order:
            self._see(now, record)

    def read(self, now: float, record: LeaseRecord | None) -> None:
        """Take note of the Lease as the server answered a get."""
        self._see(now, record)
        if not self._leading:
            self._next_try = now + self._pause()

    def written(self, now: float, write: Write, record: LeaseRecord) -> None:
        """Take note of a write that succeeded, and of the Lease it made."""
        self._sent[record.renewed] = write.sent
        self.observed(now, record)

    def failed(self, now: float) -> None:
        """Take note of a request that was refused, lost or not answered: read before going on."""
        self._fresh = False
        if not self._leading:
            self._next_try = now + self._pause()
        elif self._slow:
            self._next_try = now + self._retry
        else:
            self._slow = True
            self._next_try = now

    def give_up(self, reason: str) -> None:
        """End the term, or the candidacy; harmless when it is over."""
        self._lose(reason)

    def stand_again(self) -> None:
        """Be a candidate anew. All work of the term before must have ended: nobody checks."""
        self._over = None
        self._fresh = self._slow = False
        self._next_try = -inf
        # What was written in the last term still tells that the Lease is ours to take, but a write
        # of then that turns up now must not begin a term.
        self._sent = dict.fromkeys(self._sent, -inf)

    def release(self, fetched: LeaseRecord | None, wall: datetime) -> Manifest | None:
        """Return the Lease to write so that others need not wait; None when it is not ours.

        `fetched` must come from the server now: what was known before may be long outdated.
        """
        if fetched is None or fetched.holder != self._identity or not self._wrote(fetched):
            return None
        stamp = self._stamp(wall)
        return Claim("", RELEASED, fetched.transitions, stamp, stamp).onto(fetched.manifest)

    def _lead(self, now: float, wall: datetime) -> Step:
        if now < self._next_try:
            return Wait(min(self._next_try, self._renewed + self._deadline))
        if not self._fresh:
            return Read(slow=True)
        return self._claim(now, self._stamp(wall), term=self._term, acquired=self._acquired)

    def _stand(self, now: float, wall: datetime) -> Step:
        if self._fresh and self._may_take(now):
            stamp = self._stamp(wall)
            return self._claim(now, stamp, term=self._transitions + 1, acquired=stamp)
        if now < self._next_try:
            return Wait(min(self._next_try, self._free_at) if self._fresh else self._next_try)
        return Read()

    def _may_take(self, now: float) -> bool:
        ours = self._record is not None and self._wrote(self._record)
        return ours or now >= self._free_at

    def _claim(self, now: float, stamp: str, *, term: int, acquired: str) -> Write:
        settings = self._settings
        self._sent[stamp] = now
        while len(self._sent) > _SENT_REMEMBERED:
            del self._sent[next(iter(self._sent))]
        claim = Claim(self._identity, settings.lease_duration, term, acquired, renewed=stamp)
        existing = self._record
        base = new_lease(settings.namespace, settings.lease_name)
        manifest = claim.onto(base if existing is None else existing.manifest)
        return Write(manifest, create=existing is None, sent=now)

    def _see(self, now: float, record: LeaseRecord | None) -> None:
        before, self._record, self._fresh = self._record, record, True
        if record is not None:
            self._transitions = record.transitions
        if record is not None and self._wrote(record):
            self._see_own(now, record)
        elif record != before:
            self._see_change(now, before, record)

    def _see_own(self, now: float, record: LeaseRecord) -> None:
        """Take note of a Lease that we wrote: the write was executed, answered or not."""
        sent = self._sent[record.renewed]
        self._free_at = -inf
        # An answer may come so late that the term it began is over.
        if self._over is not None or now >= sent + self._deadline or sent <= self._renewed:
            return
        self._leading = True
        self._renewed = sent
        self._slow = False
        self._term, self._acquired = record.transitions, record.acquired
        self._next_try = sent + self._retry

    def _see_change(
        self, now: float, before: LeaseRecord | None, record: LeaseRecord | None
    ) -> None:
        """Take note of a Lease that somebody else wrote, or deleted."""
        # Nothing of ours that was sent before can be executed any more: its version is outdated.
        self._sent.clear()
        if self._leading:
            if record is not None and record.holder not in {"", self._identity}:
                self._lose(f"{record.holder} has taken the lease")
            # Deleted, blanked or edited: nobody leads but us, and the others should know.
            self._next_try = now
        if record is not None and record.released:
            self._free_at = -inf
        else:
            # Never earlier than known before: whoever held it may still count on it.
            self._free_at = max(self._free_at, now + self._wait_for(before, record))

    def _wait_for(self, before: LeaseRecord | None, record: LeaseRecord | None) -> float:
        """Return how long the Lease must stay as it is now before it may be taken."""
        if record is None:
            # Who held it last need not be whom we saw last.
            told = timedelta(0) if before is None else before.duration
            return max(self._lease, told.total_seconds())
        if record.blank and before is None:
            return 0.0
        return record.duration.total_seconds() or self._lease

    def _wrote(self, record: LeaseRecord) -> bool:
        return record.holder == self._identity and record.renewed in self._sent

    def _lose(self, reason: str) -> None:
        self._leading = False
        if self._over is None:
            self._over = Over(reason)

    def _pause(self) -> float:
        return self._retry * self._random.uniform(1.0, JITTER)

    def _stamp(self, wall: datetime) -> str:
        """Return a time that no write of ours carried before, whatever the wall clock does."""
        last = self._last_stamp
        self._last_stamp = wall if last is None or wall > last else last + _MICROSECOND
        return micro_time(self._last_stamp)
