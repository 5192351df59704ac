"""Starts runnables phase by phase, watches over them, and stops them the other way round."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.controller import cancelled_by_nobody, single_cause
from smbpctl.runtime.manager.runnable import GracefulRunnable, Phase, ReadyRunnable, Runnable

# A `stop` that minds its grace time must get the chance to say what is late.
_STOP_MARGIN = timedelta(seconds=1)

_log = structlog.get_logger(__name__)


class ShutdownTimeout(Exception):
    """The grace time ran out before everything had ended; what was left was cancelled."""


@final
class _Member:
    """A runnable under a manager: its name in messages and, once started, its task."""

    __slots__ = ("name", "runnable", "task")

    def __init__(self, runnable: Runnable, name: str) -> None:
        self.runnable = runnable
        self.name = name
        self.task: asyncio.Task[None] | None = None


@final
class Lifecycle:
    """Runnables that live and end together.

    `run` starts the phases one after the other and stops them the other way round: on `stop`, on
    cancellation, or when a runnable fails. Every task is a child of `run` and has ended when
    that returns.
    """

    def __init__(self, clock: Clock, *, grace: timedelta) -> None:
        """Make a lifecycle without runnables; `grace` is what a stop gives them to end."""
        self._clock = clock
        self._grace = grace
        self._members: dict[Phase, list[_Member]] = {phase: [] for phase in Phase}
        self._names: set[str] = set()
        self._group: asyncio.TaskGroup | None = None
        self._phase: Phase | None = None
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
                await self._start(phase)
            await self._stopping.wait()
            grace = self._grace
        finally:
            self._stopping.set()
            await self._stop_all(grace)

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
        if member.task is None or not isinstance(member.runnable, ReadyRunnable):
            return
        ready = self._spawn(member.runnable.wait_ready, member.name)
        stop = self._spawn(self._stopping.wait, "stop")
        try:
            # What ended by itself gets no readier; what failed stops the manager.
            await asyncio.wait((ready, stop, member.task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            stop.cancel()

    async def _stop_all(self, grace: timedelta) -> None:
        deadline = self._clock.monotonic() + grace.total_seconds()
        for phase in reversed(Phase):
            running = [
                (member, member.task)
                for member in self._members[phase]
                if member.task is not None and not member.task.done()
            ]
            left = timedelta(seconds=deadline - self._clock.monotonic())
            await self._drain([member for member, _ in running], left)
            for _, task in running:
                task.cancel()
            if running:
                await asyncio.wait([task for _, task in running])

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
