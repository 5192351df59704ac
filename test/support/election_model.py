"""A world of candidates with clocks of their own around one Lease, in true time, event by event.

The server locks optimistically and loses, delays and executes late as it is told. Processes are
stopped and go on with what they had in hand, die, come back under another name, hand over and stand
again. People delete and edit the Lease. Only the rules (`Election`) are the real ones.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from smbpctl.runtime.clock import Random, seeded_random
from smbpctl.runtime.leader.election import Election, Over, Read, Wait, Write
from smbpctl.runtime.leader.record import LeaseRecord
from smbpctl.runtime.leader.settings import LeaderElection
from smbpctl.runtime.meta import Manifest

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = LeaderElection(lease_name="operator", namespace="system")
LEASE = SETTINGS.lease_duration.total_seconds()
MARGIN = SETTINGS.fence_margin.total_seconds()
CALL = SETTINGS.call_timeout.total_seconds()
STRANGER = "somebody-else"


@dataclass(frozen=True)
class Network:
    """What may happen to requests, as shares; the rest goes well."""

    lost: float = 0.0
    answer_lost: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    watch_lost: float = 0.0
    reads_too: bool = True


PERFECT = Network()


class Server:
    """One Lease, its resourceVersion, and who wrote it."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self.version = 100
        self.writers: list[str] = []
        self.listeners: list[Callable[[Manifest | None], None]] = []

    def get(self) -> LeaseRecord | None:
        """Return the Lease as a client reads it."""
        return None if self.lease is None else LeaseRecord.of(self.lease)

    def execute(self, write: Write, sender: str) -> LeaseRecord | None:
        """Do what a request asks, None when the version it is based on is not the current one."""
        current = None if self.lease is None else self.lease["metadata"]["resourceVersion"]
        based_on = None if write.create else write.manifest["metadata"]["resourceVersion"]
        if current != based_on:
            return None
        if not write.manifest["spec"]["holderIdentity"]:
            held_by = self.lease["spec"].get("holderIdentity") if self.lease else None
            assert held_by == sender, f"{sender} blanked the lease of {held_by}"
        return self.put(write.manifest)

    def put(self, manifest: Manifest | None) -> LeaseRecord | None:
        """Store a version, or delete the Lease, and tell the watches."""
        self.version += 1
        self.lease = manifest
        if manifest is not None:
            metadata = {**manifest["metadata"], "resourceVersion": str(self.version)}
            self.lease = {**manifest, "metadata": metadata}
        for listener in self.listeners:
            listener(self.lease)
        return self.get()

    def edit(self, **spec: Any) -> None:
        """Change fields as a person does who knows nothing of elections."""
        if self.lease is not None:
            self.put({**self.lease, "spec": {**self.lease["spec"], **spec}})


@dataclass(eq=False)
class Candidate:
    """One process: its clock, its rules, and what it has in hand."""

    name: str
    election: Election
    offset: float
    rate: float
    stopped_until: float = 0.0
    stops_after_answer: float = 0.0
    alive: bool = True
    busy: bool = False
    releasing: bool = False
    ticket: int = 0
    over_since: float | None = None

    def local(self, now: float) -> float:
        """Return what this machine's clock shows at a true time."""
        return self.offset + self.rate * now

    def may_write(self, now: float) -> bool:
        """Tell whether the fence is open; a stopped process finds out with its next instruction."""
        election = self.election
        deadline = election.renewed + LEASE - MARGIN
        return self.alive and not self.releasing and election.leading and self.local(now) < deadline


@dataclass
class World:
    """Everything, and what happened; `run` lets true time pass."""

    chance: Random
    network: Network = PERFECT
    now: float = 0.0
    server: Server = field(default_factory=Server)
    candidates: list[Candidate] = field(default_factory=list)
    terms: list[tuple[float, str]] = field(default_factory=list)
    losses: list[tuple[float, str, str]] = field(default_factory=list)
    deleted_at: float = -1e9
    settled: bool = False
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Have something happen, in the order of moments and of calls."""
        heapq.heappush(self._events, (max(moment, self.now), next(self._numbers), event))

    def run(self, until: float) -> None:
        """Let everything up to a moment happen; after each event at most one fence is open."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            self.check()
        self.now = until

    def check(self) -> None:
        """Fail when two processes may write now. Fences open at events only."""
        writers = [each.name for each in self.candidates if each.may_write(self.now)]
        assert len(writers) < 2, f"at {self.now:.3f} all of {writers} may write"

    def leader(self) -> Candidate | None:
        """Return who may write now."""
        return next((each for each in self.candidates if each.may_write(self.now)), None)

    def join(self, *, offset: float = 0.0, rate: float = 1.0) -> Candidate:
        """Start a process."""
        name = f"candidate-{next(self._numbers)}"
        election = Election(SETTINGS, name, seeded_random(len(self.candidates)))
        made = Candidate(name, election, offset, rate)
        self.candidates.append(made)
        self.server.listeners.append(lambda lease: self._tell(made, lease))
        self._soon(made)
        return made

    # What processes do.

    def _soon(self, who: Candidate) -> None:
        """Have a process look what to do, now."""
        who.ticket += 1
        ticket = who.ticket
        self.at(self.now, lambda: self._act(who, ticket))

    def _act(self, who: Candidate, ticket: int) -> None:
        if not who.alive or who.busy or ticket != who.ticket or self._stopped(who, self._act):
            return
        if who.releasing:
            self._fetch_to_release(who)
            return
        local = who.local(self.now)
        match who.election.step(local, EPOCH + timedelta(seconds=local)):
            case Wait(until):
                moment = (until - who.offset) / who.rate
                # Timers are late, never early.
                self.at(moment + 1e-6, lambda: self._act(who, ticket))
            case Read():
                self._ask(who, None, lambda record: who.election.read(who.local(self.now), record))
            case Write() as write:
                self._ask(who, write, lambda record: self._written(who, write, record))
            case Over(reason):
                if who.over_since is None:
                    who.over_since = self.now
                    self.losses.append((self.now, who.name, reason))
                if self.settled:
                    self.at(self.now + 1.0, lambda: self.stand_again(who))

    def _stopped(self, who: Candidate, then: Callable[[Candidate, int], None]) -> bool:
        if self.now >= who.stopped_until:
            return False
        ticket = who.ticket
        self.at(who.stopped_until, lambda: then(who, ticket))
        return True

    def _written(self, who: Candidate, write: Write, record: LeaseRecord | None) -> None:
        led = who.election.leading
        if record is None:
            who.election.failed(who.local(self.now))
        else:
            who.election.written(who.local(self.now), write, record)
        if who.election.leading and not led:
            self.terms.append((self.now, who.name))
        if who.election.leading and who.stops_after_answer:
            self.stop(who, who.stops_after_answer)
            who.stops_after_answer = 0.0

    def _ask(
        self, who: Candidate, write: Write | None, answered: Callable[[LeaseRecord | None], None]
    ) -> None:
        """Send a request, whatever becomes of it; exactly one answer or time-out follows."""
        who.busy = True
        open_exchange = [True]

        def end(then: Callable[[], None]) -> None:
            if not who.alive or not open_exchange[0]:
                return
            if self.now < who.stopped_until:
                self.at(who.stopped_until, lambda: end(then))
                return
            open_exchange[0] = who.busy = False
            then()
            self._soon(who)

        def arrive(answer_after: float | None) -> None:
            record = self.server.get() if write is None else self.server.execute(write, who.name)
            if answer_after is not None:
                self.at(self.now + answer_after, lambda: end(lambda: answered(record)))

        way, back = self._way(is_read=write is None)
        if way is not None:
            self.at(self.now + way, lambda: arrive(back))
        timeout = CALL / who.rate
        self.at(self.now + timeout, lambda: end(lambda: who.election.failed(who.local(self.now))))

    def _way(self, *, is_read: bool) -> tuple[float | None, float | None]:
        """Return how long a request and its answer travel; None for what gets lost."""
        uniform, network = self.chance.uniform, self.network
        fate = self.chance.random()
        if is_read and not network.reads_too:
            return uniform(0, 0.02), uniform(0, 0.02)
        for share, way in (
            (network.lost, (None, None)),
            (network.answer_lost, (uniform(0, 0.5), None)),
            (network.late, (uniform(CALL, 4 * CALL), None)),
            (network.slow, (uniform(0, 0.02), uniform(0, CALL))),
        ):
            if fate < share:
                return way
            fate -= share
        return uniform(0, 0.02), uniform(0, 0.02)

    def _tell(self, who: Candidate, lease: Manifest | None) -> None:
        """Deliver a watch event some time later, or never."""
        if self.chance.random() < self.network.watch_lost:
            return
        record = None if lease is None else LeaseRecord.of(lease)

        def deliver() -> None:
            if not who.alive:
                return
            if self.now < who.stopped_until:
                self.at(who.stopped_until, deliver)
                return
            who.election.observed(who.local(self.now), record)
            self._soon(who)

        self.at(self.now + 0.01, deliver)

    def _fetch_to_release(self, who: Candidate) -> None:
        """Hand over, as long as the lease would have lasted."""
        if who.local(self.now) >= who.election.renewed + LEASE:
            who.alive = False
            return

        def fetched(record: LeaseRecord | None) -> None:
            manifest = who.election.release(record, EPOCH)
            if manifest is None:
                who.alive = False
                return
            write = Write(manifest, create=False, sent=who.local(self.now))
            self._ask(who, write, done)

        def done(record: LeaseRecord | None) -> None:
            who.alive = record is None

        self._ask(who, None, fetched)

    # What is done to them.

    def stop(self, who: Candidate, seconds: float) -> None:
        """Stop a process (SIGSTOP) and let it go on later."""
        who.stopped_until = max(who.stopped_until, self.now + seconds)

    def ambush(self, seconds: float) -> None:
        """Stop whoever leads as soon as it knows of its next renewal."""
        for who in self.candidates:
            who.stops_after_answer = seconds

    def kill(self, who: Candidate) -> None:
        """End a process; another takes its place, with a clock like its own."""
        who.alive = False
        # One that never saw the Lease takes a deleted one for a new one: nothing tells it better.
        later = max(self.now + 1.0, self.deleted_at + 1.1 * LEASE)
        self.at(later, lambda: self._replace(who))

    def _replace(self, who: Candidate) -> None:
        self.join(offset=who.offset, rate=who.rate)

    def hand_over(self, who: Candidate) -> None:
        """Stop in good order: all work has ended, then the Lease is released."""
        if who.alive and who.election.leading:
            who.releasing = True
            who.election.give_up("stopped")
            self._soon(who)
            self.at(max(self.now + 2.0, self.deleted_at + 1.1 * LEASE), lambda: self._replace(who))

    def stand_again(self, who: Candidate) -> None:
        """Let a process that lost its term stand again: its work has ended."""
        if who.alive and who.over_since is not None and not who.busy:
            who.over_since = None
            who.election.stand_again()
            self._soon(who)

    def delete(self) -> None:
        """Delete the Lease, once everybody alive has seen it."""
        self._forget(None)

    def wipe(self) -> None:
        """Take everything out of the Lease, once everybody alive has seen it."""
        if self.server.lease is not None:
            self._forget({**self.server.lease, "spec": {}})

    def _forget(self, lease: Manifest | None) -> None:
        alive = [each for each in self.candidates if each.alive]
        if self.server.lease is not None and all(each.election.record for each in alive):
            self.deleted_at = self.now
            self.server.put(lease)

    def settle(self) -> None:
        """End all trouble: whoever lost, or still loses, stands again; what was stopped goes on."""
        self.network = PERFECT
        self.settled = True
        for who in self.candidates:
            who.stopped_until = min(who.stopped_until, self.now)
            who.stops_after_answer = 0.0
            self.stand_again(who)
            self._soon(who)
