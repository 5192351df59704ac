"""An API server that speaks port-forward on the loopback: the kubelet's part is a script."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias, final
from urllib.parse import unquote

from aiohttp import WSMsgType, web

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.transport import ClusterConfig, HttpTransport, PortForwarder
from test.support.http_server import Handler, HttpServer, http_server

PROTOCOL = "v4.channel.k8s.io"
_TURNS = 5


@final
@dataclass
class Forwarding:
    """One port-forward as the kubelet's streaming server sees it."""

    pod: str
    port: int
    socket: web.WebSocketResponse

    async def announce(self) -> None:
        """Begin as every server does: each channel with the port it belongs to."""
        for channel in (b"\0", b"\1"):
            await self.socket.send_bytes(channel + self.port.to_bytes(2, "little"))

    async def say(self, content: bytes) -> None:
        """Send what the pod says."""
        await self.socket.send_bytes(b"\0" + content)

    async def complain(self, text: str) -> None:
        """Send what is wrong."""
        await self.socket.send_bytes(b"\1" + text.encode())

    async def heard(self) -> AsyncIterator[bytes]:
        """Yield what the pod is told, until the client is gone."""
        async for message in self.socket:
            assert message.type is WSMsgType.BINARY
            channel, content = message.data[0], message.data[1:]
            assert channel == 0
            yield content


Script: TypeAlias = Callable[[Forwarding], Awaitable[None]]


@final
@dataclass
class ForwardingServer:
    """A running server, a forwarder to it, and how many forwardings have begun and ended."""

    http: HttpServer
    transport: HttpTransport
    forwarder: PortForwarder
    begun: int = 0
    ended: asyncio.Queue[None] = field(default_factory=asyncio.Queue[None])

    async def connections(self) -> int:
        """Count the open sockets of this process whose other end is the server.

        What is being closed gets the turns of the loop that this takes.
        """
        for _ in range(_TURNS):
            await LoopClock().sleep(timedelta(0))
        return sum(self.http.url.endswith(f":{_peer_port(each)}") for each in _sockets())


@asynccontextmanager
async def forwarding(
    script: Script, *, announced: bool = True, **config: Any
) -> AsyncGenerator[ForwardingServer]:
    """Serve port-forward by a script; when the script ends, the server says goodbye."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        running.begun += 1
        answer = web.WebSocketResponse(protocols=[PROTOCOL], autoping=False, timeout=0.1)
        await answer.prepare(request)
        _, _, _, _, namespace, _, name, _ = request.url.raw_path.split("/")
        one = Forwarding(f"{namespace}/{unquote(name)}", int(request.query["ports"]), answer)
        try:
            if announced:
                await one.announce()
            await script(one)
            await answer.close()
        except OSError:
            pass  # the client went away in the middle of a word
        finally:
            running.ended.put_nowait(None)
        return answer

    async with refusing(serve, **config) as running:
        yield running


@asynccontextmanager
async def refusing(
    handler: Handler, *, tls: ssl.SSLContext | None = None, **config: Any
) -> AsyncGenerator[ForwardingServer]:
    """Answer the request to upgrade in any way."""
    async with http_server(handler, tls=tls) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, **config))
        try:
            yield ForwardingServer(server, transport, PortForwarder(transport))
        finally:
            await transport.close()


def pods_at(addresses: dict[str, int]) -> Script:
    """Return a script that connects each `namespace/name` to a port of this machine.

    As containerd does it: the error channel tells of a refused connection, and when one side has
    finished, the other one gets a moment and then is cut.
    """

    async def splice(one: Forwarding) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", addresses[one.pod])
        except OSError as error:
            await one.complain(f"error forwarding port {one.port} to pod: {error.strerror}")
            return

        async def upstream() -> None:
            async for content in one.heard():
                writer.write(content)
                await writer.drain()
            writer.transport.abort()

        async with asyncio.TaskGroup() as group:
            up = group.create_task(upstream())
            while content := await reader.read(32768):
                await one.say(content)
            up.cancel()
        writer.close()

    return splice


def open_pairs() -> int:
    """Count the open Unix sockets of this process."""
    return sum(each.family is socket.AF_UNIX for each in _sockets())


def _sockets() -> list[socket.socket]:
    found = [each for each in gc.get_objects() if type(each) is socket.socket]
    return [each for each in found if each.fileno() >= 0]


def _peer_port(open_socket: socket.socket) -> int:
    if open_socket.family is not socket.AF_INET:
        return 0
    try:
        return int(open_socket.getpeername()[1])
    except OSError:  # it listens, or its other end is gone
        return 0
