"""HTTP requests to pods over port-forward: aiohttp on a connection that is a `PodStream`."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Protocol, final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport.exchange import HttpRequest, HttpResponse
from smbpctl.runtime.transport.faults import transport_error
from smbpctl.runtime.transport.portforward import OPEN_TIMEOUT
from smbpctl.runtime.transport.session import HttpTransport

_PIECE: Final = 64 * 1024


class Stream(Protocol):
    """The part of `PodStream` that is used."""

    async def read(self) -> bytes:
        """Return what the pod sent next; nothing when it has finished."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes to the pod."""
        ...


class Forwarder(Protocol):
    """The part of `PortForwarder` that is used."""

    def connect(
        self, pod: ObjectKey, port: int, *, within: timedelta
    ) -> AbstractAsyncContextManager[Stream]:
        """Connect to a port of a pod."""
        ...


@final
class ForwardedHttp:
    """Sends HTTP requests to ports of pods through a `PortForwarder`, each over its own stream.

    aiohttp speaks to one end of a pair of sockets, whose other end is spliced to the stream: no
    port is opened on this machine, and TLS would reach from here to the pod.
    """

    def __init__(self, forwarder: Forwarder, *, user_agent: str = "smbpctl-runtime") -> None:
        self._forwarder = forwarder
        self._user_agent = user_agent

    @asynccontextmanager
    async def send(
        self, pod: ObjectKey, port: int, request: HttpRequest
    ) -> AsyncGenerator[HttpResponse]:
        """Send a request to a port of a pod; see `Transport.send`.

        `request.url` is absolute; its host is what the pod sees in the `Host` header, nothing is
        resolved. Raises what `PortForwarder.connect` raises, and its PortForwardFailed instead of
        the lost connection that comes of it.
        """
        what = f"{request.method} {request.url} of pod {pod}"
        opening = self._forwarder.connect(pod, port, within=request.timeout or OPEN_TIMEOUT)
        async with _within(request.timeout, what), opening as stream:
            splice = _Splice(stream)
            transport = HttpTransport(user_agent=self._user_agent, connector=splice.connector)
            unbounded = replace(request, timeout=None)  # one deadline gives one message
            try:
                async with _beside(splice.run()), transport.send(unbounded) as response:
                    yield response
            except TransportError as error:
                if splice.failure in (None, error):
                    raise
                raise splice.failure from error
            finally:
                splice.close()
                await transport.close()


@final
class _Splice:
    """Joins a stream with one end of a pair of sockets; the other end goes to aiohttp."""

    def __init__(self, stream: Stream) -> None:
        self.failure: TransportError | None = None
        self._stream = stream
        self._writer: asyncio.StreamWriter | None = None
        self._opened: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.get_running_loop().create_future()
        )

    def connector(self) -> aiohttp.BaseConnector:
        """Return what lets aiohttp connect, once."""
        return _Connector(self)

    async def open(self) -> socket.socket:
        """Return aiohttp's end; raise TransportError when it had one before."""
        if self._writer is not None:
            # aiohttp would send a GET again after a lost connection, but a stream is not two.
            lost = TransportError("the pod closed the connection before it answered", sent=True)
            raise self.failure or lost
        ours, theirs = socket.socketpair()
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            theirs.close()
            raise
        self._opened.set_result((reader, self._writer))
        return theirs

    async def run(self) -> None:
        """Carry bytes in both directions until cancelled; `failure` tells why the stream broke."""
        reader, writer = await self._opened
        async with asyncio.TaskGroup() as group:
            group.create_task(self._up(reader))
            group.create_task(self._down(writer))

    def close(self) -> None:
        """Close our end at once; harmless when there is none."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(_PIECE):
                await self._stream.write(data)
        except (TransportError, OSError):
            return  # why the stream takes no more, its `read` knows

    async def _down(self, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await self._stream.read():
                writer.write(data)
                await writer.drain()
        except TransportError as error:
            self.failure = error
        except OSError:
            return  # aiohttp wants no more
        writer.write_eof()


class _Connector(aiohttp.BaseConnector):
    """aiohttp's way to be given a connection: a subclass, there is no other."""

    def __init__(self, splice: _Splice) -> None:
        super().__init__(limit=1, force_close=True)
        self._splice = splice

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's own parameter)
    ) -> ResponseHandler:
        sock = await self._splice.open()
        _, protocol = await self._loop.create_unix_connection(self._factory, sock=sock)
        return protocol


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` while the block lasts; what the block raises comes out as it is, in no group."""
    raised: Exception | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        except Exception as error:
            raised = error
        finally:
            task.cancel()
    if raised is not None:
        raise raised


@asynccontextmanager
async def _within(limit: timedelta | None, what: str) -> AsyncGenerator[None]:
    """Bound the block, the reading of the answer included; None does not."""
    deadline = asyncio.timeout(None if limit is None else limit.total_seconds())
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise transport_error(error, what) from error
