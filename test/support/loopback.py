"""Serves one request handler on a loopback port, with a client that asks it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Loopback:
    """A server's address, and a session to ask it."""

    url: str
    session: ClientSession
    runner: web.AppRunner

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Return status and text of one answer."""
        async with self.session.request(method, self.url + path, data=body) as response:
            return response.status, await response.text()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[Loopback]:
    """Serve until the block ends; what still hangs then is cut off."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as session:
            yield Loopback(f"http://127.0.0.1:{runner.addresses[0][1]}", session, runner)
    finally:
        await runner.cleanup()
