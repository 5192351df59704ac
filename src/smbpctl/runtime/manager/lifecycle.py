"""Starts runnables phase by phase, watches over them, and stops them the other way round."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.controller import cancelled_by_nobody, single_cause
from smbpctl.runtime.errors import LeadershipLost
from smbpctl.runtime.manager.runnable import (
    STOP_ORDER,
    GracefulRunnable,
    Phase,
    ReadyRunnable,
    RepeatableRunnable,
    Runnable,
    WarmRunnable,
)

# A `stop` that minds its grace time must get the chance to say what is late.
_STOP_MARGIN = timedelta(seconds=1)

# How long giving the leadership away may take: others take it when the lease ends anyway.
_RELEASE = timedelta(seconds=5)

_ELECTION = "leader election"

_log = structlog.get_logger(__name__)


class ShutdownTimeout(Exception):
    """The grace time ran out before everything had ended; what was left was cancelled."""


class Leadership(Protocol):
    """Leader election as a lifecycle needs it: satisfied by `leader.Elector`."""

    async def run(self) -> None:
        """Stand for election and hold it; raise LeadershipLost when it was lost.

        To be called again, once all work of the lost term has ended, to stand anew.
        """

    async def elected(self) -> int:
        """Return the term as soon as this process leads."""
        ...

    async def lost(self) -> str:
        """Return why, as soon as this process does not lead any more."""
        ...

    async def release(self) -> None:
        """Give the leadership away, all work having ended; harmless for a candidate."""


@final
class _Member:
    """A runnable under a manager: its name in messages and, once started, its task."""

    __slots__ = ("name", "runnable", "task")

    def __init__(self, runnable: Runnable, name: str) -> None:
        self.runnable = runnable
        self.name = name
        self.task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self.task is not None and not self.task.done()


@final
class _Released:
    """Giving a leadership away, as the end of something that runs."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    async def run(self) -> None:
        """Nothing runs here: the election is a task of its own."""

    async def stop(self, grace: timedelta) -> None:
        await self._leadership.release()


@final
class Lifecycle:
    """Runnables that live and end together.

    `run` starts the phases one after the other and stops them in `STOP_ORDER`: on `stop`, on
    cancellation, or when a runnable fails. Every task is a child of `run` and has ended when
    that returns.

    With a `leadership` the controllers start when elected, warmed up before. When the leadership
    is lost they are cancelled at once; when all have ended and may run again, the process stands
    for election anew, else `run` raises LeadershipLost. A stop gives the leadership away as soon
    as the controllers have ended.
    """

    def __init__(
        self, clock: Clock, *, grace: timedelta, leadership: Leadership | None = None
    ) -> None:
        """Make a lifecycle without runnables; `grace` is what a stop gives them to end."""
        self._clock = clock
        self._grace = grace
        self._leadership = leadership
        self._members: dict[Phase, list[_Member]] = {phase: [] for phase in Phase}
        self._names: set[str] = set()
        self._group: asyncio.TaskGroup | None = None
        self._phase: Phase | None = None
        self._standing: asyncio.Task[None] | None = None
        self._loss: LeadershipLost | None = None
        self._stopping = asyncio.Event()
        self._error: Exception | None = None
        self._late: list[str] = []

    def add(self, runnable: Runnable, phase: Phase, *, name: str = "") -> None:
        """Run `runnable` with its phase, or at once when that has started.

        A `name` given is unique within the manager: else ValueError. Once the manager stops,
        RuntimeError.
        """
        if self._stopping.is_set():
            raise RuntimeError(f"{name or runnable} was added to a manager that stops")
        if name in self._names:
            raise ValueError(f"the manager runs something named {name} already")
        if name:
            self._names.add(name)
        member = _Member(runnable, name or type(runnable).__name__)
        self._members[phase].append(member)
        if self._phase is not None and self._phase >= phase:
            self._launch(member)

    def stop(self, reason: str = "stop was called") -> None:
        """Have `run` stop in order and return; harmless when repeated."""
        if not self._stopping.is_set():
            _log.info("manager stopping", reason=reason)
            self._stopping.set()

    async def run(self) -> None:
        """Run everything until stopped.

        Raises the error of the first runnable that failed, alone even when it came in groups of
        one; ShutdownTimeout when something did not end within the grace time; RuntimeError when
        run twice.
        """
        if self._group is not None:
            raise RuntimeError("the manager was run already")
        async with asyncio.TaskGroup() as self._group:
            await self._live()
        _log.info("manager stopped")
        if self._error is not None:
            raise self._error
        if self._late:
            raise ShutdownTimeout("; ".join(self._late))

    async def _live(self) -> None:
        # Cancelled, we are in a hurry; the order of stopping is kept all the same.
        grace = timedelta(0)
        try:
            for phase in Phase:
                if phase is not Phase.CONTROLLERS:
                    await self._start(phase)
            await self._warm_up()
            await self._work()
            grace = self._grace
        finally:
            self._stopping.set()
            await self._stop_all(grace)

    async def _warm_up(self) -> None:
        for member in tuple(self._members[Phase.CONTROLLERS]):
            if isinstance(member.runnable, WarmRunnable) and not self._stopping.is_set():
                await self._until(member.runnable.warm_up, member.name)

    async def _work(self) -> None:
        """Run the controllers, term by term, until told to stop."""
        while not self._stopping.is_set():
            if self._leadership is None:
                await self._start(Phase.CONTROLLERS)
                await self._stopping.wait()
            else:
                await self._serve_a_term(self._leadership)

    async def _serve_a_term(self, leadership: Leadership) -> None:
        standing = self._standing = self._spawn(partial(self._stand, leadership), _ELECTION)
        await self._until(leadership.elected, _ELECTION, standing)
        if self._stopping.is_set() or standing.done():
            return
        await self._start(Phase.CONTROLLERS)
        await self._until(leadership.lost, _ELECTION, standing)
        if self._stopping.is_set():
            return
        self._phase = Phase.OTHERS
        if not await self._end_term():
            return
        await asyncio.wait([standing])
        if all(_repeatable(member.runnable) for member in self._members[Phase.CONTROLLERS]):
            _log.warning("leadership lost; all work has ended and the election begins anew")
        else:
            self._failed(self._loss or LeadershipLost("leadership was lost"), _ELECTION)

    async def _stand(self, leadership: Leadership) -> None:
        try:
            await leadership.run()
        except LeadershipLost as error:
            # What becomes of that is decided when the work of the term has ended.
            self._loss = error

    async def _end_term(self) -> bool:
        """Cancel the controllers; tell whether all have ended in time to stand again."""
        tasks = self._running(Phase.CONTROLLERS)
        for task in tasks:
            task.cancel()
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=self._grace.total_seconds())
        if pending:
            names = ", ".join(sorted(task.get_name() for task in pending))
            self._failed(LeadershipLost(f"{names} did not end when leadership was lost"), _ELECTION)
        return not pending

    async def _start(self, phase: Phase) -> None:
        if self._stopping.is_set():
            return
        self._phase = phase
        members = tuple(self._members[phase])
        for member in members:
            self._launch(member)
        for member in members:
            await self._until_ready(member)

    def _launch(self, member: _Member) -> None:
        member.task = self._spawn(member.runnable.run, member.name)

    def _spawn(self, work: Callable[[], Awaitable[object]], name: str) -> asyncio.Task[None]:
        if self._group is None:
            raise RuntimeError("the manager does not run")
        return self._group.create_task(self._watch_over(work, name), name=name)

    async def _watch_over(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Do `work`; its error stops the manager, in order, instead of the TaskGroup at once."""
        try:
            await work()
        except asyncio.CancelledError as error:
            if not cancelled_by_nobody():
                raise
            failure = RuntimeError(f"{name} awaited something that was cancelled")
            failure.__cause__ = error
            self._failed(failure, name)
        except Exception as error:
            self._failed(single_cause(error), name)

    def _failed(self, error: Exception, name: str) -> None:
        if self._stopping.is_set():
            _log.warning("runnable failed while stopping", runnable=name, exc_info=error)
            return
        error.add_note(f"This ended {name}, and with it the manager.")
        self._error = error
        self.stop(f"{name} failed")

    async def _until_ready(self, member: _Member) -> None:
        if member.task is not None and isinstance(member.runnable, ReadyRunnable):
            # What ended by itself gets no readier; what failed stops the manager.
            await self._until(member.runnable.wait_ready, member.name, member.task)

    async def _until(
        self, awaited: Callable[[], Awaitable[object]], name: str, *others: asyncio.Task[None]
    ) -> None:
        """Return when `awaited` has, when one of the tasks has ended, or when all is to stop."""
        waits = [self._spawn(awaited, name), self._spawn(self._stopping.wait, "stop")]
        try:
            await asyncio.wait((*waits, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _stop_all(self, grace: timedelta) -> None:
        deadline = self._clock.monotonic() + grace.total_seconds()
        for phase in STOP_ORDER:
            running = [each for each in self._members[phase] if each.running]
            left = timedelta(seconds=deadline - self._clock.monotonic())
            await self._drain(running, left)
            tasks = self._running(phase)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            if phase is Phase.CONTROLLERS:
                await self._resign()

    async def _resign(self) -> None:
        """Give the leadership away, all that worked under it having ended."""
        if self._leadership is None or self._standing is None:
            return
        await self._drain_one(_Released(self._leadership), _ELECTION, _RELEASE)
        self._standing.cancel()
        await asyncio.wait([self._standing])

    def _running(self, phase: Phase) -> list[asyncio.Task[None]]:
        members = self._members[phase]
        return [each.task for each in members if each.task is not None and each.running]

    async def _drain(self, members: Sequence[_Member], grace: timedelta) -> None:
        if grace <= timedelta(0):
            return
        async with asyncio.TaskGroup() as group:
            for member in members:
                if isinstance(member.runnable, GracefulRunnable):
                    group.create_task(self._drain_one(member.runnable, member.name, grace))

    async def _drain_one(self, runnable: GracefulRunnable, name: str, grace: timedelta) -> None:
        try:
            async with asyncio.timeout((grace + _STOP_MARGIN).total_seconds()):
                await runnable.stop(grace)
        except TimeoutError as error:
            self._late.append(str(error) or f"{name} did not stop within {grace}")
        except Exception as error:
            self._failed(error, name)


def _repeatable(runnable: Runnable) -> bool:
    return isinstance(runnable, RepeatableRunnable) and runnable.repeatable
