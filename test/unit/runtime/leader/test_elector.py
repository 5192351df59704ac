"""What an owner holds of an election: on its own loop under virtual time, and in a real thread."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import LeadershipLost
from smbpctl.runtime.leader import Elector, LeaderElection, default_identity
from test.support.fake_transport import FakeTransport
from test.support.lease_server import LeaseServer
from test.support.virtual_time import run_virtual

SETTINGS = LeaderElection(lease_name="operator", namespace="system")
QUICK = LeaderElection(
    lease_name="operator",
    namespace="system",
    lease_duration=timedelta(seconds=2),
    renew_deadline=timedelta(milliseconds=500),
    retry_period=timedelta(milliseconds=50),
)
CLOCK = LoopClock()


def on_loop(server: LeaseServer, name: str, **options: Any) -> Elector:
    """Return an elector for the loop of the test."""
    return Elector(
        options.pop("settings", SETTINGS),
        server.transport,
        identity=name,
        own_thread=False,
        now=CLOCK.monotonic,
        random=seeded_random(1),
        **options,
    )


@asynccontextmanager
async def running(*electors: Elector) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run electors for the length of the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_lenient(each)) for each in electors]
        yield tasks
        for task in tasks:
            task.cancel()


async def _lenient(elector: Elector) -> None:
    with suppress(LeadershipLost):
        await elector.run()


class TestOnOneLoop:
    def test_the_life_of_a_term(self) -> None:
        """Elected, allowed to write, released, taken over."""

        async def main() -> None:
            server = LeaseServer(SETTINGS)
            one, two = on_loop(server, "one"), on_loop(server, "two")
            async with running(one) as (ended, *_), running(two):
                term = await one.elected()
                one.fence.check()
                await CLOCK.sleep(timedelta(seconds=1))
                await one.release()
                closed = one.fence.allowance()
                next_term = await two.elected()
                await ended

            assert (term, next_term) == (0, 1)
            assert closed == timedelta(0)

        run_virtual(main())

    def test_a_lost_term_is_told_and_raised(self) -> None:
        """`lost` returns with the fence closed; `run` raises."""

        async def main() -> None:
            server = LeaseServer(SETTINGS)
            one = on_loop(server, "one")
            async with asyncio.TaskGroup() as group:
                task = group.create_task(_raised(one))
                await one.elected()
                server.edit(holderIdentity="thief")
                reason = await one.lost()
                allowed = one.fence.allowance()
                error = await task

            assert reason == "thief has taken the lease"
            assert allowed == timedelta(0)
            assert isinstance(error, LeadershipLost)
            assert str(error) == reason

        run_virtual(main())

    def test_it_stands_again_when_it_is_run_again(self) -> None:
        """Once its work has ended; the same process, the next term."""

        async def main() -> None:
            server = LeaseServer(SETTINGS)
            one = on_loop(server, "one")
            async with asyncio.TaskGroup() as group:
                task = group.create_task(_raised(one))
                await one.elected()
                server.edit(holderIdentity="thief")
                await task
                again = group.create_task(_lenient(one))
                began = CLOCK.monotonic()
                term = await one.elected()
                took = CLOCK.monotonic() - began
                one.fence.check()
                again.cancel()

            assert term == 1
            assert 14.9 <= took <= 15 + 2.4

        run_virtual(main())

    def test_it_runs_once_at_a_time(self) -> None:
        """Two campaigns of one process would be two candidates of one name."""

        async def main() -> None:
            one = on_loop(LeaseServer(SETTINGS), "one")
            async with running(one):
                await one.elected()
                with pytest.raises(RuntimeError, match="runs already"):
                    await one.run()

        run_virtual(main())

    def test_cancelled_it_leaves_the_lease(self) -> None:
        """Who cancels does not say that all work has ended."""

        async def main() -> None:
            server = LeaseServer(SETTINGS)
            one = on_loop(server, "one")
            async with running(one) as (task, *_):
                await one.elected()
                task.cancel()

            assert server.holder == "one"
            assert one.fence.allowance() == timedelta(0)
            assert one.standing is None

        run_virtual(main())

    def test_its_connections_end_with_it(self) -> None:
        """They are its own."""

        async def main() -> None:
            made: list[FakeTransport] = []
            server = LeaseServer(SETTINGS)

            def open_transport() -> FakeTransport:
                made.append(server.transport())
                return made[-1]

            one = Elector(SETTINGS, open_transport, own_thread=False, now=CLOCK.monotonic)
            async with running(one):
                await one.elected()
                await one.release()

            assert [each.closed for each in made] == [True]

        run_virtual(main())

    def test_releasing_what_does_not_run_is_harmless(self) -> None:
        """Before and after."""

        async def main() -> None:
            server = LeaseServer(SETTINGS)
            one = on_loop(server, "one")
            await one.release()
            async with running(one):
                await one.elected()
                await one.release()
            await one.release()

            assert server.spec["leaseTransitions"] == 0

        run_virtual(main())

    def test_without_release_on_stop_the_lease_stays(self) -> None:
        """Others wait it out."""

        async def main() -> None:
            settings = LeaderElection(lease_name="a", namespace="b", release_on_stop=False)
            server = LeaseServer(settings)
            one = on_loop(server, "one", settings=settings)
            async with running(one):
                await one.elected()
                await one.release()

            assert server.holder == "one"

        run_virtual(main())


async def _raised(elector: Elector) -> Exception | None:
    try:
        await elector.run()
    except LeadershipLost as error:
        return error
    return None


class TestInItsOwnThread:
    async def test_the_life_of_a_term(self) -> None:
        """As on one loop; requests are made by another thread."""
        threads: set[str] = set()
        server = LeaseServer(QUICK)

        def note(_: object) -> None:
            threads.add(threading.current_thread().name)

        server.before = note
        one = Elector(QUICK, server.transport, identity="one")
        async with running(one) as (ended, *_):
            term = await one.elected()
            one.fence.check()
            standing = one.standing
            await one.release()
            await ended

        assert term == 0
        assert standing is not None
        assert standing.leads
        assert server.holder == ""
        assert threads == {"leader-operator"}

    async def test_a_loss_crosses_the_threads(self) -> None:
        """And the process lives on, because its loop took note."""
        server, exits = LeaseServer(QUICK), list[str]()
        one = Elector(QUICK, server.transport, identity="one", exit_process=exits.append)
        steal = threading.Event()

        def look(_: object) -> None:
            if steal.is_set() and server.holder == "one":
                server.edit(holderIdentity="thief")

        server.before = look
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_raised(one))
            await one.elected()
            steal.set()
            reason = await one.lost()
            error = await task

        assert reason == "thief has taken the lease"
        assert isinstance(error, LeadershipLost)
        assert exits == []

    async def test_a_loop_that_hangs_ends_the_process(self) -> None:
        """While the fence is closed; whoever hangs cannot even be told."""
        server, exited = LeaseServer(QUICK), threading.Event()
        reasons: list[str] = []

        def exit_process(reason: str) -> None:
            reasons.append(reason)
            exited.set()

        one = Elector(QUICK, server.transport, identity="one", exit_process=exit_process)
        async with running(one):
            await one.elected()
            # This is the hanging loop: it waits for its own end.
            ended = _hang_until(exited)
            allowed = one.fence.allowance()

        assert ended
        assert allowed <= timedelta(0)
        assert "the main loop does not take note of it" in reasons[0]

    async def test_a_release_before_it_has_begun(self) -> None:
        """The thread may still be starting: it ends as soon as it has."""
        one = Elector(QUICK, LeaseServer(QUICK).transport, identity="one")
        async with running(one) as (task, *_):
            await CLOCK.sleep(timedelta(0))
            await one.release()
            await task

        assert one.fence.allowance() <= timedelta(0)

    async def test_an_error_of_the_thread_is_raised(self) -> None:
        """A transport that cannot be opened, for one."""

        def refuse() -> FakeTransport:
            raise LookupError("no such cluster")

        with pytest.raises(LookupError, match="no such cluster"):
            await Elector(QUICK, refuse).run()


def _hang_until(event: threading.Event) -> bool:
    return event.wait(20)


def test_identities_are_never_the_same() -> None:
    """Host name and a UUID, as client-go has it; not even a restart finds its own name again."""
    random = seeded_random(3)

    one, two = default_identity(random), default_identity(random)

    assert re.fullmatch(r".+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one)
    assert one != two
