"""The only place that reads time, sleeps or makes chance; others take a `Clock` and a `Random`."""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias, final


class TimerHandle(Protocol):
    """A pending call made by `Clock.call_later`."""

    def cancel(self) -> None:
        """Forget the call; harmless when it has already run."""


class Clock(Protocol):
    """Time as the runtime sees it: one source for intervals, one for timestamps.

    Under simulation both are virtual, so code that takes a `Clock` runs there unmodified.
    """

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; never goes back. For intervals and deadlines."""
        ...

    def now(self) -> datetime:
        """Return the wall-clock time as an aware UTC datetime. For timestamps shown to people."""
        ...

    async def sleep(self, delay: timedelta) -> None:
        """Suspend the calling task for `delay`; a delay of zero or less yields once."""

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Run `callback` on the event loop after `delay`."""
        ...


@final
class LoopClock:
    """`Clock` of the running asyncio event loop; virtual where the loop's own time is virtual."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Return the loop's time in seconds."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """Return the machine's wall-clock time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay: timedelta) -> None:
        """Suspend the calling task for `delay`."""
        await asyncio.sleep(max(0.0, delay.total_seconds()))

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Run `callback` on the running loop after `delay`."""
        return asyncio.get_running_loop().call_later(max(0.0, delay.total_seconds()), callback)


@final
class SystemClock:
    """`LoopClock`, but that monotonic time is asked of the machine: for a third of the price.

    For processes whose loop runs in real time; time is asked for several times for each event.
    Intervals agree with the loop's, starts need not.
    """

    __slots__ = ("_loop",)

    monotonic: "staticmethod[[], float]" = staticmethod(time.monotonic)
    """Return seconds since an arbitrary start; never goes back."""

    def __init__(self) -> None:
        self._loop = LoopClock()

    def now(self) -> datetime:
        """Return the machine's wall-clock time in UTC."""
        return self._loop.now()

    async def sleep(self, delay: timedelta) -> None:
        """Suspend the calling task for `delay`."""
        await self._loop.sleep(delay)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Run `callback` on the running loop after `delay`."""
        return self._loop.call_later(delay, callback)


Stopwatch: TypeAlias = Callable[[], float]
"""Returns seconds since an arbitrary start; never goes back. Any thread may call it."""


def boottime() -> float:
    """Return seconds since an arbitrary start, those in which the machine was suspended included.

    What others count meanwhile, the expiry of a lease for one, is measured by this. `Clock` is not
    of use there: an event loop's time stands still while the machine sleeps. Where the system has
    no such clock (it is Linux's CLOCK_BOOTTIME), it is the plain monotonic one.
    """
    return time.clock_gettime(_BOOTTIME) if _BOOTTIME is not None else time.monotonic()


_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def stopwatch() -> float:
    """Return seconds since an arbitrary start, on any thread: to measure with, not to decide by.

    Real also under simulation: what a computation costs does not depend on virtual time.
    """
    return time.perf_counter()


class Random(Protocol):
    """Chance as the runtime uses it: jitter and identifiers, never secrets."""

    def random(self) -> float:
        """Return a float in [0, 1)."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """Return a float between `a` and `b`."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return a non-negative integer of `k` random bits."""
        ...


def system_random() -> Random:
    """Return a generator seeded by the operating system."""
    return random.Random()


def seeded_random(seed: int) -> Random:
    """Return a generator that gives the same numbers for the same `seed`."""
    return random.Random(seed)
