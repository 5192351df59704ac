"""Order of starting and stopping, errors, grace: the life of runnables under virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import LeadershipLost
from smbpctl.runtime.manager.lifecycle import Lifecycle, ShutdownTimeout
from smbpctl.runtime.manager.runnable import Phase
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()
GRACE = timedelta(seconds=30)


def seconds(number: float) -> timedelta:
    """Return a time span."""
    return timedelta(seconds=number)


class Part:
    """A runnable that notes its start and end in a diary shared with others."""

    def __init__(
        self,
        name: str,
        diary: list[str],
        *,
        body: Callable[[], Awaitable[object]] | None = None,
        cleanup: float = 0,
    ) -> None:
        self.name = name
        self.diary = diary
        self.body = body
        self.cleanup = cleanup

    async def run(self) -> None:
        """Run the body, or until cancelled."""
        self.diary.append(f"{self.name} started")
        try:
            await (self.body or asyncio.Event().wait)()
        finally:
            if self.cleanup:
                await CLOCK.sleep(seconds(self.cleanup))
            self.diary.append(f"{self.name} ended")


class ReadyPart(Part):
    """A part that becomes ready after a time, or never; or fails to."""

    delay: float = 0
    error: Exception | None = None

    async def wait_ready(self) -> None:
        """Wait that long."""
        await CLOCK.sleep(seconds(self.delay))
        if self.error is not None:
            raise self.error
        self.diary.append(f"{self.name} ready")


class GracefulPart(Part):
    """A part that needs some time to end well."""

    needs: float = 0
    error: Exception | None = None
    given: timedelta | None = None

    async def stop(self, grace: timedelta) -> None:
        """Take that long."""
        self.given = grace
        self.diary.append(f"{self.name} stopping")
        if self.error is not None:
            raise self.error
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await CLOCK.sleep(seconds(self.needs))
        except TimeoutError:
            raise TimeoutError(f"{self.name} is busy") from None
        self.diary.append(f"{self.name} done")


class DeafPart(Part):
    """A part whose `stop` does not mind the grace time."""

    async def stop(self, _grace: timedelta) -> None:
        """Never return."""
        await asyncio.Event().wait()


def raises(error: Exception, after: float = 0) -> Callable[[], Awaitable[object]]:
    """Return a body that fails after a time."""

    async def body() -> None:
        await CLOCK.sleep(seconds(after))
        raise error

    return body


def lives(
    *parts: tuple[Part, Phase],
    stop_after: float | None = 1,
    grace: timedelta = GRACE,
    cancel: bool = False,
) -> float:
    """Run the parts, stop or cancel after a time, and return how long all of it took."""

    async def main() -> float:
        lifecycle = Lifecycle(CLOCK, grace=grace)
        for part, phase in parts:
            lifecycle.add(part, phase)
        began, task = CLOCK.monotonic(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            if cancel:
                task.cancel()
            else:
                lifecycle.stop()

        if stop_after is not None:
            CLOCK.call_later(seconds(stop_after), end)
        try:
            await lifecycle.run()
        except asyncio.CancelledError:
            assert cancel
            task.uncancel()
        return CLOCK.monotonic() - began

    return run_virtual(main())


class TestOrder:
    """Phases."""

    def test_phases_start_in_order_and_what_feeds_controllers_stops_before_them(self) -> None:
        """Caches outlive the controllers; each phase has ended before the next one ends."""
        diary: list[str] = []
        parts = [
            (Part("controllers", diary, cleanup=3), Phase.CONTROLLERS),
            (Part("caches", diary, cleanup=1), Phase.CACHES),
            (Part("serving", diary), Phase.SERVING),
            (Part("others", diary, cleanup=2), Phase.OTHERS),
        ]

        took = lives(*parts)

        assert diary == [
            *("serving started", "caches started", "others started", "controllers started"),
            *("others ended", "controllers ended", "caches ended", "serving ended"),
        ]
        assert took == 1 + 3 + 2 + 1

    def test_a_phase_waits_until_the_one_before_is_ready(self) -> None:
        """No controller starts before the caches are synced."""
        diary: list[str] = []
        cache = ReadyPart("caches", diary)
        cache.delay = 5

        lives((Part("controllers", diary), Phase.CONTROLLERS), (cache, Phase.CACHES), stop_after=9)

        assert diary[:3] == ["caches started", "caches ready", "controllers started"]

    def test_a_stop_while_waiting_starts_nothing_more(self) -> None:
        """SIGTERM during the first list ends the wait, and later phases never start."""
        diary: list[str] = []
        cache = ReadyPart("caches", diary)
        cache.delay = 1000

        took = lives((cache, Phase.CACHES), (Part("late", diary), Phase.CONTROLLERS), stop_after=2)

        assert diary == ["caches started", "caches ended"]
        assert took == 2

    def test_a_part_that_ends_before_it_is_ready_holds_up_nobody(self) -> None:
        """Ending by itself is allowed, so nobody waits for its readiness."""
        diary: list[str] = []

        async def end() -> None:
            await CLOCK.sleep(seconds(1))

        short = ReadyPart("short", diary, body=end)
        short.delay = 1000

        lives((short, Phase.OTHERS), (Part("next", diary), Phase.CONTROLLERS), stop_after=3)

        assert diary == ["short started", "short ended", "next started", "next ended"]

    def test_a_stop_before_the_start_is_not_lost(self) -> None:
        """Nothing starts, and `run` returns."""
        diary: list[str] = []

        async def main() -> None:
            lifecycle = Lifecycle(CLOCK, grace=GRACE)
            lifecycle.add(ReadyPart("a", diary), Phase.SERVING)
            lifecycle.add(Part("b", diary), Phase.OTHERS)
            lifecycle.stop()
            await lifecycle.run()

        run_virtual(main())

        assert diary == []


class TestAdding:
    """Runnables may come late."""

    def test_what_is_added_to_a_started_phase_starts_at_once(self) -> None:
        """And it stops with its phase."""
        diary: list[str] = []

        async def main() -> None:
            lifecycle = Lifecycle(CLOCK, grace=GRACE)
            lifecycle.add(Part("controller", diary), Phase.CONTROLLERS)
            async with asyncio.TaskGroup() as group:
                group.create_task(lifecycle.run())
                await CLOCK.sleep(seconds(1))
                lifecycle.add(Part("late", diary), Phase.OTHERS)
                await CLOCK.sleep(seconds(1))
                lifecycle.stop()

        run_virtual(main())

        assert diary == ["controller started", "late started", "late ended", "controller ended"]

    def test_what_is_added_before_its_phase_waits_for_it(self) -> None:
        """A part that adds another one does not change the order."""
        diary: list[str] = []

        async def main() -> None:
            lifecycle = Lifecycle(CLOCK, grace=GRACE)

            async def add() -> None:
                lifecycle.add(Part("controller", diary), Phase.CONTROLLERS)

            cache = ReadyPart("cache", diary, body=add)
            lifecycle.add(cache, Phase.CACHES)
            lifecycle.add(Part("other", diary), Phase.OTHERS)
            async with asyncio.TaskGroup() as group:
                group.create_task(lifecycle.run())
                await CLOCK.sleep(seconds(1))
                lifecycle.stop()

        run_virtual(main())

        assert diary[-4:] == [
            *("other started", "controller started", "other ended", "controller ended")
        ]

    def test_nothing_can_be_added_to_what_stops(self) -> None:
        """It would be neither started nor stopped."""
        lifecycle = Lifecycle(CLOCK, grace=GRACE)
        lifecycle.stop()

        with pytest.raises(RuntimeError, match="late was added to a manager that stops"):
            lifecycle.add(Part("p", []), Phase.OTHERS, name="late")

    def test_names_are_unique(self) -> None:
        """A name is an identity in logs and metrics; parts without one do not clash."""
        lifecycle = Lifecycle(CLOCK, grace=GRACE)
        lifecycle.add(Part("a", []), Phase.OTHERS)
        lifecycle.add(Part("b", []), Phase.OTHERS)
        lifecycle.add(Part("c", []), Phase.OTHERS, name="echo")

        with pytest.raises(ValueError, match="runs something named echo already"):
            lifecycle.add(Part("d", []), Phase.CONTROLLERS, name="echo")

    def test_it_runs_once(self) -> None:
        """A lifecycle cannot be started again."""

        async def main() -> None:
            lifecycle = Lifecycle(CLOCK, grace=GRACE)
            lifecycle.stop()
            await lifecycle.run()
            await lifecycle.run()

        with pytest.raises(RuntimeError, match="the manager was run already"):
            run_virtual(main())


class TestErrors:
    """Any error ends everything."""

    @pytest.mark.parametrize("phase", list(Phase))
    def test_an_error_of_any_part_stops_all_in_order_and_is_raised(self, phase: Phase) -> None:
        """Also that of a cache, on which controllers still work: they end first, gracefully."""
        diary: list[str] = []
        error = OSError("disk")
        controller = GracefulPart("controller", diary)
        controller.needs = 4

        with pytest.raises(OSError, match="disk") as raised:
            lives(
                (Part("broken", diary, body=raises(error, after=2)), phase),
                (controller, Phase.CONTROLLERS),
                (Part("serving", diary), Phase.SERVING),
                stop_after=None,
            )

        assert raised.value is error
        assert raised.value.__notes__ == ["This ended Part, and with it the manager."]
        assert diary[-4:] == [
            *("controller stopping", "controller done", "controller ended", "serving ended")
        ]

    def test_an_error_in_getting_ready_is_an_error(self) -> None:
        """A cache that is not synced in time ends the start."""
        diary: list[str] = []
        cache = ReadyPart("cache", diary)
        cache.delay, cache.error = 120, RuntimeError("not synced")

        with pytest.raises(RuntimeError, match="not synced"):
            lives((cache, Phase.CACHES), (Part("late", diary), Phase.OTHERS), stop_after=None)

        assert diary == ["cache started", "cache ended"]

    def test_an_error_in_a_group_of_one_is_raised_alone(self) -> None:
        """A part that uses a TaskGroup gives its error away unwrapped; a group of two stays."""
        error = ValueError("inner")
        alone = ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
        two = ExceptionGroup("outer", [ValueError("one"), ValueError("two")])

        with pytest.raises(ValueError, match="inner") as raised:
            lives((Part("a", [], body=raises(alone)), Phase.OTHERS), stop_after=None)
        with pytest.raises(ExceptionGroup) as raised_two:
            lives((Part("b", [], body=raises(two)), Phase.OTHERS), stop_after=None)

        assert raised.value is error
        assert raised_two.value is two

    def test_awaiting_something_cancelled_is_an_error(self) -> None:
        """A part must not vanish without a word because something it awaited was cancelled."""

        async def await_cancelled() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        with pytest.raises(RuntimeError, match="Part awaited something that was cancelled"):
            lives((Part("a", [], body=await_cancelled), Phase.OTHERS), stop_after=None)

    def test_ending_early_is_no_error(self) -> None:
        """A part may have done its work while the others go on."""
        diary: list[str] = []

        async def nothing() -> None:
            return None

        lives((Part("short", diary, body=nothing), Phase.OTHERS), (Part("b", diary), Phase.OTHERS))

        assert diary == ["short started", "short ended", "b started", "b ended"]

    def test_errors_while_stopping_are_logged_and_hide_nothing(self) -> None:
        """The first error is the one that tells why; what breaks later is a consequence."""
        diary: list[str] = []
        first, later = OSError("first"), OSError("later")

        async def fail_on_cancel() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise later

        with capture_logs() as logs, pytest.raises(OSError, match="first") as raised:
            lives(
                (Part("a", diary, body=raises(first, after=1)), Phase.OTHERS),
                (Part("b", diary, body=fail_on_cancel), Phase.OTHERS),
                stop_after=None,
            )

        warnings = [log for log in logs if log["event"] == "runnable failed while stopping"]
        assert raised.value is first
        assert [log["exc_info"] for log in warnings] == [later]


class TestGrace:
    """What runs may end."""

    def test_a_graceful_part_ends_before_it_is_cancelled(self) -> None:
        """`stop` is awaited first, and lower phases run on until it returns."""
        diary: list[str] = []
        controller = GracefulPart("controller", diary)
        controller.needs = 20

        took = lives((controller, Phase.CONTROLLERS), (Part("cache", diary), Phase.CACHES))

        assert diary[2:] == [
            *("controller stopping", "controller done", "controller ended", "cache ended")
        ]
        assert controller.given == GRACE
        assert took == 21

    def test_several_are_stopped_at_the_same_time(self) -> None:
        """The grace time is one for all."""
        one, two = GracefulPart("one", []), GracefulPart("two", [])
        one.needs = two.needs = 20

        took = lives((one, Phase.CONTROLLERS), (two, Phase.CONTROLLERS))

        assert took == 21

    def test_later_phases_get_what_is_left(self) -> None:
        """The whole stop is bounded, not each phase."""
        controller, other = GracefulPart("controller", []), GracefulPart("other", [])
        controller.needs = 20

        lives((controller, Phase.CONTROLLERS), (other, Phase.CACHES))

        assert other.given == seconds(10)

    def test_what_is_late_is_cancelled_and_named(self) -> None:
        """After the grace time all is ended all the same, and the error says who was late."""
        diary: list[str] = []
        controller = GracefulPart("controller", diary)
        controller.needs = 1000

        with pytest.raises(ShutdownTimeout, match=r"^controller is busy$"):
            lives((controller, Phase.CONTROLLERS), (Part("cache", diary), Phase.CACHES))

        assert diary[-2:] == ["controller ended", "cache ended"]

    def test_a_stop_that_does_not_mind_the_grace_is_cut_off(self) -> None:
        """Soon after the grace time at the latest."""
        with pytest.raises(ShutdownTimeout, match="DeafPart did not stop within 0:00:30"):
            lives((DeafPart("deaf", []), Phase.CONTROLLERS))

    def test_a_stop_that_fails_is_logged(self) -> None:
        """The part is cancelled like any other."""
        diary: list[str] = []
        controller = GracefulPart("controller", diary)
        controller.error = OSError("no")

        with capture_logs() as logs:
            took = lives((controller, Phase.CONTROLLERS))

        assert diary[-1] == "controller ended"
        assert took == 1
        assert [log["exc_info"] for log in logs if log["log_level"] == "warning"] == [
            controller.error
        ]

    def test_without_grace_nobody_is_asked(self) -> None:
        """Zero means: cancel at once."""
        controller = GracefulPart("controller", [])

        took = lives((controller, Phase.CONTROLLERS), grace=timedelta(0))

        assert controller.given is None
        assert took == 1

    def test_cancellation_keeps_the_order_and_gives_no_grace(self) -> None:
        """Who cancels `run` is in a hurry; still no cache ends before its controllers."""
        diary: list[str] = []
        controller = GracefulPart("controller", diary, cleanup=2)

        took = lives(
            (controller, Phase.CONTROLLERS),
            (Part("cache", diary), Phase.CACHES),
            cancel=True,
        )

        assert diary[2:] == ["controller ended", "cache ended"]
        assert controller.given is None
        assert took == 3


class Lease:
    """Satisfies `Leadership`: elected after a time, lost after another, term by term."""

    def __init__(self, diary: list[str], *, wins_after: float = 1, terms: list[float]) -> None:
        self.diary = diary
        self.wins_after = wins_after
        self.terms = terms
        self.number = 0
        self.releases_in: float = 0
        self._elected, self._lost = asyncio.Event(), asyncio.Event()
        self._released = asyncio.Event()

    async def run(self) -> None:
        self.number += 1
        self._elected, self._lost = asyncio.Event(), asyncio.Event()
        await CLOCK.sleep(seconds(self.wins_after))
        self.diary.append(f"elected {self.number}")
        self._elected.set()
        if self.number > len(self.terms):
            await self._released.wait()
            return
        await CLOCK.sleep(seconds(self.terms[self.number - 1]))
        self.diary.append(f"lost {self.number}")
        self._lost.set()
        raise LeadershipLost("somebody else holds the lease")

    async def elected(self) -> int:
        await self._elected.wait()
        return self.number

    async def lost(self) -> str:
        await self._lost.wait()
        return "taken"

    async def release(self) -> None:
        await CLOCK.sleep(seconds(self.releases_in))
        self.diary.append("released")
        self._released.set()


class WarmPart(Part):
    """A part that prepares before it runs, and may run again."""

    repeatable = True
    takes: float = 0
    error: Exception | None = None

    async def warm_up(self) -> None:
        await CLOCK.sleep(seconds(self.takes))
        if self.error is not None:
            raise self.error
        self.diary.append(f"{self.name} warm")


def reign(
    lease: Lease, *parts: tuple[Part, Phase], stop_after: float = 100, grace: timedelta = GRACE
) -> float:
    """Run the parts under a leadership and return how long all of it took."""

    async def main() -> float:
        lifecycle = Lifecycle(CLOCK, grace=grace, leadership=lease)
        for part, phase in parts:
            lifecycle.add(part, phase)
        began = CLOCK.monotonic()
        CLOCK.call_later(seconds(stop_after), lifecycle.stop)
        await lifecycle.run()
        return CLOCK.monotonic() - began

    return run_virtual(main())


class TestLeadership:
    """What only the leader does."""

    def test_controllers_are_warmed_up_before_the_election_and_start_after_it(self) -> None:
        """A standby has everything ready; what runs on every replica does not wait."""
        diary: list[str] = []

        reign(
            Lease(diary, terms=[]),
            (WarmPart("controller", diary), Phase.CONTROLLERS),
            (Part("other", diary), Phase.OTHERS),
        )

        assert diary[:4] == [
            *("other started", "controller warm", "elected 1", "controller started")
        ]

    def test_the_leadership_is_given_away_when_the_controllers_have_ended(self) -> None:
        """Not before, whatever they take; and caches may end after it."""
        diary: list[str] = []

        reign(
            Lease(diary, terms=[]),
            (Part("controller", diary, cleanup=3), Phase.CONTROLLERS),
            (Part("cache", diary), Phase.CACHES),
        )

        assert diary[-3:] == ["controller ended", "released", "cache ended"]

    def test_a_candidate_stops_without_having_led(self) -> None:
        """Nothing that only a leader does was started."""
        diary: list[str] = []

        took = reign(
            Lease(diary, terms=[], wins_after=1000),
            (Part("controller", diary), Phase.CONTROLLERS),
            stop_after=5,
        )

        assert diary == ["released"]
        assert took == 5

    def test_a_lost_leadership_ends_the_work_and_begins_anew(self) -> None:
        """The controllers have ended before the process stands again."""
        diary: list[str] = []

        reign(
            Lease(diary, terms=[10]),
            (WarmPart("controller", diary, cleanup=2), Phase.CONTROLLERS),
        )

        assert diary == [
            *("controller warm", "elected 1", "controller started", "lost 1"),
            *("controller ended", "elected 2", "controller started", "controller ended"),
            "released",
        ]

    def test_what_cannot_run_again_ends_the_process(self) -> None:
        """Nobody can say what it left half done; and there is no grace for it."""
        diary: list[str] = []
        controller = GracefulPart("controller", diary)
        controller.needs = 20

        with pytest.raises(LeadershipLost, match="somebody else"):
            reign(Lease(diary, terms=[10]), (controller, Phase.CONTROLLERS))

        assert diary == [
            *("elected 1", "controller started", "lost 1", "controller ended", "released")
        ]

    def test_work_that_does_not_end_ends_the_process(self) -> None:
        """It may not write any more, but a second run beside it is out of the question."""
        diary: list[str] = []

        with pytest.raises(LeadershipLost, match="WarmPart did not end"):
            reign(
                Lease(diary, terms=[10]),
                (WarmPart("controller", diary, cleanup=60), Phase.CONTROLLERS),
                grace=seconds(5),
            )

        assert "elected 2" not in diary

    def test_what_is_added_between_two_terms_waits_for_the_next(self) -> None:
        """And what is added during a term starts at once."""
        diary: list[str] = []

        async def main() -> None:
            lifecycle = Lifecycle(
                CLOCK, grace=GRACE, leadership=Lease(diary, terms=[10], wins_after=5)
            )
            CLOCK.call_later(
                seconds(12),
                lambda: lifecycle.add(WarmPart("early", diary), Phase.CONTROLLERS),
            )
            CLOCK.call_later(
                seconds(17),
                lambda: lifecycle.add(WarmPart("late", diary), Phase.CONTROLLERS),
            )
            CLOCK.call_later(seconds(40), lifecycle.stop)
            await lifecycle.run()

        run_virtual(main())

        assert diary == [
            *("elected 1", "early started", "lost 1", "early ended", "elected 2"),
            *("early started", "late started", "early ended", "late ended", "released"),
        ]

    def test_a_failing_warm_up_ends_the_process(self) -> None:
        """A standby that cannot get ready must not look like one."""
        part = WarmPart("controller", [])
        part.error = RuntimeError("not synced")

        with pytest.raises(RuntimeError, match="not synced"):
            reign(Lease([], terms=[]), (part, Phase.CONTROLLERS))

    def test_a_release_that_hangs_is_not_waited_for(self) -> None:
        """Others take the lease when it ends."""
        diary: list[str] = []
        lease = Lease(diary, terms=[])
        lease.releases_in = 1000

        with pytest.raises(ShutdownTimeout, match="leader election did not stop"):
            reign(lease, (Part("controller", diary), Phase.CONTROLLERS), stop_after=5)

        assert diary[-1] == "controller ended"
