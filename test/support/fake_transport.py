"""A `Transport` without a network: records requests and answers what a handler says."""

import asyncio
import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport import BODY_LIMIT, HttpRequest

Chunk: TypeAlias = bytes | Exception


class Feed:
    """A response body that the test writes while the code under test reads it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Chunk | None] = asyncio.Queue()

    def push(self, *chunks: bytes) -> None:
        """Deliver chunks as they are."""
        for chunk in chunks:
            self._queue.put_nowait(chunk)

    def push_json(self, *values: object) -> None:
        """Deliver each value as one line of JSON, as a watch does."""
        self.push(*(json.dumps(value).encode() + b"\n" for value in values))

    def fail(self, error: Exception) -> None:
        """Break the stream with `error`."""
        self._queue.put_nowait(error)

    def end(self) -> None:
        """End the stream cleanly."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while (chunk := await self._queue.get()) is not None:
            yield chunk


@dataclass(frozen=True)
class FakeResponse:
    """What the server says: a body, or `stream` (chunks; an exception in it breaks the stream)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    stream: Iterable[Chunk] | Feed | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body chunk by chunk."""
        if isinstance(self.stream, Feed):
            async for chunk in self.stream:
                yield _delivered(chunk)
            return
        for chunk in (self.body,) if self.stream is None else self.stream:
            if chunk := _delivered(chunk):
                yield chunk

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """Return the whole body."""
        body = b"".join([chunk async for chunk in self.chunks()])
        if len(body) > limit:
            raise TransportError(f"the body exceeds {limit} bytes", sent=True)
        return body


def _delivered(chunk: Chunk) -> bytes:
    if isinstance(chunk, Exception):
        raise chunk
    return chunk


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """Answer with JSON."""
    return FakeResponse(
        status=status,
        body=json.dumps(value).encode(),
        headers={"content-type": "application/json", **(headers or {})},
    )


def status_response(
    code: int,
    reason: str,
    message: str = "",
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> FakeResponse:
    """Answer with a Kubernetes `Status` of failure.

    A 404 names an object unless `details` says otherwise: without a name it would mean that the
    path itself is not served.
    """
    if details is None:
        details = {"name": "missing", "kind": "things"} if code == 404 else {}
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or reason,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return json_response(status, code, headers)


Answer: TypeAlias = FakeResponse | Exception
Handler: TypeAlias = Callable[[HttpRequest], Answer | Awaitable[Answer]]


class FakeTransport:
    """Satisfies `Transport`; `handler` answers each request, or returns the error to raise.

    The handler may be async, to answer late. `requests` has every request in order,
    `open_exchanges` counts the `send` blocks that are entered and not yet left.
    """

    def __init__(self, handler: Handler, base_url: str = "https://fake.test:6443") -> None:
        self.base_url = base_url
        self.handler = handler
        self.requests: list[HttpRequest] = []
        self.open_exchanges = 0
        self.closed = False

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncGenerator[FakeResponse]:
        """Record the request, unless its `before_send` raises, and yield the handler's answer."""
        if request.before_send is not None and not self.closed:
            request.before_send()
        self.requests.append(request)
        if self.closed:
            raise TransportError("the transport is closed", sent=False)
        answer = self.handler(request)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        self.open_exchanges += 1
        try:
            yield answer
        finally:
            self.open_exchanges -= 1

    async def close(self) -> None:
        """Refuse every later request."""
        self.closed = True

    def calls(self) -> list[str]:
        """Return method and path of every request, without the query: `GET /api/v1/pods`."""
        return [f"{request.method} {path_of(request)}" for request in self.requests]


def path_of(request: HttpRequest) -> str:
    """Return the path of a request without its query."""
    return urlsplit(request.url).path


def query_of(request: HttpRequest) -> dict[str, str]:
    """Return the query parameters of a request."""
    return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))


def body_of(request: HttpRequest) -> Any:
    """Return the JSON body of a request; fail when there is none."""
    assert request.body is not None, f"{request.method} {request.url} has no body"
    return json.loads(request.body)
