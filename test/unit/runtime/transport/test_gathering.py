"""Streams are read in large pieces while their reader says so, and nothing of them is lost."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.transport import ClusterConfig, HttpRequest, HttpTransport
from smbpctl.runtime.transport import gathering as module
from smbpctl.runtime.transport.gathering import ENOUGH, LONGEST, gathering
from test.support.http_server import raw_server

PIECES = [f"{number:04}".encode() * 25 for number in range(60)]
SECOND = timedelta(seconds=1)
linux = pytest.mark.skipif(not module._SUPPORTED, reason="only Linux wakes on a lowered mark")


class Marks:
    """A socket that notes its low-water mark."""

    def __init__(self, *, closed: bool = False) -> None:
        self.marks: list[int] = []
        self._closed = closed

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Note it."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        if self._closed:
            raise OSError(9, "Bad file descriptor")
        self.marks.append(value)


@asynccontextmanager
async def trickling() -> AsyncGenerator[str]:
    """A server that writes pieces a millisecond apart, each as a chunk, and then no more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in PIECES:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await LoopClock().sleep(timedelta(milliseconds=1))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with raw_server(serve) as url:
        yield url


async def read(url: str, *, gathered: int) -> tuple[list[bytes], int]:
    """Return the chunks, gathered until so many bytes are there, and the socket's mark at last."""
    chunks: list[bytes] = []
    came = 0
    transport = HttpTransport(ClusterConfig(server=url))
    request = HttpRequest("GET", "/", read_timeout=20 * SECOND, gathers=lambda: came < gathered)
    async with transport.send(request) as response:
        found = response._socket()  # type: ignore[attr-defined]
        async for chunk in response.chunks():
            chunks.append(chunk)
            came += len(chunk)
        mark = found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
    await transport.close()
    return chunks, mark


@linux
async def test_a_reader_in_no_hurry_is_woken_seldom() -> None:
    """About every ten milliseconds rather than for each piece; the end comes by itself."""
    async with trickling() as url:
        chunks, mark = await read(url, gathered=1 << 30)

    assert b"".join(chunks) == b"".join(PIECES)
    assert len(chunks) < len(PIECES) / 2
    assert mark == 1


@linux
async def test_one_that_is_in_a_hurry_again_is_woken_at_once() -> None:
    """The mark is back where it was."""
    async with trickling() as url:
        chunks, mark = await read(url, gathered=1000)

    assert b"".join(chunks) == b"".join(PIECES)
    assert mark == 1


@linux
async def test_the_mark_is_lowered_after_a_while_and_at_the_end() -> None:
    """Whatever has come by then is read; who is quicker finds the mark as it was."""
    waiting, reading = Marks(), Marks()

    with gathering(waiting):
        await LoopClock().sleep(2 * LONGEST)
        seen = list(waiting.marks)
    with gathering(reading):
        pass

    assert seen == [ENOUGH, 1]
    assert reading.marks == [ENOUGH, 1]


@linux
async def test_a_socket_that_was_closed_is_left_alone() -> None:
    """Whoever reads from it learns of that."""
    with gathering(Marks(closed=True)):
        pass


async def test_elsewhere_and_without_a_socket_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There a lowered mark would wake nobody."""
    with gathering(None):
        pass
    monkeypatch.setattr(module, "_SUPPORTED", False)
    marks = Marks()

    with gathering(marks):
        pass

    assert marks.marks == []
