"""`Elector`: what a manager holds of leader election, whichever thread it runs in."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NoReturn, final

from smbpctl.runtime.client.call import RequestMetrics
from smbpctl.runtime.clock import (
    Clock,
    LoopClock,
    Random,
    Stopwatch,
    TimerHandle,
    boottime,
    system_random,
)
from smbpctl.runtime.errors import LeadershipLost
from smbpctl.runtime.leader.campaign import Campaign, ElectionMetrics, Standing, Surroundings
from smbpctl.runtime.leader.election import Election
from smbpctl.runtime.leader.fence import LeaseFence
from smbpctl.runtime.leader.heartbeat import Heartbeat
from smbpctl.runtime.leader.lease import LeaseApi
from smbpctl.runtime.leader.settings import LeaderElection
from smbpctl.runtime.leader.thread import LoopThread
from smbpctl.runtime.transport import Transport

BEAT: Final = timedelta(seconds=1)
"""How often the main loop gives its sign of life, unless the renew deadline is very short."""


def default_identity(random: Random) -> str:
    """Return `hostname_uuid`: no two processes have the same, nor one that was started again."""
    return f"{socket.gethostname()}_{uuid.UUID(int=random.getrandbits(128), version=4)}"


def exit_process(reason: str) -> NoReturn:
    """End the process at once, whatever its threads do."""
    os.write(2, f"exiting: {reason}\n".encode())
    os._exit(1)


@final
class _Messenger:
    """Satisfies `campaign.Owner`: has the owner told in the owner's own loop."""

    def __init__(
        self,
        tell: Callable[[Callable[[], None]], object],
        elected: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._elected = elected
        self._lost = lost

    def elected(self, term: int) -> None:
        del term
        self._tell(self._elected)

    def lost(self, reason: str) -> None:
        self._tell(lambda: self._lost(reason))


@final
class Elector:
    """Stands for election to one Lease and holds it, for the owner that runs it.

    The owner runs `run` as a task beside everything else, begins its work when `elected` returns,
    ends it when `lost` does, and calls `release` when it stops and its work has ended. Writes ask
    `fence`. What became of a lost term's work only the owner can know: once all of it has ended
    it may call `run` again, and stands anew; else the process should end.

    With `own_thread` renewing has a thread, a loop and connections of its own, and goes on while
    the owner's loop is busy. That loop gives a sign of life every second; without one for the
    renew deadline nothing is renewed, and when the loop still hangs as the lease ends, the process
    exits. Without `own_thread` everything runs on the owner's loop: for simulations.
    """

    def __init__(
        self,
        settings: LeaderElection,
        open_transport: Callable[[], Transport],
        *,
        identity: str = "",
        own_thread: bool = True,
        clock: Clock | None = None,
        random: Random | None = None,
        now: Stopwatch = boottime,
        metrics: ElectionMetrics | None = None,
        requests: RequestMetrics | None = None,
        exit_process: Callable[[str], None] = exit_process,
    ) -> None:
        """Make an elector that does nothing yet.

        `open_transport` is called in the loop of the election, for connections that nothing else
        uses; they are closed when `run` ends. `now` measures the lease.
        """
        self._random = random or system_random()
        self.settings: LeaderElection = settings
        self.identity: str = identity or default_identity(self._random)
        what = f"Lease {settings.namespace}/{settings.lease_name}"
        self.fence: LeaseFence = LeaseFence(what, now)
        self._open_transport = open_transport
        self._own_thread = own_thread
        self._clock = clock or LoopClock()
        self._now = now
        self._metrics = metrics
        self._requests = requests
        self._exit = exit_process
        self._election = Election(settings, self.identity, self._random)
        self._thread = LoopThread(f"leader-{settings.lease_name}")
        self._campaign: Campaign | None = None
        self._running = False
        self._releasing = False
        self._elected = asyncio.Event()
        self._lost = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = ""

    @property
    def now(self) -> float:
        """Return the time on the clock that measures the lease."""
        return self._now()

    @property
    def standing(self) -> Standing | None:
        """Return how the election stands for this process, None while it takes no part."""
        campaign = self._campaign
        return None if campaign is None else campaign.standing

    async def run(self) -> None:
        """Stand for election, lead and renew, until `release` or cancellation.

        Raises LeadershipLost when the term was lost. Called again after that it stands anew: who
        does so vouches that all work of the lost term has ended. Cancelled, it leaves the Lease as
        it is. Raises RuntimeError when it runs already.
        """
        if self._running:
            raise RuntimeError("the elector runs already")
        self._running, self._releasing = True, False
        self._lost.clear()
        self._ended.clear()
        self._election.stand_again()
        try:
            if self._own_thread:
                await self._in_thread()
            else:
                await self._stand(lambda call: call(), None)
        finally:
            self._running = False
            # Now, not at the next run: whoever starts that as a task asks before it has begun.
            self._elected.clear()
            self._ended.set()
        if self._lost.is_set():
            raise LeadershipLost(self._reason)

    async def elected(self) -> int:
        """Return the term as soon as this process leads."""
        await self._elected.wait()
        return self._election.term

    async def lost(self) -> str:
        """Return the reason as soon as the term is lost; the fence is closed by then."""
        await self._lost.wait()
        return self._reason

    async def release(self) -> None:
        """Hand the Lease over, have `run` return, and wait for it. All work must have ended.

        The fence is closed first. The Lease is let go of only if the server says, now, that it is
        ours, and only until it would have ended anyway. With `release_on_stop` off it is left as
        it is. Harmless when nothing runs; a candidate just stands no longer.
        """
        if not self._running:
            return
        self._releasing = True
        self._post(self._stop)
        await self._ended.wait()

    async def _in_thread(self) -> None:
        tell, heartbeat = asyncio.get_running_loop().call_soon_threadsafe, Heartbeat(self._now)
        every = min(BEAT, self.settings.renew_deadline / 4)
        next_beat: TimerHandle | None = None

        def beat() -> None:
            nonlocal next_beat
            heartbeat.beat()
            next_beat = self._clock.call_later(every, beat)

        beat()
        try:
            await self._thread.run(lambda: self._stand(tell, heartbeat))
        finally:
            if next_beat is not None:
                next_beat.cancel()

    async def _stand(
        self, tell: Callable[[Callable[[], None]], object], heartbeat: Heartbeat | None
    ) -> None:
        """Campaign once, in the loop of the election."""
        transport = self._open_transport()
        campaign = Campaign(
            self._election,
            LeaseApi(transport, self.settings, self._requests),
            self.fence,
            _Messenger(tell, self._elected.set, self._note_lost),
            settings=self.settings,
            surroundings=Surroundings(
                clock=self._clock,
                random=self._random,
                now=self._now,
                heartbeat=heartbeat,
                metrics=self._metrics,
                exit_process=self._exit,
            ),
        )
        self._campaign = campaign
        try:
            # Whoever asked before there was a campaign could not tell it.
            if self._releasing:
                self._stop()
            await campaign.run()
        finally:
            self._campaign = None
            await transport.close()

    def _stop(self) -> None:
        if self._campaign is not None:
            self._campaign.stop(hand_over=self.settings.release_on_stop)

    def _note_lost(self, reason: str) -> None:
        """Take note of the loss, in the owner's loop, and tell the campaign so."""
        self._reason = reason
        self._lost.set()
        campaign = self._campaign
        if campaign is not None:
            self._post(campaign.acknowledge)

    def _post(self, call: Callable[[], None]) -> None:
        """Make a call in the loop of the election; what has ended needs none."""
        if self._own_thread:
            self._thread.post(call)
        else:
            call()
