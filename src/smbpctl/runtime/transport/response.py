"""The answers of aiohttp as the seam to HTTP has them: status, headers and bytes."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final, final

import aiohttp
from multidict import CIMultiDictProxy

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport.exchange import BODY_LIMIT
from smbpctl.runtime.transport.faults import transport_error
from smbpctl.runtime.transport.gathering import Marked, gathering

BUFFER: Final = 256 * 1024
"""How much of an answer waits to be taken before the server is kept waiting."""

_CHUNK: Final = 64 * 1024
"""What of a stream is taken at once: it stays in the processor's cache while it is cut."""


@final
class Headers(Mapping[str, str]):
    """Headers by name, in whatever case; repeated ones are joined by a comma, as HTTP has it.

    Joined when they are asked for: of most answers nobody asks for any.
    """

    __slots__ = ("_found",)

    def __init__(self, found: CIMultiDictProxy[str]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> str:
        values = self._found.getall(name, ())
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name in self._found))

    def __len__(self) -> int:
        return len(set(map(str.lower, self._found)))


@final
class SessionResponse:
    """Satisfies `HttpResponse` with an aiohttp response."""

    __slots__ = ("_gathers", "_response", "_what")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        what: str,
        *,
        gathers: Callable[[], bool] | None = None,
    ) -> None:
        self._response = response
        self._what = what
        self._gathers = gathers

    @property
    def status(self) -> int:
        """Return the HTTP status code."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name; repeated ones are joined by a comma."""
        return Headers(self._response.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; see `HttpResponse.chunks`."""
        content = self._response.content
        try:
            while self._gathers is not None and self._gathers():
                with gathering(self._socket()):
                    chunk = await content.read(_CHUNK)
                if not chunk:
                    return
                yield chunk
            while chunk := await content.read(_CHUNK):
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(error, self._what) from error

    def _socket(self) -> Marked | None:
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        return None if transport is None else transport.get_extra_info("socket")

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """Return the whole body; see `HttpResponse.read`."""
        parts: list[bytes] = []
        size = 0
        content = self._response.content
        try:
            while chunk := await content.read(BUFFER):
                size += len(chunk)
                if size > limit:
                    break
                parts.append(chunk)
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(error, self._what) from error
        if size > limit:
            raise TransportError(f"{self._what}: the answer exceeds {limit} bytes", sent=True)
        return parts[0] if len(parts) == 1 else b"".join(parts)
