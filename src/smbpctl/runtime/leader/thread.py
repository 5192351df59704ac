"""Runs a coroutine on a loop of its own in a thread of its own, as if it were a task of ours."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import final


@final
class LoopThread:
    """One event loop in one thread, for work that must go on when the caller's loop hangs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    async def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run `main` in the thread and return, or raise, what it does.

        A cancellation is passed on, and waited for. The thread does not keep the process alive.
        """
        self._cancelled = False
        home = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = home.create_future()

        def tell(outcome: BaseException | None) -> None:
            # The home loop may be gone: then nobody is left to be told.
            with suppress(RuntimeError):
                home.call_soon_threadsafe(_settle, ended, outcome)

        async def supervise() -> None:
            self._task = asyncio.current_task()
            self._loop = asyncio.get_running_loop()
            outcome: BaseException | None = None
            try:
                # Cancelled before there was a task that could be.
                if not self._cancelled:
                    await main()
            except BaseException as error:
                outcome = error
            finally:
                self._loop = None
                # Told before the loop is closed, which may wait for a name that is being resolved.
                tell(outcome)

        def live() -> None:
            try:
                asyncio.run(supervise())
            except BaseException as error:
                tell(error)

        threading.Thread(target=live, name=self._name, daemon=True).start()
        try:
            outcome = await asyncio.shield(ended)
        except asyncio.CancelledError:
            self.cancel()
            await ended
            raise
        if outcome is not None:
            raise outcome

    def post(self, call: Callable[[], object]) -> bool:
        """Have the thread's loop make a call; False when there is no loop yet, or none any more."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(call)
        except RuntimeError:  # closed in this very moment
            return False
        return True

    def cancel(self) -> None:
        """Cancel what runs in the thread; harmless when nothing does."""
        self._cancelled = True
        if self._task is not None:
            self.post(self._task.cancel)


def _settle(ended: "asyncio.Future[BaseException | None]", outcome: BaseException | None) -> None:
    if not ended.done():
        ended.set_result(outcome)
