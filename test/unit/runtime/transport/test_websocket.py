"""WebSockets of `HttpTransport`: how they open, what is refused, what ends them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import WSCloseCode, web

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import (
    ApiStatusError,
    Forbidden,
    NotFound,
    ServerError,
    TransportError,
    Unauthorized,
)
from smbpctl.runtime.transport import ClusterConfig, Credential, HttpTransport, WebSocket
from test.support.certificates import Authority, server_context
from test.support.http_server import Handler, http_server, raw_server, reset_transport, unused_url

PROTOCOL = "v1.test"
BRIEFLY = timedelta(milliseconds=50)
Conversation = Callable[[web.WebSocketResponse], Awaitable[None]]


def speaking(conversation: Conversation, *, protocol: str = PROTOCOL) -> Handler:
    """Return a server that upgrades, converses and says goodbye."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.WebSocketResponse(protocols=[protocol], timeout=0.1)
        await answer.prepare(request)
        await conversation(answer)
        await answer.close()
        return answer

    return serve


async def echo(socket: web.WebSocketResponse) -> None:
    """Say everything again."""
    async for message in socket:
        await socket.send_bytes(message.data)


@asynccontextmanager
async def transport_to(url: str, **config: Any) -> AsyncGenerator[HttpTransport]:
    """Open a transport to a server and close it afterwards."""
    transport = HttpTransport(ClusterConfig(server=url, **config))
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def websocket_to(handler: Handler, **config: Any) -> AsyncGenerator[WebSocket]:
    """Open a WebSocket to a server that answers by `handler`."""
    async with (
        http_server(handler) as server,
        transport_to(server.url, **config) as transport,
        transport.websocket("/socket", PROTOCOL, what="the test") as opened,
    ):
        yield opened


class TestOpening:
    async def test_messages_go_both_ways_unchanged(self) -> None:
        """Whatever their bytes; an empty one is a message too, and not the end."""
        messages = [b"\0\xff" * 9, b"", b"x" * 200_000]

        async with websocket_to(speaking(echo)) as opened:
            for message in messages:
                await opened.send(message)
            heard = [await opened.receive() for _ in messages]

        assert heard == messages

    async def test_the_request_is_the_configured_one(self) -> None:
        """Below the path prefix, with credentials, impersonation, user agent and protocol."""
        async with (
            http_server(speaking(echo)) as server,
            transport_to(
                f"{server.url}/prefix", token="t", headers=(("Impersonate-User", "ann"),)
            ) as transport,
            transport.websocket("/a%2Fb?x=1", PROTOCOL, what="the test"),
        ):
            (request,) = server.requests

        assert (request.method, request.raw_path) == ("GET", "/prefix/a%2Fb?x=1")
        assert request.headers["Authorization"] == "Bearer t"
        assert request.headers["Impersonate-User"] == "ann"
        assert request.headers["User-Agent"] == "smbpctl-runtime"
        assert request.headers["Sec-WebSocket-Protocol"] == PROTOCOL

    async def test_tls_with_a_client_certificate(self) -> None:
        """The same trust and identity as for requests."""
        authority = Authority()
        tls = server_context(authority.issue("server"), client_ca=authority.pem)
        client = authority.issue("client")

        async with (
            http_server(speaking(echo), tls=tls) as server,
            transport_to(
                server.url,
                ca_data=authority.pem,
                client_certificate=client.certificate,
                client_key=client.key,
            ) as transport,
            transport.websocket("/", PROTOCOL, what="the test") as opened,
        ):
            await opened.send(b"hello")
            heard = await opened.receive()

        assert heard == b"hello"

    async def test_an_untrusted_server(self) -> None:
        """Nothing is sent to it."""
        tls = server_context(Authority().issue("server"))

        async with (
            http_server(speaking(echo), tls=tls) as server,
            transport_to(server.url, ca_data=Authority("other").pem) as transport,
        ):
            with pytest.raises(TransportError, match="not trusted") as caught:
                async with transport.websocket("/", PROTOCOL, what="the test"):
                    pass

        assert not caught.value.sent

    async def test_a_refused_credential_is_renewed_once(self) -> None:
        """As for requests: the plugin runs again, and the upgrade is tried again."""
        tokens = ["old", "new", "newer"]

        async def plugin() -> Credential:
            return Credential(authorization=tokens.pop(0))

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            if request.headers["Authorization"] == "old":
                return web.Response(status=401)
            return await speaking(echo)(request)

        async with websocket_to(serve, credential_plugin=plugin) as opened:
            await opened.send(b"hello")
            heard = await opened.receive()

        assert heard == b"hello"
        assert tokens == ["newer"]

    async def test_credentials_that_stay_refused(self) -> None:
        """No third try."""
        runs: list[None] = []

        async def plugin() -> Credential:
            runs.append(None)
            return Credential(authorization=str(len(runs)))

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=401)

        with pytest.raises(Unauthorized):
            async with websocket_to(refuse, credential_plugin=plugin):
                pass

        assert len(runs) == 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "error"),
        [(403, Forbidden), (404, NotFound), (500, ServerError), (200, ApiStatusError)],
    )
    async def test_the_server_s_words_are_kept(
        self, status: int, error: type[ApiStatusError]
    ) -> None:
        """A refused upgrade is an ordinary answer: the exception of its status, with its text."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            body = {"kind": "Status", "message": "because", "details": {"name": "x"}}
            return web.json_response(body, status=status)

        with pytest.raises(error, match=r"^the test: because$") as caught:
            async with websocket_to(refuse):
                pass

        assert caught.value.code == status

    async def test_a_redirect_is_not_followed(self) -> None:
        """Credentials are for one server."""

        async def redirect(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": "/elsewhere"})

        async with http_server(redirect) as server, transport_to(server.url) as transport:
            with pytest.raises(ApiStatusError, match="a redirect to /elsewhere"):
                async with transport.websocket("/socket", PROTOCOL, what="the test"):
                    pass

            assert [request.path for request in server.requests] == ["/socket"]

    async def test_another_protocol(self) -> None:
        """What would follow could not be understood."""
        with pytest.raises(TransportError, match=f"does not speak {PROTOCOL}"):
            async with websocket_to(speaking(echo, protocol="v0")):
                pass

    async def test_a_server_that_does_not_answer(self) -> None:
        """The time is bounded."""

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with raw_server(mute) as url, transport_to(url) as transport:
            with pytest.raises(TransportError, match="the test: no answer in time"):
                async with transport.websocket("/", PROTOCOL, what="the test", within=BRIEFLY):
                    pass

    async def test_nobody_there(self) -> None:
        """Nothing was sent."""
        async with transport_to(unused_url()) as transport:
            with pytest.raises(TransportError, match="the test: cannot connect") as caught:
                async with transport.websocket("/", PROTOCOL, what="the test"):
                    pass

        assert not caught.value.sent

    async def test_a_closed_transport(self) -> None:
        """It opens nothing any more."""
        async with transport_to(unused_url()) as transport:
            await transport.close()

            with pytest.raises(TransportError, match="the transport is closed"):
                async with transport.websocket("/", PROTOCOL, what="the test"):
                    pass


class TestTheEnd:
    async def test_a_goodbye(self) -> None:
        """All that was said before is heard; after it nothing can be sent."""

        async def speak(socket: web.WebSocketResponse) -> None:
            await socket.send_bytes(b"last words")

        async with websocket_to(speaking(speak)) as opened:
            heard = [await opened.receive(), await opened.receive()]
            with pytest.raises(TransportError, match="the test"):
                await opened.send(b"too late")

        assert heard == [b"last words", None]

    async def test_a_goodbye_in_anger(self) -> None:
        """Another reason than that all is said is an error, with the reason."""

        async def speak(socket: web.WebSocketResponse) -> None:
            await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"out of memory")

        async with websocket_to(speaking(speak)) as opened:
            with pytest.raises(TransportError, match=r"the test: .* code 1011 out of memory"):
                await opened.receive()

    @pytest.mark.parametrize("abruptly", [True, False])
    async def test_no_goodbye(self, abruptly: bool) -> None:
        """A connection that just ends may have ended in the middle: by RST, or by FIN."""

        async def vanish(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.WebSocketResponse(protocols=[PROTOCOL])
            await answer.prepare(request)
            assert request.transport is not None
            if abruptly:
                reset_transport(request.transport)
            else:
                request.transport.close()
            return answer

        async with websocket_to(vanish) as opened:
            with pytest.raises(TransportError, match="the test: the connection was lost"):
                await opened.receive()

    async def test_text_is_not_understood(self) -> None:
        """Messages are bytes."""

        async def speak(socket: web.WebSocketResponse) -> None:
            await socket.send_str("hello")

        async with websocket_to(speaking(speak)) as opened:
            with pytest.raises(TransportError, match="unexpected message TEXT: 'hello'"):
                await opened.receive()

    async def test_closing_the_transport_ends_it(self) -> None:
        """Like every other stream."""
        async with (
            http_server(speaking(echo)) as server,
            transport_to(server.url) as transport,
            transport.websocket("/", PROTOCOL, what="the test") as opened,
        ):
            await transport.close()

            with pytest.raises(TransportError, match="the connection was lost"):
                await opened.receive()

    async def test_a_server_that_does_not_answer_the_goodbye(self) -> None:
        """It gets a second, and then the connection is cut."""
        elapsed = await time_to_end(None)

        assert 0.9 < elapsed < 3

    async def test_an_error_of_the_block_ends_it_at_once(self) -> None:
        """No goodbye is waited for, and the error comes out as it is."""
        elapsed = await time_to_end(_Mine())

        assert elapsed < 0.5


async def time_to_end(error: "_Mine | None") -> float:
    """Return how long it takes to leave the block when the server hears nothing any more."""
    told = asyncio.Event()

    async def deaf(socket: web.WebSocketResponse) -> None:
        await told.wait()

    clock = LoopClock()
    async with http_server(speaking(deaf)) as server, transport_to(server.url) as transport:
        begun = clock.monotonic()
        with suppress(_Mine):
            async with transport.websocket("/", PROTOCOL, what="the test"):
                _raise(error)
        elapsed = clock.monotonic() - begun
        told.set()
    return elapsed


class _Mine(OSError):
    """An error of the block, of a family that the transport translates elsewhere."""


def _raise(error: _Mine | None) -> None:
    if error is not None:
        raise error
