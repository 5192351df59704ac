"""Tells whether the loop that does the work still turns, seen from another thread."""

import sys
import threading
import traceback
from typing import final

from smbpctl.runtime.clock import Stopwatch


@final
class Heartbeat:
    """The last sign of life of one thread. Any thread may ask; nothing is locked."""

    __slots__ = ("_at", "_now", "_thread")

    def __init__(self, now: Stopwatch) -> None:
        """Begin with a sign of life of the calling thread, whose stack it is that `stack` shows."""
        self._now = now
        self._thread = threading.get_ident()
        self._at = now()

    def beat(self) -> None:
        """Give a sign of life."""
        self._at = self._now()

    def age(self) -> float:
        """Return the seconds since the last sign of life."""
        return self._now() - self._at

    def stack(self) -> str:
        """Return where the thread is right now, as a traceback; empty when it has ended."""
        # Documented in spite of its name, and the only way to another thread's stack.
        frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        frame = frames.get(self._thread)
        return "" if frame is None else "".join(traceback.format_stack(frame))
