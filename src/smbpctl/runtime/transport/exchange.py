"""The seam between the runtime and HTTP: a request goes in, status, headers and bytes come out."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, final

BODY_LIMIT = 64 * 1024 * 1024
"""How many bytes `HttpResponse.read` accepts unless told otherwise."""


@final
@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request, complete but for the credentials, which the transport adds.

    `url` is absolute, or a path with query on the transport's own server; it is sent as it is,
    so the caller quotes. `timeout` bounds the whole exchange, the body of the answer included;
    None makes it a stream, which may last for ever. `read_timeout` is the longest silence
    accepted between two chunks; `gathers` is asked before each chunk whether its reader would
    rather wait some milliseconds for much than be woken for little. `before_send` is called with
    the connection in hand, directly before the first byte; what it raises passes through, and
    nothing was sent then.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    timeout: timedelta | None = None
    read_timeout: timedelta | None = None
    before_send: Callable[[], None] | None = None
    gathers: Callable[[], bool] | None = None


class HttpResponse(Protocol):
    """The answer to a request, whatever its status; valid inside the `send` block only."""

    @property
    def status(self) -> int:
        """Return the HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name; repeated ones are joined by a comma."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body as it arrives, decompressed, cut anywhere.

        Raises TransportError when the stream breaks or falls silent; a clean end just ends.
        """
        ...

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """Return the whole body; raise TransportError when it breaks or exceeds `limit` bytes."""
        ...


class Transport(Protocol):
    """Carries requests to a server: over the network, or to an in-memory one under simulation.

    HTTP error statuses are ordinary responses. Where no answer came, `TransportError.sent` tells
    whether the server may have executed the request.
    """

    @property
    def base_url(self) -> str:
        """Return scheme, host and path prefix of the server; empty when there is no one server."""
        ...

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request; the block gets the response once its headers are in.

        Leaving the block ends the exchange, also in the middle of the body.
        """
        ...

    async def close(self) -> None:
        """Close every connection; harmless when repeated."""
