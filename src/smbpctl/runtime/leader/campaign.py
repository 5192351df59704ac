"""One candidacy from the first look at the Lease to the end of the term: `Election`, acted out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Final, Protocol, final

import structlog

from smbpctl.runtime.clock import Clock, Random, Stopwatch
from smbpctl.runtime.errors import (
    AlreadyExists,
    ApiStatusError,
    ConfigurationError,
    Conflict,
    Forbidden,
    TransportError,
)
from smbpctl.runtime.informer.lines import LineTooLongError
from smbpctl.runtime.leader.election import Election, Over, Read, Wait, Write
from smbpctl.runtime.leader.fence import LeaseFence
from smbpctl.runtime.leader.heartbeat import Heartbeat
from smbpctl.runtime.leader.lease import LeaseApi
from smbpctl.runtime.leader.settings import JITTER, LeaderElection

LAST_CALL: Final = timedelta(seconds=2)
"""What an owner has at least to take note of a loss, when the lease is over already."""

_LOOK: Final = 1.0
_LONGEST: Final = 60.0
_UNASKED: Final = timedelta(minutes=1)

_FAILURES = (ApiStatusError, TransportError, ConfigurationError, TimeoutError)

_log = structlog.get_logger(__name__)


class ElectionMetrics(Protocol):
    """Where an election is counted: satisfied by `metrics.LeaderMetrics`."""

    def leading(self, leads: bool) -> None:
        """Tell whether this process leads."""

    def slow_path(self) -> None:
        """Count a renewal that needed to read the Lease first."""

    def heartbeat_stop(self) -> None:
        """Count a time when renewing stopped because the main loop gave no sign of life."""


class Owner(Protocol):
    """Who wants to lead; told in the thread of the campaign."""

    def elected(self, term: int) -> None:
        """Begin: this process leads."""

    def lost(self, reason: str) -> None:
        """End all work now, and `Campaign.acknowledge`: the fence is closed already."""


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """How an election stands for this candidate; replaced as a whole, so any thread may look.

    `renewed` and `heard` are times of the election's clock: when the last successful renewal was
    sent, and when the server last told of the Lease. `trouble` is what keeps failing, if anything.
    """

    leads: bool = False
    holder: str = ""
    renewed: float = -inf
    heard: float = -inf
    trouble: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a campaign has around it: time, chance, whom it counts for, whose life it watches."""

    clock: Clock
    random: Random
    now: Stopwatch
    heartbeat: Heartbeat | None
    metrics: ElectionMetrics | None
    exit_process: Callable[[str], None]


@final
class Campaign:
    """Stands for election until elected, then renews until lost, released or cancelled.

    Everything runs on one loop; only `standing` and the fence may be looked at from elsewhere.
    The fence is open exactly while the Election leads and its last renewal lasts, and closed
    before anybody is told of a loss.
    """

    def __init__(
        self,
        election: Election,
        api: LeaseApi,
        fence: LeaseFence,
        owner: Owner,
        *,
        settings: LeaderElection,
        surroundings: Surroundings,
    ) -> None:
        self._election = election
        self._api = api
        self._fence = fence
        self._owner = owner
        self._settings = settings
        self._clock = surroundings.clock
        self._random = surroundings.random
        self._now = surroundings.now
        self._heartbeat = surroundings.heartbeat
        self._metrics = surroundings.metrics
        self._exit = surroundings.exit_process
        self._lease = settings.lease_duration.total_seconds()
        self._poked = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._stopping = False
        self._hands_over = False
        self._led = False
        self._hangs = False
        self._log = _log.bind(lease=f"{settings.namespace}/{settings.lease_name}")
        self.standing: Standing = Standing()

    async def run(self) -> str:
        """Return why the candidacy ended; when it was a term that was lost, its owner knows.

        After a loss the process exits unless the owner took note of it before the lease is over:
        a loop that hangs cannot be cancelled.
        """
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                reason = await self._renew()
                watching.cancel()
            if self._stopping and self._hands_over:
                await self._release()
            elif self._led and not self._stopping:
                await self._until_acknowledged(reason)
            return reason
        finally:
            self._fence.close()
            self._count(leads=False)

    def stop(self, *, hand_over: bool) -> None:
        """Have `run` return, after it handed the Lease over where asked to.

        All work must have ended: nobody checks.
        """
        self._stopping = True
        self._hands_over = hand_over
        self._poked.set()

    def acknowledge(self) -> None:
        """Take note that the owner knows of the loss."""
        self._acknowledged.set()

    async def _renew(self) -> str:
        while not self._stopping:
            # Before the question: what is told after it ends the wait at once.
            self._poked.clear()
            if self._hanging():
                await self._pause(min(self._now() + _LOOK, self._give_up_at()))
                continue
            step = self._election.step(self._now(), self._clock.now())
            self._announce()
            match step:
                case Over(reason):
                    return reason
                case Wait(until):
                    await self._pause(until)
                case Read(slow):
                    await self._read(slow=slow)
                case Write():
                    await self._write(step)
        self._election.give_up("stopped")
        self._fence.close()
        self.standing = replace(self.standing, leads=False)
        return self._election.over

    async def _read(self, *, slow: bool) -> None:
        if slow and self._metrics is not None:
            self._metrics.slow_path()
        within = self._patience()
        try:
            async with asyncio.timeout(within.total_seconds()):
                record = await self._api.get(within)
        except _FAILURES as error:
            self._failed(error)
            return
        self._election.read(self._now(), record)
        self._heard()

    async def _write(self, write: Write) -> None:
        within = self._patience()
        try:
            async with asyncio.timeout(within.total_seconds()):
                record = await self._api.write(write, within)
        except (Conflict, AlreadyExists):
            self._election.failed(self._now())
        except _FAILURES as error:
            self._failed(error)
        else:
            self._election.written(self._now(), write, record)
            self._heard()

    def _failed(self, error: Exception) -> None:
        self._election.failed(self._now())
        self._troubled(str(error) or "no answer in time")

    def _heard(self) -> None:
        """Take note of an answer of the server, and tell the owner what it changed."""
        if self.standing.trouble:
            self._log.info("lease reachable again")
        self.standing = replace(self.standing, heard=self._now(), trouble="")
        self._announce()

    def _troubled(self, trouble: str) -> None:
        if not self.standing.trouble:
            self._log.warning("lease request failed", error=trouble)
        self.standing = replace(self.standing, trouble=trouble)

    def _announce(self) -> None:
        """Bring fence, metrics and owner in line with the Election; the fence first."""
        election, fence = self._election, self._fence
        leads = election.leading
        if leads:
            margin = self._settings.fence_margin.total_seconds()
            fence.open(election.renewed + self._lease - margin, election.term)
        else:
            fence.close()
        record = election.record
        holder = record.holder if record is not None else ""
        before, self.standing = (
            self.standing,
            replace(self.standing, leads=leads, holder=holder, renewed=election.renewed),
        )
        if leads == before.leads:
            return
        self._count(leads=leads)
        if leads:
            self._led = True
            self._log.info("became leader", identity=holder, term=election.term)
            self._owner.elected(election.term)
        else:
            self._poked.set()
            self._lost()

    def _lost(self) -> None:
        reason = self._election.over
        self._log.error("stopped leading", reason=reason, term=self._election.term)
        self._owner.lost(reason)

    def _count(self, *, leads: bool) -> None:
        if self._metrics is not None:
            self._metrics.leading(leads)

    def _hanging(self) -> bool:
        """Tell whether the main loop gives no sign of life: then nothing is claimed for it."""
        heartbeat = self._heartbeat
        if heartbeat is None or self._now() >= self._give_up_at():
            return False
        hangs = heartbeat.age() > self._settings.renew_deadline.total_seconds()
        if hangs and not self._hangs:
            if self._metrics is not None:
                self._metrics.heartbeat_stop()
            self._log.error(
                "main loop hangs, the lease is not renewed",
                seconds=round(heartbeat.age(), 1),
                stack=heartbeat.stack(),
            )
        self._hangs = hangs
        return hangs

    def _give_up_at(self) -> float:
        """Return when a leader must have renewed; a candidate has for ever."""
        if not self._election.leading:
            return inf
        return self._election.renewed + self._settings.renew_deadline.total_seconds()

    def _patience(self) -> timedelta:
        """Return how long the next request may take: no longer than the term itself, at most."""
        left = self._give_up_at() - self._now()
        timeout = self._settings.call_timeout
        return timeout if left >= timeout.total_seconds() else timedelta(seconds=max(0.001, left))

    async def _pause(self, until: float) -> None:
        """Return at `until`, or as soon as something has changed."""
        try:
            async with asyncio.timeout(min(_LONGEST, max(0.0, until - self._now()))):
                await self._poked.wait()
        except TimeoutError:
            return

    async def _watch(self) -> None:
        """Have the Lease told as it changes, for as long as the campaign lasts.

        Without it everything works all the same, by polling, but later.
        """
        complained: type[Exception] | None = None
        while True:
            pause = self._settings.retry_period * self._random.uniform(1.0, JITTER)
            try:
                await self._follow()
                complained = None
            except (*_FAILURES, LineTooLongError) as error:
                if type(error) is not complained:
                    self._log.warning("lease watch failed, it is polled", error=str(error))
                complained = type(error)
                pause = _UNASKED if isinstance(error, Forbidden) else pause
            await self._clock.sleep(pause)

    async def _follow(self) -> None:
        async with self._api.watch() as events:
            async for record in events:
                self._election.observed(self._now(), record)
                self._heard()
                self._poked.set()

    async def _release(self) -> None:
        """Hand over: others need not wait. Given up when the lease would have ended anyway."""
        until = self._election.renewed + self._lease
        while (left := until - self._now()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._let_go(timedelta(seconds=left))
                    return
            except _FAILURES as error:
                # Whether it was executed is seen by reading it again.
                self._troubled(str(error) or "no answer in time")
            await self._clock.sleep(min(self._settings.retry_period, LAST_CALL))

    async def _let_go(self, within: timedelta) -> None:
        """Write that the Lease is free, if the server says now that it is ours."""
        fetched = await self._api.get(within)
        manifest = self._election.release(fetched, self._clock.now())
        if manifest is not None:
            await self._api.write(Write(manifest, create=False, sent=self._now()), within)
            self._log.info("lease released", term=self._election.term)

    async def _until_acknowledged(self, reason: str) -> None:
        left = self._election.renewed + self._lease - self._now()
        try:
            async with asyncio.timeout(max(left, LAST_CALL.total_seconds())):
                await self._acknowledged.wait()
        except TimeoutError:
            stack = self._heartbeat.stack() if self._heartbeat is not None else ""
            self._log.critical("main loop hangs, the process exits", reason=reason, stack=stack)
            self._exit(f"leadership was lost ({reason}) and the main loop does not take note of it")
