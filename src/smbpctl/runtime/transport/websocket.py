"""A WebSocket as the transport hands it out: whole messages, and every failure translated."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final, final

import aiohttp

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport.faults import transport_error

CLOSE_TIMEOUT: Final = timedelta(seconds=1)
"""How long the server may take to answer our goodbye, which keeps its log free of complaints."""

_GOODBYES: Final = frozenset({0, aiohttp.WSCloseCode.OK, aiohttp.WSCloseCode.GOING_AWAY})


@final
class WebSocket:
    """An open WebSocket of binary messages; valid inside the `HttpTransport.websocket` block only.

    One task may send while another receives. Both are slowed down by the other end: nothing is
    buffered without bound.
    """

    __slots__ = ("_socket", "_what")

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, what: str) -> None:
        self._socket = socket
        self._what = what

    async def send(self, message: bytes) -> None:
        """Send one message, when there is room for it; raise TransportError when it cannot be."""
        try:
            await self._socket.send_bytes(message)
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(error, self._what) from error

    async def receive(self) -> bytes | None:
        """Return the next message, None once the server has said goodbye.

        Raises TransportError when the connection ends without that, or for another reason than
        that all is said.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.CLOSE:
            if message.data in _GOODBYES:
                return None
            said = f"code {message.data} {message.extra or ''}".rstrip()
            raise TransportError(f"{self._what}: the server ended it with {said}", sent=True)
        if message.type is aiohttp.WSMsgType.CLOSED:
            raise TransportError(f"{self._what}: the connection was lost", sent=True)
        said = f"{message.type.name}: {message.data!r}"[:200]
        raise TransportError(f"{self._what}: unexpected message {said}", sent=True)

    async def close(self) -> None:
        """Say goodbye and wait a moment for the server's; harmless when it was said."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await self._socket.close()
