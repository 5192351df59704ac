"""One connection to a port of a pod, through the API server: the `portforward` subresource.

The protocol is `v4.channel.k8s.io` over a WebSocket, which every API server passes on and every
kubelet's streaming server speaks (k8s.io/cri-streaming, also in containerd and CRI-O). The newer
one tunnels SPDY through the WebSocket and gives nothing more to a client of one connection.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final, Protocol, final
from urllib.parse import quote

from smbpctl.runtime.errors import Forbidden, TransportError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport.websocket import WebSocket

OPEN_TIMEOUT: Final = timedelta(seconds=10)
"""How long API server and kubelet may take to open a stream."""

PROTOCOL: Final = "v4.channel.k8s.io"
"""Each message begins with the number of its channel: data is 0, the kubelet's complaint is 1."""

_DATA: Final = 0
_ERROR: Final = 1
# What a kubelet itself reads at a time; a message much larger is held in memory by each hop.
_PIECE: Final = 32 * 1024


class PortForwardFailed(TransportError):
    """The kubelet could not connect to the port, or lost the connection; the message is its own."""


class WebSockets(Protocol):
    """The part of `HttpTransport` that is used."""

    def websocket(
        self, url: str, protocol: str, *, what: str, within: timedelta
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket on the API server; see `HttpTransport.websocket`."""
        ...


@final
class PodStream:
    """A connection to a port of a pod; valid inside the `PortForwarder.connect` block only.

    One task may write while another reads. The pod's end may finish first: what it had sent is
    read to its end. The protocol has no way to finish our own direction alone: leaving the block
    ends both.
    """

    __slots__ = ("_announced", "_failure", "_finished", "_port", "_socket", "_what", "_written")

    def __init__(self, socket: WebSocket, port: int, what: str) -> None:
        self._socket = socket
        self._port = port
        self._what = what
        self._announced: set[int] = set()
        self._failure: TransportError | None = None
        self._finished = False
        self._written = False

    async def read(self) -> bytes:
        """Return what the pod sent next, at least one byte; nothing when it has finished.

        Raises PortForwardFailed with the kubelet's words, TransportError when the connection
        breaks; again when called again.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return await self._next()
        except TransportError as error:
            self._failure = error
            raise

    async def write(self, data: bytes) -> None:
        """Send bytes to the pod, as fast as it takes them; raise TransportError when it cannot.

        That bytes were taken does not mean that the pod has them. Why it failed, `read` knows.
        """
        self._written = True
        for start in range(0, len(data), _PIECE):
            await self._socket.send(bytes((_DATA,)) + data[start : start + _PIECE])

    async def _next(self) -> bytes:
        while not self._finished:
            message = await self._socket.receive()
            if message is None:
                self._finished = True
                break
            if not message:
                continue
            channel, content = message[0], message[1:]
            if channel not in self._announced:
                self._announce(channel, content)
            elif channel == _ERROR and content:
                text = content.decode("utf-8", errors="replace").strip()
                raise PortForwardFailed(f"{self._what}: {text}", sent=self._written)
            elif content:
                return content
        return b""

    def _announce(self, channel: int, content: bytes) -> None:
        """Take the first message of a channel: the port it belongs to."""
        if channel not in (_DATA, _ERROR) or content != self._port.to_bytes(2, "little"):
            raise TransportError(f"{self._what}: the server breaks {PROTOCOL}", sent=self._written)
        self._announced.add(channel)


@final
class PortForwarder:
    """Opens connections to ports of pods, each a WebSocket of its own to the API server.

    The pod's process must listen on the pod's loopback address. Who asks needs the verbs `get`
    (always) and `create` (Kubernetes 1.35 and later) on `pods/portforward`.
    """

    def __init__(self, transport: WebSockets) -> None:
        self._transport = transport

    @asynccontextmanager
    async def connect(
        self, pod: ObjectKey, port: int, *, within: timedelta = OPEN_TIMEOUT
    ) -> AsyncGenerator[PodStream]:
        """Connect to a port of a pod in this time; leaving the block ends the connection.

        That the block is entered does not mean that the pod listens: a refusal shows when reading.
        Raises NotFound, Forbidden and the other errors of `HttpTransport.websocket`.
        """
        what = f"port-forward to pod {pod} port {port}"
        namespace, name = quote(pod.namespace, safe=""), quote(pod.name, safe="")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/portforward"
        opening = self._transport.websocket(
            f"{path}?ports={port}", PROTOCOL, what=what, within=within
        )
        async with AsyncExitStack() as stack:
            try:
                socket = await stack.enter_async_context(opening)
            except Forbidden as error:
                raise Forbidden(
                    f"{error.message} (it takes the verbs get and create on pods/portforward)",
                    code=error.code,
                    reason=error.reason,
                ) from error
            yield PodStream(socket, port, what)
