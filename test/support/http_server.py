"""Servers on the loopback for transport tests: one that speaks HTTP, one that speaks anything."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Connection: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class HttpServer:
    """A running server: where it is and what it was asked."""

    url: str
    requests: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def http_server(
    handler: Handler, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[HttpServer]:
    """Serve HTTP/1.1 until the block ends, whatever is still under way."""
    running = HttpServer(url="")

    async def record(request: web.BaseRequest) -> web.StreamResponse:
        running.requests.append(request)
        running.bodies.append(await request.content.read())
        return await handler(request)

    runner = web.ServerRunner(web.Server(record), shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    _, port = runner.addresses[0][:2]
    running.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield running
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(connection: Connection) -> AsyncGenerator[str]:
    """Hand every TCP connection to `connection`, which may break any rule; yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await connection(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        await server.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    reset_transport(writer.transport)


def reset_transport(transport: asyncio.WriteTransport) -> None:
    """End a connection with RST instead of FIN."""
    sock = transport.get_extra_info("socket")
    # SO_LINGER with zero seconds: struct linger {on = 1, seconds = 0}.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    transport.abort()


def unused_url() -> str:
    """Return a loopback URL where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"
