"""Watches the event loop: how late it comes back to somebody who wants to run all the time."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, final

_PERIOD_SECONDS: Final = 0.001


@final
class Probe:
    """The longest time for which the loop did not come back, by what was going on."""

    def __init__(self) -> None:
        self.worst: dict[str, float] = {}
        self._doing = ""

    def during(self, doing: str) -> None:
        """Note from now on what is worst under this name."""
        self._doing = doing
        self.worst.setdefault(doing, 0)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_PERIOD_SECONDS)
            late = time.perf_counter() - before - _PERIOD_SECONDS
            self.worst[self._doing] = max(self.worst[self._doing], late)


@asynccontextmanager
async def probing(first: str) -> AsyncGenerator[Probe]:
    """Probe the loop for the length of the block."""
    probe = Probe()
    probe.during(first)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(probe.run())
        try:
            yield probe
        finally:
            running.cancel()
