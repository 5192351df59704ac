"""One exchange with the API server: sent, counted, warnings logged, failures raised as errors."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, final
from urllib.parse import urlsplit

import structlog

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport import BODY_LIMIT, HttpRequest, HttpResponse, Transport
from smbpctl.runtime.transport.answer import failure, warnings

_WARNINGS_REMEMBERED = 1000


class RequestMetrics(Protocol):
    """Where requests are counted."""

    def request(self, method: str, host: str, code: int | str) -> None:
        """Count one request; `code` is the HTTP status, or `<error>` when no answer came."""
        ...


@final
class Caller:
    """Sends requests for a client.

    `context` says what is attempted ("get ConfigMap default/a") and leads every error message.
    """

    def __init__(self, transport: Transport, metrics: RequestMetrics | None) -> None:
        self._transport = transport
        self._metrics = metrics
        self._host = urlsplit(transport.base_url).netloc
        self._warned: set[str] = set()

    async def body(self, request: HttpRequest, context: str, *, limit: int = BODY_LIMIT) -> bytes:
        """Return the body of a success.

        Raises the ApiStatusError for any other status and TransportError without answer.
        """
        answered = False
        try:
            async with self._transport.send(request) as response:
                answered = True
                self._note(request, response, context)
                if response.status >= 300:
                    raise await failure(response, context)
                return await response.read(limit)
        except TransportError as error:
            raise self._lost(error, request, context, answered=answered) from error

    @asynccontextmanager
    async def stream(self, request: HttpRequest, context: str) -> AsyncGenerator[HttpResponse]:
        """Open a stream; errors as with `body`, those inside the stream rise where it is read."""
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(self._transport.send(request))
            except TransportError as error:
                raise self._lost(error, request, context, answered=False) from error
            self._note(request, response, context)
            if response.status >= 300:
                raise await failure(response, context)
            yield response

    def _lost(
        self, error: TransportError, request: HttpRequest, context: str, *, answered: bool
    ) -> TransportError:
        if not answered:
            self._count(request.method, "<error>")
        return TransportError(f"{context}: {error}", sent=error.sent)

    def _note(self, request: HttpRequest, response: HttpResponse, context: str) -> None:
        self._count(request.method, response.status)
        for text in warnings(response.headers):
            # The server repeats a deprecation with every answer; nobody needs it twice.
            if text not in self._warned and len(self._warned) < _WARNINGS_REMEMBERED:
                self._warned.add(text)
                structlog.get_logger().warning("server warned", call=context, text=text)

    def _count(self, method: str, code: int | str) -> None:
        if self._metrics is not None:
            self._metrics.request(method, self._host, code)
