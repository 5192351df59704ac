"""Port-forward against a server that speaks the kubelet's protocol: bytes, errors, the end."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from aiohttp import web

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import (
    ApiStatusError,
    BadRequest,
    Forbidden,
    NotFound,
    ServerError,
    TransportError,
)
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import PodStream, PortForwardFailed
from test.support.portforward_server import Forwarding, forwarding, refusing

POD = ObjectKey("shop", "demo-0")
PORT = 8080
NAMED = r"^port-forward to pod shop/demo-0 port 8080: "
MUCH = 64 * 1024 * 1024


async def everything(stream: PodStream) -> bytes:
    """Read a stream to its end."""
    parts: list[bytes] = []
    while content := await stream.read():
        parts.append(content)
    return b"".join(parts)


async def echo(one: Forwarding) -> None:
    """Say everything again."""
    async for content in one.heard():
        await one.say(content)


async def silence(one: Forwarding) -> None:
    """Listen."""
    async for _ in one.heard():
        pass


class TestBytes:
    async def test_they_go_both_ways_unchanged(self) -> None:
        """Whatever they are and however many; how they are cut is nobody's business."""
        sent = bytes(range(256)) * 1000
        heard = b""

        async with forwarding(echo) as server, server.forwarder.connect(POD, PORT) as stream:
            await stream.write(sent)
            while len(heard) < len(sent):
                heard += await stream.read()

        assert heard == sent

    async def test_the_request_names_pod_and_port(self) -> None:
        """A GET of the subresource, under the credentials of the transport."""
        async with forwarding(silence, token="t") as server:
            async with server.forwarder.connect(ObjectKey("shop", "a.b"), 7070):
                pass

            (request,) = server.http.requests
        assert request.method == "GET"
        assert request.raw_path == "/api/v1/namespaces/shop/pods/a.b/portforward?ports=7070"
        assert request.headers["Sec-WebSocket-Protocol"] == "v4.channel.k8s.io"
        assert request.headers["Authorization"] == "Bearer t"

    async def test_names_are_quoted(self) -> None:
        """A name is never more than one segment of the path."""
        async with forwarding(silence) as server:
            async with server.forwarder.connect(ObjectKey("shop", "a/../b?c"), PORT):
                pass

            (request,) = server.http.requests
        assert "/pods/a%2F..%2Fb%3Fc/portforward?" in request.raw_path

    async def test_nothing_is_not_the_end(self) -> None:
        """Servers send messages without content, in both channels."""

        async def speak(one: Forwarding) -> None:
            await one.socket.send_bytes(b"")
            await one.say(b"")
            await one.complain("")
            await one.say(b"something")

        async with forwarding(speak) as server, server.forwarder.connect(POD, PORT) as stream:
            heard = await stream.read()

        assert heard == b"something"

    async def test_the_pod_may_finish_first(self) -> None:
        """What it said is heard to the end, however late; then nothing comes, again and again."""

        async def speak(one: Forwarding) -> None:
            for _ in range(10):
                await one.say(b"x" * 10_000)

        async with forwarding(speak) as server, server.forwarder.connect(POD, PORT) as stream:
            await server.ended.get()
            heard = await everything(stream)
            again = [await stream.read(), await stream.read()]
            with pytest.raises(TransportError, match=NAMED):
                await stream.write(b"too late")

        assert (len(heard), again) == (100_000, [b"", b""])

    async def test_leaving_ends_both_directions(self) -> None:
        """There is no half of it: the pod hears the end, whatever it still had to say."""
        heard: list[bytes] = []

        async def listen(one: Forwarding) -> None:
            await one.say(b"unheard")
            heard.extend([content async for content in one.heard()])

        async with forwarding(listen) as server:
            async with server.forwarder.connect(POD, PORT) as stream:
                await stream.write(b"hello")
            await server.ended.get()

            assert heard == [b"hello"]
            assert await server.connections() == 0


class TestBackPressure:
    async def test_a_slow_reader_slows_the_pod_down(self) -> None:
        """What nobody reads is not taken: memory stays bounded."""
        said = 0

        async def speak(one: Forwarding) -> None:
            nonlocal said
            while said < MUCH:
                await one.say(b"x" * 65536)
                said += 65536

        async with forwarding(speak) as server, server.forwarder.connect(POD, PORT) as stream:
            await stalled(lambda: said)
            while_nobody_read = said
            heard = len(await everything(stream))

        assert while_nobody_read < MUCH / 4
        assert heard == MUCH

    async def test_a_slow_pod_slows_the_writer_down(self) -> None:
        """A write waits until there is room for it."""
        written = heard = 0
        listen = asyncio.Event()

        async def slow(one: Forwarding) -> None:
            nonlocal heard
            await listen.wait()
            async for content in one.heard():
                heard += len(content)

        async def write(stream: PodStream) -> None:
            nonlocal written
            while written < MUCH:
                await stream.write(b"x" * 65536)
                written += 65536

        async with forwarding(slow) as server:
            async with (
                server.forwarder.connect(POD, PORT) as stream,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(write(stream))
                await stalled(lambda: written)
                while_nobody_listened = written
                listen.set()
            await server.ended.get()

        assert while_nobody_listened < MUCH / 4
        assert heard == MUCH


class TestFailures:
    async def test_the_kubelet_s_words(self) -> None:
        """Its error channel says why; the message says where; asking again changes nothing."""

        async def refuse(one: Forwarding) -> None:
            await one.complain("connection refused\n")

        async with forwarding(refuse) as server, server.forwarder.connect(POD, PORT) as stream:
            for _ in range(2):
                with pytest.raises(PortForwardFailed, match=f"{NAMED}connection refused$") as got:
                    await stream.read()

        assert not got.value.sent

    async def test_a_failure_after_something_was_written(self) -> None:
        """The pod may have had it; what it said before is heard first."""

        async def break_down(one: Forwarding) -> None:
            async for content in one.heard():
                await one.say(content)
                await one.complain("broken pipe")
                return

        async with forwarding(break_down) as server, server.forwarder.connect(POD, PORT) as stream:
            await stream.write(b"hello")
            heard = await stream.read()
            with pytest.raises(PortForwardFailed, match="broken pipe") as caught:
                await stream.read()

        assert heard == b"hello"
        assert caught.value.sent

    @pytest.mark.parametrize(
        ("status", "message", "error"),
        [
            (400, "pod demo-0 does not have a host assigned", BadRequest),
            (403, 'pods "demo-0" is forbidden', Forbidden),
            (404, 'pods "demo-0" not found', NotFound),
            (500, "error dialing backend: refused", ServerError),
        ],
    )
    async def test_the_api_server_refuses(
        self, status: int, message: str, error: type[ApiStatusError]
    ) -> None:
        """The exception of the status, with pod, port and the server's words."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.json_response({"kind": "Status", "message": message}, status=status)

        async with refusing(refuse) as server:
            with pytest.raises(error, match=f"{NAMED}{message}") as caught:
                async with server.forwarder.connect(POD, PORT):
                    pass

        assert caught.value.code == status

    async def test_a_missing_permission_is_named(self) -> None:
        """From 1.35 on the server leaves out which it is."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            status = {"kind": "Status", "message": "is forbidden: ", "reason": "Forbidden"}
            return web.json_response(status, status=403)

        async with refusing(refuse) as server:
            with pytest.raises(Forbidden, match="get and create on pods/portforward") as caught:
                async with server.forwarder.connect(POD, PORT):
                    pass

        assert caught.value.reason == "Forbidden"

    async def test_the_kubelet_refuses(self) -> None:
        """It answers in plain text, which is shown."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=404, text="pod does not exist")

        async with refusing(refuse) as server:
            with pytest.raises(NotFound, match=f"{NAMED}.*pod does not exist"):
                async with server.forwarder.connect(POD, PORT):
                    pass

    @pytest.mark.parametrize(
        "message",
        [b"\0hello", b"\0\x50\x00", b"\x02\x90\x1f", b"\0\x90\x1f\0"],
        ids=["no port", "another port", "a third channel", "more than a port"],
    )
    async def test_a_server_that_breaks_the_protocol(self, message: bytes) -> None:
        """Bytes of something else are never taken for the pod's."""

        async def speak(one: Forwarding) -> None:
            await one.socket.send_bytes(message)

        async with (
            forwarding(speak, announced=False) as server,
            server.forwarder.connect(POD, PORT) as stream,
        ):
            with pytest.raises(TransportError, match=f"{NAMED}the server breaks v4.channel"):
                await stream.read()

    async def test_a_lost_connection(self) -> None:
        """Not the same as the pod's end: something may be missing."""

        async def vanish(one: Forwarding) -> None:
            await one.say(b"hello")
            transport = one.socket._req.transport if one.socket._req else None
            assert transport is not None
            transport.close()

        async with forwarding(vanish) as server, server.forwarder.connect(POD, PORT) as stream:
            heard = await stream.read()
            with pytest.raises(TransportError, match=f"{NAMED}the connection was lost"):
                await stream.read()

        assert heard == b"hello"

    async def test_a_server_that_never_answers(self) -> None:
        """The time to open is bounded."""
        answer = asyncio.Event()

        async def wait(request: web.BaseRequest) -> web.StreamResponse:
            await answer.wait()
            return web.Response()

        async with refusing(wait) as server:
            with pytest.raises(TransportError, match=f"{NAMED}no answer in time"):
                async with server.forwarder.connect(POD, PORT, within=timedelta(milliseconds=50)):
                    pass
            answer.set()


class TestCancellation:
    async def test_nothing_stays_open(self) -> None:
        """A reader that is cancelled takes its connection along, and no task is left."""
        async with forwarding(silence) as server:

            async def read() -> None:
                async with server.forwarder.connect(POD, PORT) as stream:
                    reading.set()
                    await stream.read()

            reading = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(read())
                await reading.wait()
                task.cancel()
            await server.ended.get()

            assert task.cancelled()
            assert await server.connections() == 0

    async def test_while_it_opens(self) -> None:
        """The same before the server has answered."""
        asked, answer = asyncio.Event(), asyncio.Event()

        async def wait(request: web.BaseRequest) -> web.StreamResponse:
            asked.set()
            await answer.wait()
            return web.Response()

        async with refusing(wait) as server:

            async def connect() -> None:
                async with server.forwarder.connect(POD, PORT):
                    pass

            async with asyncio.TaskGroup() as group:
                task = group.create_task(connect())
                await asked.wait()
                task.cancel()
            await LoopClock().sleep(timedelta(0))
            answer.set()

            assert task.cancelled()
            assert await server.connections() == 0


async def stalled(count: Callable[[], int]) -> None:
    """Wait until a count has not moved for a while."""
    last, still = -1, 0
    while still < 20:
        await LoopClock().sleep(timedelta(milliseconds=5))
        still = still + 1 if count() == last else 0
        last = count()
