"""A transport whose watches can be held back, as behind a slow API server replica."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from smbpctl.runtime.transport import HttpRequest, HttpResponse, Transport


class LaggingTransport:
    """Satisfies `Transport`; what streams bring is passed on while `flows` is set.

    `lose_answers` names methods whose answers are dropped after the server has done its work.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.flows = asyncio.Event()
        self.flows.set()
        self.requests: list[str] = []
        self.lost: dict[str, BaseException] = {}

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncGenerator[HttpResponse]:
        self.requests.append(f"{request.method} {request.url.partition('?')[0]}")
        async with self._transport.send(request) as response:
            error = self.lost.pop(request.method, None)
            if error is not None:
                await response.read()
                raise error
            held = "watch=" in request.url
            yield _Held(response, self.flows) if held else response

    async def close(self) -> None:
        await self._transport.close()


class _Held:
    """A response whose chunks wait for the flow."""

    def __init__(self, response: HttpResponse, flows: asyncio.Event) -> None:
        self._response = response
        self._flows = flows

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.chunks():
            await self._flows.wait()
            yield chunk

    async def read(self, limit: int = 1 << 26) -> bytes:
        return await self._response.read(limit)
