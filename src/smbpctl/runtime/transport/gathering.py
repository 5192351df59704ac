"""Lets the kernel gather what a stream brings, so that its reader is woken for much at once."""

import platform
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol

from smbpctl.runtime.clock import LoopClock

ENOUGH: Final = 256 * 1024
"""How many bytes wake the reader at once."""

LONGEST: Final = timedelta(milliseconds=20)
"""How long fewer bytes are kept back."""

# Elsewhere a reader that waits is not woken when the mark is lowered below what is there.
_SUPPORTED: Final = platform.system() == "Linux"


class Marked(Protocol):
    """The part of a socket that is used; those of other event loops have it too."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option."""


@contextmanager
def gathering(connection: Marked | None) -> Generator[None]:
    """Have the block woken when much has arrived, or after a little while with what has.

    A server writes each event of a list by itself, and to be woken for each costs several times
    what the event does. Without a socket, and elsewhere than on Linux, nothing changes.
    """
    if connection is None or not _SUPPORTED:
        yield
        return
    _set(connection, ENOUGH)
    timer = LoopClock().call_later(LONGEST, lambda: _set(connection, 1))
    try:
        yield
    finally:
        timer.cancel()
        # The next exchange on this connection may be a short one.
        _set(connection, 1)


def _set(connection: Marked, size: int) -> None:
    with suppress(OSError):  # it was closed meanwhile
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
