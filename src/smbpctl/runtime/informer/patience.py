"""How long an informer waits for the server, and how long it keeps others waiting."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import final

from smbpctl.runtime.clock import Clock, TimerHandle

_AT_ONCE = timedelta(0)


@final
class Silence:
    """Notes signs of life; what it is given to checks how long ago the last one was."""

    __slots__ = ("_clock", "_heard_at", "limit")

    def __init__(self, clock: Clock, limit: timedelta) -> None:
        self.limit: timedelta = limit
        self._clock = clock
        self._heard_at = clock.monotonic()

    def __call__(self) -> None:
        """Note a sign of life."""
        self._heard_at = self._clock.monotonic()

    def extend(self, limit: timedelta) -> None:
        """Note a sign of life, and have more patience from now on."""
        self.limit = max(self.limit, limit)
        self()

    def left(self) -> float:
        """Return the seconds until the limit is reached."""
        return self._heard_at + self.limit.total_seconds() - self._clock.monotonic()


@asynccontextmanager
async def ends_when_silent(clock: Clock, limit: timedelta) -> AsyncGenerator[Silence, None]:
    """Cut the block off with `TimeoutError` when `limit` passes without a sign of life.

    The block gets something to call at each sign of life, which only notes the time: there is
    one timer per block, not one per chunk.
    """
    loop = asyncio.get_running_loop()
    silence = Silence(clock, limit)
    timer: TimerHandle | None = None

    def check() -> None:
        nonlocal timer
        left = silence.left()
        # Timers may fire a little early; a remainder of nothing must not spin.
        if left < 0.001:
            scope.reschedule(loop.time())
        else:
            timer = clock.call_later(timedelta(seconds=left), check)

    async with asyncio.timeout(None) as scope:
        timer = clock.call_later(limit, check)
        try:
            yield silence
        finally:
            timer.cancel()


@final
class Turn:
    """Bounds the work of one turn of the event loop, so that a flood keeps nobody waiting."""

    __slots__ = ("_began", "_clock", "_limit", "_worked")

    def __init__(self, clock: Clock, limit: timedelta = timedelta(milliseconds=2)) -> None:
        self._clock = clock
        self._limit = limit.total_seconds()
        self._worked = 0.0
        self._began = clock.monotonic()

    def resume(self) -> None:
        """Work begins (again). Work before a `rest` still counts: others may not have run."""
        self._began = self._clock.monotonic() - self._worked

    def rest(self) -> None:
        """Work ends, to wait for something that may be there already."""
        self._worked = self._clock.monotonic() - self._began

    def over(self) -> bool:
        """Tell whether enough was done for one turn."""
        return self._clock.monotonic() - self._began >= self._limit

    async def next(self) -> None:
        """Let others run; then a new turn begins."""
        await self._clock.sleep(_AT_ONCE)
        self._worked = 0.0
        self._began = self._clock.monotonic()
