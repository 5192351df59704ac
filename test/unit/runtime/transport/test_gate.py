"""`before_send` is asked where nothing comes between it and the first byte on the socket."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from smbpctl.runtime.errors import LeadershipLost, TransportError
from smbpctl.runtime.transport import ClusterConfig, HttpRequest, HttpTransport
from smbpctl.runtime.transport.gate import Gate
from test.support.certificates import Authority, server_context
from test.support.http_server import http_server, raw_server, unused_url
from test.support.manual_clock import ManualClock

CALL = timedelta(seconds=20)
LARGE = b"x" * 3_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Wire:
    """What reached a server's sockets, in order: connections, and bytes of each."""

    url: str = ""
    received: list[bytearray] = field(default_factory=list)
    closed: list[asyncio.Event] = field(default_factory=list)


@asynccontextmanager
async def wire() -> AsyncGenerator[Wire]:
    """Serve every complete request with `ok` and record each byte."""
    seen = Wire()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received, closed = bytearray(), asyncio.Event()
        seen.received.append(received)
        seen.closed.append(closed)
        while chunk := await reader.read(1 << 16):
            received.extend(chunk)
            if received.endswith((b"\r\n\r\n", b"}")):
                writer.write(OK)
        closed.set()

    async with raw_server(serve) as seen.url:
        yield seen


@asynccontextmanager
async def transport_to(url: str) -> AsyncGenerator[HttpTransport]:
    """Open a transport with one connection at a time."""
    transport = HttpTransport(ClusterConfig(server=url), connections=1)
    try:
        yield transport
    finally:
        await transport.close()


async def send(transport: HttpTransport, request: HttpRequest) -> bytes:
    """Return the body of the answer."""
    async with transport.send(request) as response:
        return await response.read()


class Closed:
    """A `before_send` that lets nothing through."""

    def __init__(self) -> None:
        self.error = LeadershipLost("the lease is over")

    def __call__(self) -> None:
        raise self.error


def request(method: str, body: bytes | None, before: object) -> HttpRequest:
    """Return a request with a `before_send`."""
    assert callable(before)
    return HttpRequest(method, "/x", body=body, timeout=CALL, before_send=before)


KINDS = [("GET", None), ("DELETE", None), ("DELETE", b"{}"), ("PATCH", b"{}"), ("POST", b"")]


class TestRefusal:
    """What `before_send` raises passes through, and the server gets not one byte."""

    @pytest.mark.parametrize(("method", "body"), [*KINDS, ("PATCH", LARGE)])
    async def test_nothing_is_sent(self, method: str, body: bytes | None) -> None:
        """The very exception comes out, whatever aiohttp made of it on the way."""
        closed = Closed()
        async with wire() as server, transport_to(server.url) as transport:
            with pytest.raises(LeadershipLost) as caught:
                await send(transport, request(method, body, closed))
            async with asyncio.timeout(5):
                await server.closed[0].wait()

        assert caught.value is closed.error
        assert server.received == [b""]

    async def test_the_next_request_finds_a_connection(self) -> None:
        """A refusal gives back the place in the pool, of which there is one here."""
        async with wire() as server, transport_to(server.url) as transport:
            for _ in range(3):
                with pytest.raises(LeadershipLost):
                    await send(transport, request("PATCH", b"{}", Closed()))

            text = await send(transport, request("PATCH", b"{}", lambda: None))

        assert text == b"ok"

    async def test_nothing_is_sent_on_a_kept_connection(self) -> None:
        """A connection that has carried requests before carries no byte more."""
        async with wire() as server, transport_to(server.url) as transport:
            await send(transport, request("PATCH", b"{}", lambda: None))
            before = bytes(server.received[0])
            with pytest.raises(LeadershipLost):
                await send(transport, request("PATCH", b"{}", Closed()))
            async with asyncio.timeout(5):
                await server.closed[0].wait()

        assert server.received == [before]

    async def test_nothing_is_sent_through_tls(self) -> None:
        """The handshake happens, the request does not."""
        authority = Authority()

        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text="ok")

        async with http_server(answer, tls=server_context(authority.issue("server"))) as server:
            transport = HttpTransport(ClusterConfig(server=server.url, ca_data=authority.pem))
            with pytest.raises(LeadershipLost):
                await send(transport, request("PATCH", b"{}", Closed()))
            await transport.close()

        assert server.requests == []


class TestMoment:
    """Asked once for each time that a request goes out, with the connection in hand."""

    @pytest.mark.parametrize(("method", "body"), KINDS)
    async def test_the_connection_is_there(self, method: str, body: bytes | None) -> None:
        """New or kept, the connection exists when the question is put."""
        connected: list[bool] = []
        async with wire() as server, transport_to(server.url) as transport:
            for _ in range(2):
                asked = request(method, body, lambda: connected.append(_connected(server.url)))
                await send(transport, asked)

        assert connected == [True, True]

    async def test_a_body_in_many_chunks_asks_once(self) -> None:
        """Once begun, a request is not torn apart."""
        asked: list[int] = []

        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text="ok")

        async with http_server(answer) as server, transport_to(server.url) as transport:
            await send(transport, request("PATCH", LARGE, lambda: asked.append(1)))

        assert server.bodies == [LARGE]
        assert asked == [1]

    async def test_a_request_that_waits_for_a_connection_is_asked_after_it(self) -> None:
        """What was allowed when the wait began may not be when it ends."""
        release = asyncio.Event()
        allowed = True

        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            await release.wait()
            return web.Response(text="ok")

        def check() -> None:
            if not allowed:
                raise LeadershipLost("meanwhile")

        async with (
            http_server(answer) as server,
            transport_to(server.url) as transport,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(send(transport, request("PATCH", b"{}", check)))
            while not server.requests:
                await _turn()
            second = group.create_task(_refused(transport, request("PATCH", b"{}", check)))
            await _turn()
            allowed = False
            release.set()

        assert second.result()
        assert len(server.requests) == 1

    async def test_a_request_without_a_connection_is_not_asked(self) -> None:
        """Nobody listens: there is nothing to ask for."""
        asked: list[int] = []
        async with transport_to(unused_url()) as transport:
            with pytest.raises(TransportError):
                await send(transport, request("PATCH", b"{}", lambda: asked.append(1)))

        assert asked == []

    @pytest.mark.parametrize(("method", "body"), KINDS)
    async def test_the_second_try_after_a_401_is_asked_again(
        self, method: str, body: bytes | None, tmp_path: Path
    ) -> None:
        """Renewing a token takes time; the request that goes out then is another one."""
        token_file = tmp_path / "token"
        token_file.write_text("old\n")
        answers = iter([None, LeadershipLost("meanwhile")])

        def check() -> None:
            token_file.write_text("new\n")
            if error := next(answers):
                raise error

        async def refuse(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=401)

        async with http_server(refuse) as server:
            config = ClusterConfig(server=server.url, token_file=token_file)
            transport = HttpTransport(config, clock=ManualClock())
            with pytest.raises(LeadershipLost, match="meanwhile"):
                await send(transport, request(method, body, check))
            await transport.close()

        assert len(server.requests) == 1


class TestGate:
    """The state of one request's gate."""

    def test_with_a_body_the_question_belongs_to_its_first_chunk(self) -> None:
        """The headers wait for the body, and the loop may hang in between."""
        asked: list[str] = []
        gate = Gate(lambda: asked.append("asked"), has_body=True)

        gate.headers()
        before = list(asked)
        gate.chunk()
        gate.chunk()

        assert (before, asked) == ([], ["asked"])

    def test_a_request_sent_again_is_asked_again(self) -> None:
        """Each attempt begins with its headers."""
        asked: list[str] = []
        gate = Gate(lambda: asked.append("asked"), has_body=True)
        for _ in range(2):
            gate.headers()
            gate.chunk()

        assert asked == ["asked", "asked"]

    def test_the_refusal_is_kept(self) -> None:
        """Whoever sends finds out what was raised, however it was wrapped."""
        closed = Closed()
        gate = Gate(closed, has_body=False)

        with pytest.raises(LeadershipLost):
            gate.headers()

        assert gate.refusal is closed.error


def _connected(url: str) -> bool:
    mine = psutil.Process().net_connections("tcp")
    return any(
        url.endswith(f":{each.raddr[1]}") and each.status == psutil.CONN_ESTABLISHED
        for each in mine
        if each.raddr
    )


async def _refused(transport: HttpTransport, asked: HttpRequest) -> bool:
    with pytest.raises(LeadershipLost):
        await send(transport, asked)
    return True


async def _turn() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.005, future.set_result, None)
    await future
