"""SIGTERM and SIGINT: the first asks to stop, the second ends the process."""

import asyncio
import contextvars
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, final

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@final
class _SignalHandler:
    """The first signal asks to stop; the second ends the process, also when the loop hangs."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = stop
        self._asked = False
        # Not the context of whatever task the signal interrupts: its log keys are not the stop's.
        self._context = contextvars.copy_context()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        # Called between two bytecodes of the main thread, whatever that is doing: hence nothing
        # here takes a lock, and the loop is only told.
        if self._asked:
            _exit_now(number)
        self._asked = True
        reason = f"got {signal.Signals(number).name}"
        self._loop.call_soon_threadsafe(self._stop, reason, context=self._context)


def _exit_now(number: int) -> NoReturn:
    os.write(2, f"got {signal.Signals(number).name} again: exiting at once\n".encode())
    os._exit(1)


@contextmanager
def stop_on_signals(stop: Callable[[str], None]) -> Generator[None]:
    """Handle the signals within the block, and give them back to who had them before."""
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    if any(isinstance(handler, _SignalHandler) for handler in previous.values()):
        raise RuntimeError("another manager handles the signals: use run(handle_signals=False)")
    handler = _SignalHandler(stop)
    try:
        for number in SIGNALS:
            signal.signal(number, handler)
    except ValueError as error:
        raise RuntimeError(
            "signals can only be handled in the main thread: use run(handle_signals=False)"
        ) from error
    try:
        yield
    finally:
        for number, before in previous.items():
            # None is a handler that Python did not set and cannot set again.
            signal.signal(number, signal.SIG_DFL if before is None else before)
