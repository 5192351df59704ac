"""What `HttpTransport` sends, what it hands out, and what it says when there is no answer."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from smbpctl.runtime.errors import ConfigurationError, TransportError
from smbpctl.runtime.transport import ClusterConfig, Credential, HttpRequest, HttpTransport
from smbpctl.runtime.transport.session import _client_timeout
from test.support.certificates import Authority, server_context
from test.support.http_server import http_server, raw_server, reset, unused_url
from test.support.manual_clock import ManualClock

CALL = timedelta(seconds=20)
MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def transport_to(
    server: str, clock: ManualClock | None = None, **config: Any
) -> AsyncGenerator[HttpTransport]:
    """Open a transport to a server and close it afterwards."""
    settings = ClusterConfig(server=server, **config)
    transport = HttpTransport(settings, clock=clock)
    try:
        yield transport
    finally:
        await transport.close()


def _get(path: str = "/x", **options: Any) -> HttpRequest:
    return HttpRequest("GET", path, **{"timeout": CALL, **options})


async def _body(transport: HttpTransport, request: HttpRequest) -> bytes:
    async with transport.send(request) as response:
        return await response.read()


def _open_clients(url: str) -> int:
    """Count the open sockets of this process whose other end is the server's port."""
    sockets = [each for each in gc.get_objects() if type(each) is socket.socket]
    peers = [_peer(each) for each in sockets if each.family is socket.AF_INET]
    return sum(1 for port in peers if url.endswith(f":{port}"))


def _peer(open_socket: socket.socket) -> int:
    try:
        return int(open_socket.getpeername()[1])
    except OSError:  # it listens, or its other end is gone
        return 0


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"{request.method} {request.raw_path}")


async def test_a_request_arrives_as_it_was_given() -> None:
    """Method, quoted path, query, headers and body go out unchanged, below the path prefix."""
    async with http_server(_echo) as server, transport_to(f"{server.url}/prefix/") as transport:
        request = HttpRequest(
            "PATCH", "/a%2Fb?x=1%2C2", {"Content-Type": "application/x"}, b"{}", timeout=CALL
        )

        async with transport.send(request) as response:
            status, text = response.status, await response.read()

        (received,) = server.requests
        assert (status, text) == (200, b"PATCH /prefix/a%2Fb?x=1%2C2")
        assert received.headers["Content-Type"] == "application/x"
        assert received.headers["User-Agent"] == "smbpctl-runtime"
        assert server.bodies == [b"{}"]


async def test_an_error_status_is_an_ordinary_response() -> None:
    """The transport judges no status; whoever asked does."""

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=503, text="busy", headers={"Retry-After": "3"})

    async with (
        http_server(refuse) as server,
        transport_to(server.url) as transport,
        transport.send(_get()) as response,
    ):
        seen = (response.status, response.headers["retry-after"], await response.read())

    assert seen == (503, "3", b"busy")


async def test_repeated_headers_are_joined() -> None:
    """Each `Warning` header survives: names are in lower case, values joined by a comma."""

    async def warn(request: web.BaseRequest) -> web.StreamResponse:
        response = web.Response()
        response.headers.add("Warning", '299 - "one"')
        response.headers.add("Warning", '299 - "two"')
        return response

    async with (
        http_server(warn) as server,
        transport_to(server.url) as transport,
        transport.send(_get()) as response,
    ):
        headers = response.headers

    assert headers["warning"] == '299 - "one", 299 - "two"'


async def test_redirects_are_not_followed() -> None:
    """A login page behind a redirect must not be taken for the API, nor get our token."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/login"})

    async with http_server(redirect) as server, transport_to(server.url) as transport:
        async with transport.send(_get()) as response:
            status = response.status

        assert status == 302
        assert len(server.requests) == 1


async def test_a_stream_hands_out_chunks_as_they_arrive() -> None:
    """A watch sees the first event before the server has sent the second."""
    seen_first = asyncio.Event()

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await seen_first.wait()
        await response.write(b"two\n")
        return response

    chunks: list[bytes] = []
    async with (
        http_server(stream) as server,
        transport_to(server.url) as transport,
        transport.send(HttpRequest("GET", "/watch")) as response,
    ):
        async for chunk in response.chunks():
            chunks.append(chunk)
            seen_first.set()

    assert chunks == [b"one\n", b"two\n"]


async def test_leaving_a_stream_early_ends_the_connection() -> None:
    """The server notices when a watch is given up, and the transport closes without complaint."""
    gone = asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        while request.transport is not None and not request.transport.is_closing():
            await _turn()
        gone.set()
        return response

    async with http_server(endless) as server, transport_to(server.url) as transport:
        async with transport.send(HttpRequest("GET", "/watch")) as response:
            async for _ in response.chunks():
                break

        await asyncio.wait_for(gone.wait(), 5)

    assert gone.is_set()


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(0.005, future.set_result, None)
    await future


async def test_streams_do_not_take_the_connections_of_calls() -> None:
    """With more watches open than calls are allowed connections, a call still gets through."""
    release = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path == "/watch":
            await response.write(b"x")
            await release.wait()
        return response

    async with http_server(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url), connections=1)
        first = transport.send(HttpRequest("GET", "/watch"))
        second = transport.send(HttpRequest("GET", "/watch"))
        async with first, second:
            text = await _body(transport, _get("/call"))
            release.set()
        await transport.close()

    assert text == b""


async def test_a_large_body_is_sent_without_warning() -> None:
    """Objects may have 1.5 MB; aiohttp would warn of such bytes, and warnings are errors here."""
    async with http_server(_echo) as server, transport_to(server.url) as transport:
        large = b"x" * 3_000_000

        await _body(transport, HttpRequest("POST", "/x", body=large, timeout=CALL))

        assert server.bodies == [large]


async def test_a_body_over_the_limit_is_refused() -> None:
    """A runaway answer costs bounded memory; the request itself was executed."""

    async def huge(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 100_000)

    async with http_server(huge) as server, transport_to(server.url) as transport:
        async with transport.send(_get()) as response:
            with pytest.raises(TransportError, match="exceeds 99999 bytes") as caught:
                await response.read(limit=99_999)
        async with transport.send(_get()) as response:
            whole = await response.read(limit=100_000)

    assert caught.value.sent
    assert len(whole) == 100_000


async def test_compression_is_asked_for_only_where_configured() -> None:
    """Inside the cluster gzip costs more than it saves; over slow links it pays."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(text="x" * 4000)
        response.enable_compression()
        return response

    async with http_server(answer) as server:
        async with transport_to(server.url) as plain:
            first = await _body(plain, _get())
        async with transport_to(server.url, compression=True) as compressed:
            second = await _body(compressed, _get())

        assert [each.headers["Accept-Encoding"] for each in server.requests] == ["identity", "gzip"]
    assert first == second == b"x" * 4000


async def test_configured_headers_go_with_every_request() -> None:
    """Impersonation: several groups are several headers."""
    groups = (("Impersonate-Group", "a"), ("Impersonate-Group", "b"))

    async with http_server(_echo) as server, transport_to(server.url, headers=groups) as transport:
        await _body(transport, _get())

        assert server.requests[0].headers.getall("Impersonate-Group") == ["a", "b"]


async def test_credentials_never_leave_their_server() -> None:
    """An absolute URL elsewhere is a programming error, not a leak of the token."""
    async with http_server(_echo) as server, http_server(_echo) as other:
        async with transport_to(server.url, token="secret") as transport:
            await _body(transport, _get(f"{server.url}/inside"))
            with pytest.raises(ValueError, match="is not on"):
                await _body(transport, _get(f"{other.url}/outside"))

        assert server.requests[0].headers["Authorization"] == "Bearer secret"
        assert other.requests == []


async def test_the_plain_client_reaches_any_host_without_credentials() -> None:
    """Without a cluster configuration it takes absolute URLs."""
    async with http_server(_echo) as server:
        transport = HttpTransport(user_agent="probe")
        text = await _body(transport, _get(f"{server.url}/health"))
        await transport.close()

        assert text == b"GET /health"
        assert "Authorization" not in server.requests[0].headers
        assert server.requests[0].headers["User-Agent"] == "probe"
        assert transport.base_url == ""


class TestNoAnswer:
    """`TransportError.sent` is False only when provably nothing was sent."""

    async def test_connection_refused(self) -> None:
        """Nobody listens: the request cannot have been executed."""
        async with transport_to(unused_url()) as transport:
            with pytest.raises(TransportError, match="GET /x: cannot connect") as caught:
                await _body(transport, _get())

        assert not caught.value.sent

    async def test_unknown_host(self) -> None:
        """A host name that does not resolve."""
        async with transport_to("http://no-such-host.invalid:6443") as transport:
            with pytest.raises(TransportError, match="cannot be resolved") as caught:
                await _body(transport, _get())

        assert not caught.value.sent

    async def test_unreachable_server(self) -> None:
        """A server whose connections are never accepted ends in the connection's own timeout."""
        with socket.socket() as silent, socket.socket() as filler:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            filler.connect(silent.getsockname())
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            async with transport_to(url) as transport:
                with pytest.raises(TransportError, match="no connection in time") as caught:
                    await _body(transport, _get(timeout=timedelta(milliseconds=200)))

        assert not caught.value.sent

    async def test_tls_on_a_plain_port(self) -> None:
        """A handshake that fails comes before the request."""
        async with http_server(_echo) as server:
            url = server.url.replace("http:", "https:")
            async with transport_to(url, verify=False) as transport:
                with pytest.raises(TransportError) as caught:
                    await _body(transport, _get())

        assert not caught.value.sent

    async def test_reset_after_the_request_arrived(self) -> None:
        """The server may have executed it before the connection broke."""

        async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            reset(writer)

        async with raw_server(break_off) as url, transport_to(url) as transport:
            with pytest.raises(TransportError, match="POST /x") as caught:
                await _body(transport, HttpRequest("POST", "/x", timeout=CALL))

        assert caught.value.sent

    async def test_closed_without_an_answer(self) -> None:
        """An orderly end without answer is no better than a reset."""

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")

        async with raw_server(hang_up) as url, transport_to(url) as transport:
            with pytest.raises(TransportError, match="connection was lost") as caught:
                await _body(transport, HttpRequest("POST", "/x", timeout=CALL))

        assert caught.value.sent

    async def test_total_timeout(self) -> None:
        """The server took the request and never answered."""
        async with _mute_server() as url, transport_to(url) as transport:
            with pytest.raises(TransportError, match="no answer in time") as caught:
                await _body(transport, _get(timeout=timedelta(milliseconds=80)))

        assert caught.value.sent

    async def test_read_timeout_of_a_stream(self) -> None:
        """A stream that falls silent is given up after `read_timeout`."""

        async def one_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await reader.read()

        chunks: list[bytes] = []
        async with raw_server(one_chunk) as url, transport_to(url) as transport:
            request = HttpRequest("GET", "/watch", read_timeout=timedelta(milliseconds=80))
            with pytest.raises(TransportError, match="no answer in time") as caught:
                async with transport.send(request) as response:
                    chunks.extend([chunk async for chunk in response.chunks()])

        assert caught.value.sent

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf",
            b"this is not HTTP\r\n\r\n",
        ],
    )
    async def test_broken_answers(self, answer: bytes) -> None:
        """A truncated or malformed answer is no answer, and the request may have been executed."""

        async def break_rules(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

        async with raw_server(break_rules) as url, transport_to(url) as transport:
            with pytest.raises(TransportError) as caught:
                await _body(transport, HttpRequest("POST", "/x", timeout=CALL))

        assert caught.value.sent

    async def test_closed_transport(self) -> None:
        """After `close`, which may be repeated, nothing is sent any more."""
        async with http_server(_echo) as server:
            transport = HttpTransport(ClusterConfig(server=server.url))
            await _body(transport, _get())
            await transport.close()
            await transport.close()

            with pytest.raises(TransportError, match="closed") as caught:
                await _body(transport, _get())

            assert not caught.value.sent
            assert len(server.requests) == 1

    async def test_close_ends_what_is_under_way(self) -> None:
        """A request that waits for its answer while the transport closes gets an error."""
        outcome: list[TransportError] = []

        async with _mute_server() as url:
            transport = HttpTransport(ClusterConfig(server=url))

            async def call() -> None:
                try:
                    await _body(transport, _get())
                except TransportError as error:
                    outcome.append(error)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call())
                await _turn()
                await transport.close()

        assert [error.sent for error in outcome] == [True]


@asynccontextmanager
async def _mute_server() -> AsyncGenerator[str]:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(listen) as url:
        yield url


class TestRepeating:
    """A request that may have been executed is never sent twice."""

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_a_write_is_not_repeated_on_a_dead_connection(self, method: str) -> None:
        """A kept connection dies under a write: the outcome is unknown, and one request arrived."""
        heads = await self._heads_after_lost_connection(method, expect_error=True)

        assert [head.split()[0] for head in heads] == ["GET", method]

    async def test_a_get_is_repeated_on_a_dead_connection(self) -> None:
        """The race between an idle connection's end and its next use costs a read nothing."""
        heads = await self._heads_after_lost_connection("GET", expect_error=False)

        assert [head.split()[0] for head in heads] == ["GET", "GET", "GET"]

    async def _heads_after_lost_connection(self, method: str, *, expect_error: bool) -> list[str]:
        """Do a GET, then `method` on the same connection, which the server resets under it."""
        heads: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await _head(reader):
                heads.append(head)
                if len(heads) == 2:
                    reset(writer)
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        async with raw_server(serve) as url, transport_to(url) as transport:
            await _body(transport, _get())
            if expect_error:
                with pytest.raises(TransportError) as caught:
                    await _body(transport, HttpRequest(method, "/x", timeout=CALL))
                assert caught.value.sent
            else:
                await _body(transport, HttpRequest(method, "/x", timeout=CALL))
        return heads


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


class TestTls:
    """Who is trusted, and how we show who we are."""

    async def test_a_server_of_the_configured_authority_is_trusted(self, tmp_path: Path) -> None:
        """The CA may be given as data or as file."""
        authority = Authority()
        ca_file = tmp_path / "ca.crt"
        ca_file.write_bytes(authority.pem)

        async with http_server(_echo, tls=server_context(authority.issue("server"))) as server:
            async with transport_to(server.url, ca_data=authority.pem) as transport:
                first = await _body(transport, _get())
            async with transport_to(server.url, ca_file=ca_file) as transport:
                second = await _body(transport, _get())

        assert first == second == b"GET /x"

    async def test_a_server_of_another_authority_is_refused(self) -> None:
        """Nothing is sent to a server we do not trust; the message says so."""
        ours, theirs = Authority(), Authority("other")

        async with http_server(_echo, tls=server_context(theirs.issue("server"))) as server:
            async with transport_to(server.url, ca_data=ours.pem) as transport:
                with pytest.raises(TransportError, match="not trusted") as caught:
                    await _body(transport, _get())

            assert not caught.value.sent
            assert server.requests == []

    async def test_a_stream_that_is_left_holds_no_socket(self) -> None:
        """An endless answer that nobody reads to its end is dropped, not said goodbye to.

        A socket that stayed open would be a ResourceWarning, which fails the test.
        """
        authority, enough = Authority(), asyncio.Event()

        async def endless(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"first\n")
            await enough.wait()
            return answer

        async with http_server(endless, tls=server_context(authority.issue("server"))) as server:
            async with (
                transport_to(server.url, ca_data=authority.pem) as transport,
                transport.send(_get(timeout=None)) as response,
            ):
                first = await anext(response.chunks())
            enough.set()
            left = _open_clients(server.url)

        assert first == b"first\n"
        assert left == 0

    async def test_verification_can_be_switched_off(self) -> None:
        """`insecure-skip-tls-verify` accepts any server."""
        async with (
            http_server(_echo, tls=server_context(Authority().issue("server"))) as server,
            transport_to(server.url, verify=False) as transport,
        ):
            text = await _body(transport, _get())

        assert text == b"GET /x"

    async def test_the_server_name_replaces_the_host(self) -> None:
        """`tls-server-name`: the certificate is for a name that the URL does not have."""
        authority = Authority()
        tls = server_context(authority.issue("server", hosts=("api.internal",)))

        async with http_server(_echo, tls=tls) as server:
            async with transport_to(server.url, ca_data=authority.pem) as transport:
                with pytest.raises(TransportError, match="not trusted"):
                    await _body(transport, _get())
            async with transport_to(
                server.url, ca_data=authority.pem, server_name="api.internal"
            ) as transport:
                text = await _body(transport, _get())

        assert text == b"GET /x"

    async def test_a_client_certificate_proves_who_we_are(self) -> None:
        """Certificate and key as data, for a server that insists."""
        authority = Authority()
        client = authority.issue("someone")
        tls = server_context(authority.issue("server"), client_ca=authority.pem)

        async def whoami(request: web.BaseRequest) -> web.StreamResponse:
            return web.json_response(request.get_extra_info("peercert")["subject"])

        async with (
            http_server(whoami, tls=tls) as server,
            transport_to(
                server.url,
                ca_data=authority.pem,
                client_certificate=client.certificate,
                client_key=client.key,
            ) as transport,
        ):
            text = await _body(transport, _get())

        assert text == b'[[["commonName", "someone"]]]'

    async def test_an_authority_that_rotates_is_followed(self, tmp_path: Path) -> None:
        """When the server's certificate is no longer trusted, a changed CA file is read at once."""
        old, new = Authority("old"), Authority("new")
        ca_file = tmp_path / "ca.crt"
        ca_file.write_bytes(old.pem)

        async with http_server(_echo, tls=server_context(old.issue("server"))) as before:
            config = ClusterConfig(server=before.url, ca_file=ca_file)
            transport = HttpTransport(config, clock=ManualClock())
            await _body(transport, _get())
        port = int(before.url.rpartition(":")[2])
        async with _https_on(port, server_context(new.issue("server"))):
            ca_file.write_bytes(new.pem)
            text = await _body(transport, _get())
        await transport.close()

        assert text == b"GET /x"

    async def test_a_refusal_with_an_expired_certificate_names_the_cause(self) -> None:
        """A process that outlives its client certificate gets 401s; the error says why."""
        authority, clock = Authority(), ManualClock()
        client = authority.issue("someone", until=clock.now() + timedelta(days=1))

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=401)

        async with (
            http_server(refuse, tls=server_context(authority.issue("server"))) as server,
            transport_to(
                server.url,
                clock,
                source="kubeconfig /k",
                ca_data=authority.pem,
                client_certificate=client.certificate,
                client_key=client.key,
            ) as transport,
        ):
            async with transport.send(_get()) as response:
                before = response.status
            clock.advance(timedelta(days=2))
            with pytest.raises(
                ConfigurationError, match="kubeconfig /k: client-certificate expired on 2026"
            ):
                await _body(transport, _get())

        assert before == 401


@asynccontextmanager
async def _https_on(port: int, tls: ssl.SSLContext) -> AsyncGenerator[None]:
    runner = web.ServerRunner(web.Server(_echo), shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


class TestRefusedCredentials:
    """A 401 is tried once more when there is another credential, and never more than once."""

    async def test_a_renewed_token_is_used_at_once(self, tmp_path: Path) -> None:
        """The token file changed within the minute: the 401 makes us look."""
        token_file = tmp_path / "token"
        token_file.write_text("old\n")

        async def only_new(request: web.BaseRequest) -> web.StreamResponse:
            accepted = request.headers["Authorization"] == "Bearer new"
            return web.Response(status=200 if accepted else 401)

        async with http_server(only_new) as server:
            async with transport_to(server.url, ManualClock(), token_file=token_file) as transport:
                async with transport.send(_get()) as response:
                    before = response.status
                token_file.write_text("new\n")
                async with transport.send(_get()) as response:
                    after = response.status

            assert (before, after) == (401, 200)
            assert len(server.requests) == 3

    async def test_a_token_that_stays_is_not_sent_again(self) -> None:
        """With nothing new to offer, the 401 is the answer."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=401, text="no")

        async with http_server(refuse) as server:
            async with transport_to(server.url, token="t") as transport:
                text = await _body(transport, _get())

            assert text == b"no"
            assert len(server.requests) == 1

    async def test_a_plugin_runs_again_once_for_many_refusals(self) -> None:
        """However many requests are refused together, the plugin runs once more."""
        runs: list[int] = []
        everyone_refused = asyncio.Barrier(5)

        async def plugin() -> Credential:
            runs.append(1)
            return Credential(authorization=f"Bearer {len(runs)}")

        async def only_second(request: web.BaseRequest) -> web.StreamResponse:
            if request.headers["Authorization"] == "Bearer 2":
                return web.Response(text="welcome")
            await everyone_refused.wait()
            return web.Response(status=401)

        async with (
            http_server(only_second) as server,
            transport_to(server.url, credential_plugin=plugin) as transport,
            asyncio.TaskGroup() as group,
        ):
            tasks = [group.create_task(_body(transport, _get())) for _ in range(5)]

        assert [task.result() for task in tasks] == [b"welcome"] * 5
        assert len(runs) == 2


class TestProxy:
    """`proxy-url` of the cluster."""

    async def test_a_plain_server_is_asked_through_the_proxy(self) -> None:
        """The proxy sees the whole URL."""
        async with http_server(_echo) as proxy:
            async with transport_to("http://far.example:80", proxy_url=proxy.url) as transport:
                await _body(transport, _get())

            assert proxy.requests[0].host == "far.example"

    async def test_a_proxy_that_declines_the_tunnel(self) -> None:
        """Nothing reached the server; the proxy's answer is in the message."""

        async def decline(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

        async with (
            raw_server(decline) as url,
            transport_to("https://far.example", proxy_url=url) as transport,
        ):
            with pytest.raises(TransportError, match="the proxy answered 407") as caught:
                await _body(transport, _get())

        assert not caught.value.sent


@pytest.mark.parametrize(
    ("total", "silence", "expected"),
    [
        (timedelta(seconds=30), None, (30.0, 10.0, None)),
        (timedelta(seconds=2), None, (2.0, 1.0, None)),
        (None, MINUTE, (None, 10.0, 60.0)),
    ],
)
def test_timeouts_are_always_explicit(
    total: timedelta | None, silence: timedelta | None, expected: tuple[float | None, ...]
) -> None:
    """Nothing is left to aiohttp's defaults, and connecting always gets less than the whole."""
    timeout = _client_timeout(total, silence)

    assert (timeout.total, timeout.connect, timeout.sock_read) == expected
