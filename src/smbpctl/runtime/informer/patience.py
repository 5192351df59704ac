"""How long an informer waits for the server, and how long it keeps others waiting."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import final

from smbpctl.runtime.clock import Clock, TimerHandle

_AT_ONCE = timedelta(0)


@asynccontextmanager
async def ends_when_silent(
    clock: Clock, limit: timedelta
) -> AsyncGenerator[Callable[[], None], None]:
    """Cut the block off with `TimeoutError` when `limit` passes without a sign of life.

    The block gets a function to call at each sign of life, which only notes the time: there is
    one timer per block, not one per chunk.
    """
    loop = asyncio.get_running_loop()
    heard_at = clock.monotonic()
    timer: TimerHandle | None = None

    def heard() -> None:
        nonlocal heard_at
        heard_at = clock.monotonic()

    def check() -> None:
        nonlocal timer
        left = heard_at + limit.total_seconds() - clock.monotonic()
        # Timers may fire a little early; a remainder of nothing must not spin.
        if left < 0.001:
            scope.reschedule(loop.time())
        else:
            timer = clock.call_later(timedelta(seconds=left), check)

    async with asyncio.timeout(None) as scope:
        timer = clock.call_later(limit, check)
        try:
            yield heard
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

    async def share(self) -> None:
        """Let others run if enough was done for one turn; then a new turn begins."""
        if self._clock.monotonic() - self._began >= self._limit:
            await self._clock.sleep(_AT_ONCE)
            self._worked = 0.0
            self._began = self._clock.monotonic()
