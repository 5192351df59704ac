"""Puts the lines of a watch stream together from chunks that end anywhere."""

from typing import final

MAX_LINE = 16 * 1024 * 1024
"""No object of an API server comes near this: etcd refuses values far smaller."""


class LineTooLongError(ValueError):
    """A line grew past the limit: the peer does not speak the watch protocol."""


@final
class LineAssembler:
    """Cuts a stream of chunks at newlines. Synchronous; holds at most one unfinished line.

    What is unfinished when the stream ends is no line: a truncated event is no event.
    """

    __slots__ = ("_limit", "_pending", "_size")

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes, without newlines and without blank lines.

        Raise `LineTooLongError` once a line, finished or not, is longer than the limit.
        """
        # Cut first, and only the ends joined: each byte is copied once, and large objects that
        # come in many chunks stay linear.
        lines = chunk.split(b"\n")
        tail = lines.pop()
        if not lines:
            self._keep(tail)
            return []
        if self._pending:
            lines[0] = b"".join((*self._pending, lines[0]))
            self._pending.clear()
            self._size = 0
        self._keep(tail)
        if max(map(len, lines)) > self._limit:
            raise LineTooLongError(f"a line of the watch stream exceeds {self._limit} bytes")
        return [line for line in lines if line and not line.isspace()]

    def _keep(self, part: bytes) -> None:
        if part:
            self._pending.append(part)
            self._size += len(part)
        if self._size > self._limit:
            raise LineTooLongError(f"a line of the watch stream exceeds {self._limit} bytes")
