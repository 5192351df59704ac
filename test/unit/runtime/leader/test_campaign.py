"""A campaign against a server, under virtual time: what its owner is told, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import LeadershipLost, TransportError
from smbpctl.runtime.leader import LeaderElection, LeaseFence
from smbpctl.runtime.leader.campaign import Campaign, Surroundings
from smbpctl.runtime.leader.election import Election
from smbpctl.runtime.leader.heartbeat import Heartbeat
from smbpctl.runtime.leader.lease import LeaseApi
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import Answer, status_response
from test.support.lease_server import LeaseServer
from test.support.virtual_time import run_virtual

SETTINGS = LeaderElection(lease_name="operator", namespace="system")
CLOCK = LoopClock()


@dataclass
class Counted:
    """Satisfies `ElectionMetrics`."""

    leads: list[bool] = field(default_factory=list)
    slow: int = 0
    stops: int = 0

    def leading(self, leads: bool) -> None:
        self.leads.append(leads)

    def slow_path(self) -> None:
        self.slow += 1

    def heartbeat_stop(self) -> None:
        self.stops += 1


class Person:
    """One who wants to lead: satisfies `Owner`, and has a campaign."""

    def __init__(self, server: LeaseServer, name: str, settings: LeaderElection = SETTINGS) -> None:
        self.name = name
        self.told: list[tuple[float, str]] = []
        self.counted = Counted()
        self.exits: list[str] = []
        self.fence = LeaseFence("the lease", CLOCK.monotonic)
        self.heartbeat = Heartbeat(CLOCK.monotonic)
        self.beats = True
        self.acknowledges = True
        self.election = Election(settings, name, seeded_random(len(name)))
        self.campaign = Campaign(
            self.election,
            LeaseApi(server.transport(), settings, None),
            self.fence,
            self,
            settings=settings,
            surroundings=Surroundings(
                clock=CLOCK,
                random=seeded_random(1),
                now=CLOCK.monotonic,
                heartbeat=self.heartbeat,
                metrics=self.counted,
                exit_process=self.exits.append,
            ),
        )

    def elected(self, term: int) -> None:
        self.told.append((CLOCK.monotonic(), f"elected {term}"))

    def lost(self, reason: str) -> None:
        assert not self.may_write, "told of the loss with the fence open"
        self.told.append((CLOCK.monotonic(), f"lost: {reason}"))
        if self.acknowledges:
            self.campaign.acknowledge()

    @property
    def may_write(self) -> bool:
        with suppress(LeadershipLost):
            self.fence.check()
            return True
        return False

    async def run(self) -> str:
        """Campaign, and give signs of life meanwhile."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat())
            reason = await self.campaign.run()
            beating.cancel()
        return reason

    async def _beat(self) -> None:
        while True:
            if self.beats:
                self.heartbeat.beat()
            await pause(1)


async def pause(seconds: float) -> None:
    """Let time pass."""
    await CLOCK.sleep(timedelta(seconds=seconds))


async def eventually(check: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait until `check` holds, and return how long that took."""
    began = CLOCK.monotonic()
    while not check():
        assert CLOCK.monotonic() - began < seconds, f"not within {seconds} s"
        await pause(0.01)
    return CLOCK.monotonic() - began


@dataclass
class Running:
    """People whose campaigns run in a group that ends with the block."""

    group: asyncio.TaskGroup
    tasks: dict[str, asyncio.Task[str]] = field(default_factory=dict)

    def start(self, *people: Person) -> None:
        for person in people:
            self.tasks[person.name] = self.group.create_task(person.run())

    def kill(self, person: Person) -> None:
        """End a campaign as a process ends that is killed."""
        self.tasks[person.name].cancel()


async def with_campaigns(body: Callable[[Running], Awaitable[None]]) -> None:
    """Run the body, and end all campaigns after it."""
    async with asyncio.TaskGroup() as group:
        running = Running(group)
        await body(running)
        for task in running.tasks.values():
            task.cancel()


async def elect(running: Running, server: LeaseServer, *names: str) -> list[Person]:
    """Start people one after the other, so that the first one leads."""
    people = [Person(server, name) for name in names]
    for person in people:
        running.start(person)
        await pause(1)
    assert people[0].may_write
    return people


class TestElected:
    def test_one_of_two_leads(self) -> None:
        """The other one knows who does."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            await pause(60)

            assert server.holder == "one"
            assert [what for _, what in one.told] == ["elected 0"]
            assert two.told == []
            assert (one.may_write, two.may_write) == (True, False)
            assert (one.fence.term, two.fence.term) == (0, None)
            assert two.campaign.standing.holder == "one"
            assert (one.counted.leads, two.counted.leads) == ([True], [])

        run_virtual(with_campaigns(body))

    def test_a_dead_leader_is_replaced(self) -> None:
        """When its lease is over, not before, and with the next number."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            renewed = one.election.renewed
            running.kill(one)
            await eventually(lambda: two.may_write)

            assert 15.0 <= CLOCK.monotonic() - renewed <= 15.0 + 2.4
            assert two.fence.term == 1

        run_virtual(with_campaigns(body))

    def test_without_a_watch_it_still_is(self) -> None:
        """By polling: what was seen late is waited out from then."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            server.before = _no_watch
            one, two = await elect(running, server, "one", "two")
            running.kill(one)
            took = await eventually(lambda: two.may_write)

            assert took <= 15.0 + 2 * 2.4

        run_virtual(with_campaigns(body))


def _no_watch(request: HttpRequest) -> None:
    if "watch=1" in request.url:
        raise TransportError("no watch today", sent=False)


class TestHandOver:
    def test_a_standby_leads_at_once(self) -> None:
        """The watch tells of the release."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            one.campaign.stop(hand_over=True)
            took = await eventually(lambda: two.may_write)
            reason = await running.tasks["one"]

            assert took < 0.1
            assert reason == "stopped"
            assert [what for _, what in one.told] == ["elected 0"]
            assert one.counted.leads == [True, False]
            assert (one.may_write, server.holder) == (False, "two")

        run_virtual(with_campaigns(body))

    def test_without_hand_over_the_lease_stays(self) -> None:
        """Whoever wants it that way: others wait it out."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            one.campaign.stop(hand_over=False)
            await running.tasks["one"]

            assert server.holder == "one"
            assert not one.may_write

        run_virtual(with_campaigns(body))

    def test_a_candidate_just_stands_no_longer(self) -> None:
        """It has nothing to hand over."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            _, two = await elect(running, server, "one", "two")
            before = server.version
            two.campaign.stop(hand_over=True)
            await running.tasks["two"]
            writes = [
                r for r in server.requests if r.method != "GET" and b'"two"' in (r.body or b"")
            ]

            assert (server.holder, writes) == ("one", [])
            assert server.version - before <= 1

        run_virtual(with_campaigns(body))

    def test_a_lost_answer_is_read_back(self) -> None:
        """The release was executed: nothing is written over whoever came after."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            server.lose_answers = True
            one.campaign.stop(hand_over=True)
            await running.tasks["one"]
            written = [r for r in server.requests if r.method == "PUT"]

            assert server.holder == ""
            assert b'"holderIdentity":""' in (written[-1].body or b"")
            assert sum(b'"holderIdentity":""' in (r.body or b"") for r in written) == 1

        run_virtual(with_campaigns(body))

    def test_another_holder_is_left_alone(self) -> None:
        """What the server says counts, not what we knew."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            server.before = _no_watch
            (one,) = await elect(running, server, "one")
            server.edit(holderIdentity="somebody")
            one.campaign.stop(hand_over=True)
            await running.tasks["one"]

            assert server.holder == "somebody"

        run_virtual(with_campaigns(body))

    def test_it_is_given_up_when_the_lease_would_be_over(self) -> None:
        """A server that is away keeps nobody from ending."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            renewed = one.election.renewed
            server.before = _away
            one.campaign.stop(hand_over=True)
            await running.tasks["one"]

            assert renewed + 13 <= CLOCK.monotonic() <= renewed + 15.01 + 2

        run_virtual(with_campaigns(body))


def _away(_: HttpRequest) -> None:
    raise TransportError("the server is away", sent=False)


async def _hang(_: HttpRequest) -> Answer | None:
    await asyncio.Event().wait()
    return None


class TestLost:
    @pytest.mark.parametrize("fault", [_away, _hang])
    def test_a_server_that_is_away_ends_the_term(self, fault: Any) -> None:
        """At the renew deadline, requests under way included; the fence closes first."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            await eventually(lambda: one.election.renewed > 1001)
            server.before = fault
            renewed = one.election.renewed
            reason = await running.tasks["one"]
            moment, told = one.told[-1]

            assert "not renewed" in reason
            assert told == f"lost: {reason}"
            assert moment == pytest.approx(renewed + 10, abs=0.1)
            assert one.counted.leads[:2] == [True, False]
            assert one.exits == []

        run_virtual(with_campaigns(body))

    def test_a_theft_is_noticed_at_once(self) -> None:
        """The leader watches, too."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            await elect(running, server, "one")
            server.edit(holderIdentity="thief")
            began = CLOCK.monotonic()
            reason = await running.tasks["one"]

            assert reason == "thief has taken the lease"
            assert CLOCK.monotonic() - began < 0.1
            assert server.holder == "thief"

        run_virtual(with_campaigns(body))

    def test_lost_answers_do_not_lose_the_lease(self) -> None:
        """Each renewal is read back, on the slow path."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            server.lose_answers = True
            await pause(60)

            assert one.may_write
            assert [what for _, what in one.told] == ["elected 0"]
            assert one.counted.slow > 20

        run_virtual(with_campaigns(body))

    def test_a_deleted_lease_is_made_again(self) -> None:
        """By its holder, who leads on."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            server.put(None)
            await pause(1)

            assert server.holder == "one"
            assert (one.may_write, two.may_write) == (True, False)

        run_virtual(with_campaigns(body))


class TestHeartbeat:
    def test_a_main_loop_that_hangs_ends_the_process(self) -> None:
        """Renewing stops at the renew deadline; when the lease is over, the process exits."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            one.beats = one.acknowledges = False
            hung = CLOCK.monotonic()
            with capture_logs() as logs:
                await running.tasks["one"]

            assert one.election.renewed <= hung + 10
            assert one.told[-1][0] == pytest.approx(one.election.renewed + 10, abs=0.1)
            assert CLOCK.monotonic() == pytest.approx(one.election.renewed + 15, abs=0.1)
            assert len(one.exits) == 1
            assert one.counted.stops == 1
            (line,) = [each for each in logs if each["event"].startswith("main loop hangs, the l")]
            assert "test_campaign" in line["stack"]

        run_virtual(with_campaigns(body))

    def test_a_main_loop_that_recovers_goes_on(self) -> None:
        """A pause that ends before the term does costs nothing."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            one.beats = False
            await eventually(lambda: one.counted.stops == 1)
            await pause(5)
            one.beats = True
            await pause(30)

            assert one.may_write
            assert one.exits == []

        run_virtual(with_campaigns(body))

    def test_a_candidate_whose_main_loop_hangs_claims_nothing(self) -> None:
        """It could not begin to work."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            two.beats = False
            await pause(15)
            running.kill(one)
            await pause(60)
            during = list(two.told)
            two.beats = True
            await eventually(lambda: two.may_write)

            assert during == []

        run_virtual(with_campaigns(body))

    def test_an_owner_that_does_not_take_note_in_time_ends_the_process(self) -> None:
        """Its loop may live, but it does not end its work: nobody else can."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            (one,) = await elect(running, server, "one")
            one.acknowledges = False
            server.edit(holderIdentity="thief")
            renewed = one.election.renewed
            await running.tasks["one"]

            assert CLOCK.monotonic() == pytest.approx(renewed + 15, abs=0.1)
            assert "thief has taken the lease" in one.exits[0]

        run_virtual(with_campaigns(body))


class TestTrouble:
    def test_it_is_logged_once_and_shown(self) -> None:
        """Until the server is back."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one = Person(server, "one")
            server.before = _away
            with capture_logs() as logs:
                running.start(one)
                await pause(10)
                trouble = one.campaign.standing.trouble
                server.before = None
                await eventually(lambda: one.may_write)
            lines = [(each["event"], each["log_level"]) for each in logs]

            assert "the server is away" in trouble
            assert one.campaign.standing.trouble == ""
            assert lines.count(("lease request failed", "warning")) == 1
            assert lines.count(("lease watch failed, it is polled", "warning")) == 1
            assert ("lease reachable again", "info") in lines

        run_virtual(with_campaigns(body))

    def test_a_watch_that_is_not_allowed_is_rarely_tried(self) -> None:
        """The right may be given later; until then polling does."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)

            def forbid(request: HttpRequest) -> Any:
                if "watch=1" not in request.url:
                    return None
                return _ready(status_response(403, "Forbidden"))

            server.before = forbid
            await elect(running, server, "one")
            await pause(170)
            watches = [r for r in server.requests if "watch=1" in r.url]

            assert len(watches) == 3

        run_virtual(with_campaigns(body))

    def test_a_watch_that_ends_is_opened_again(self) -> None:
        """Servers end every watch some day."""

        async def body(running: Running) -> None:
            server = LeaseServer(SETTINGS)
            one, two = await elect(running, server, "one", "two")
            server.end_watches()
            await pause(3)
            one.campaign.stop(hand_over=True)

            assert await eventually(lambda: two.may_write) < 0.1

        run_virtual(with_campaigns(body))


async def _ready(answer: Answer) -> Answer:
    return answer
