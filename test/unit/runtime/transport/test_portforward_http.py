"""HTTP over port-forward: real servers as pods, behind a server that speaks the protocol."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import Forbidden, TransportError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import ForwardedHttp, HttpRequest, PortForwardFailed
from test.support.http_server import Handler, HttpServer, http_server
from test.support.portforward_server import (
    Forwarding,
    ForwardingServer,
    Script,
    forwarding,
    open_pairs,
    pods_at,
    refusing,
)

POD = ObjectKey("shop", "demo-0")
PORT = 8080
CALL = timedelta(seconds=20)
BRIEFLY = timedelta(milliseconds=100)


@dataclass
class Scene:
    """A pod that serves HTTP, the API server in front of it, and the way through."""

    http: ForwardedHttp
    server: ForwardingServer
    pod: HttpServer | None = None

    async def ask(self, request: HttpRequest, pod: ObjectKey = POD) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        async with self.http.send(pod, PORT, request) as response:
            return response.status, await response.read()


@asynccontextmanager
async def scene(handler: Handler) -> AsyncGenerator[Scene]:
    """Serve a pod by `handler`."""
    async with AsyncExitStack() as stack:
        pod = await stack.enter_async_context(http_server(handler))
        port = int(pod.url.rpartition(":")[2])
        server = await stack.enter_async_context(forwarding(pods_at({str(POD): port})))
        yield Scene(ForwardedHttp(server.forwarder, user_agent="me"), server, pod)


@asynccontextmanager
async def scripted(script: Script) -> AsyncGenerator[Scene]:
    """Serve a pod by what it says, byte for byte."""
    async with forwarding(script) as server:
        yield Scene(ForwardedHttp(server.forwarder), server)


def a_request(method: str = "GET", path: str = "/x", **options: Any) -> HttpRequest:
    """Return a request to an address that nobody has."""
    url = f"http://192.0.2.1:8080{path}"
    return HttpRequest(method, url, **{"timeout": CALL, **options})


async def greet(request: web.BaseRequest) -> web.StreamResponse:
    """Answer."""
    return web.Response(status=201, text="hello", headers={"X-Some": "thing"})


async def swallow(one: Forwarding) -> None:
    """Listen and never answer."""
    async for _ in one.heard():
        pass


class TestExchange:
    async def test_the_pod_gets_the_request_and_its_answer_comes_back(self) -> None:
        """Unchanged; the address of the URL is what the pod sees, and is not connected to."""
        async with scene(greet) as made:
            headers = {"accept": "x/y"}
            async with made.http.send(POD, PORT, a_request(headers=headers)) as response:
                seen = (response.status, response.headers["x-some"], await response.read())

            assert made.pod is not None
            (request,) = made.pod.requests
        assert seen == (201, "thing", b"hello")
        assert (request.method, request.raw_path) == ("GET", "/x")
        assert request.host == "192.0.2.1:8080"
        assert (request.headers["accept"], request.headers["user-agent"]) == ("x/y", "me")

    async def test_large_bodies(self) -> None:
        """In both directions, in pieces, complete."""

        async def echo(request: web.BaseRequest) -> web.StreamResponse:
            assert made.pod is not None
            answer = web.StreamResponse()
            await answer.prepare(request)
            for start in range(0, len(body), 50_000):
                await answer.write(made.pod.bodies[0][start : start + 50_000])
            return answer

        body = bytes(range(256)) * 8000
        async with scene(echo) as made:
            status, heard = await made.ask(a_request("POST", body=body))

        assert status == 200
        assert heard == body

    async def test_each_exchange_has_a_stream_of_its_own(self) -> None:
        """Nothing of one can be taken for another's."""
        async with scene(greet) as made:
            for _ in range(3):
                await made.ask(a_request())

            assert made.server.begun == 3

    async def test_many_at_a_time(self) -> None:
        """Each gets its own answer, and nothing stays open."""

        async def path(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text=request.path)

        before = open_pairs()
        async with scene(path) as made:
            async with asyncio.TaskGroup() as group:
                asked = {
                    f"/{number}": group.create_task(made.ask(a_request(path=f"/{number}")))
                    for number in range(40)
                }

            assert await made.server.connections() == 0
            assert open_pairs() == before
        assert {path: task.result() for path, task in asked.items()} == {
            path: (200, path.encode()) for path in asked
        }


class TestFailures:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_port_where_nobody_listens(self, method: str) -> None:
        """The kubelet's words, not the lost connection that comes of it."""
        async with forwarding(pods_at({str(POD): 1})) as server:
            made = Scene(ForwardedHttp(server.forwarder), server)

            with pytest.raises(PortForwardFailed, match=r"demo-0 port 8080: .*Connect call failed"):
                await made.ask(a_request(method))

            assert server.begun == 1

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_pod_that_hangs_up(self, method: str) -> None:
        """Without an answer; it is not asked twice, whatever the method."""

        async def hang_up(one: Forwarding) -> None:
            async for _ in one.heard():
                return

        async with scripted(hang_up) as made:
            with pytest.raises(TransportError, match=r"before (it answered|the answer was)") as got:
                await made.ask(a_request(method))

            assert got.value.sent
            assert made.server.begun == 1

    async def test_a_failure_in_the_middle_of_an_answer(self) -> None:
        """Why the rest is missing is said by whoever knows."""

        async def break_down(one: Forwarding) -> None:
            async for _ in one.heard():
                await one.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
                await one.complain("pod was killed")
                return

        async with scripted(break_down) as made:
            with pytest.raises(PortForwardFailed, match="pod was killed"):
                await made.ask(a_request())

    async def test_an_answer_cut_short(self) -> None:
        """An end that comes too early is no success."""

        async def stop(one: Forwarding) -> None:
            async for _ in one.heard():
                await one.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
                return

        async with scripted(stop) as made:
            with pytest.raises(TransportError):
                await made.ask(a_request())

    async def test_something_else_than_http(self) -> None:
        """A port that speaks another protocol."""

        async def speak(one: Forwarding) -> None:
            await one.say(b"SSH-2.0-OpenSSH\r\n\r\n")
            await swallow(one)

        async with scripted(speak) as made:
            with pytest.raises(TransportError, match=r"GET http://192\.0\.2\.1:8080/x"):
                await made.ask(a_request())

    async def test_a_refusal_comes_through(self) -> None:
        """The way is not open: the API server's answer."""

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return web.json_response({"kind": "Status", "message": "no"}, status=403)

        async with refusing(refuse) as server:
            with pytest.raises(Forbidden, match="demo-0"):
                await Scene(ForwardedHttp(server.forwarder), server).ask(a_request())

    async def test_what_the_block_raises_comes_out_as_it_is(self) -> None:
        """In no group: whoever asked can catch it."""
        async with scene(greet) as made:
            with pytest.raises(ValueError, match=r"^mine$"):
                async with made.http.send(POD, PORT, a_request()):
                    raise ValueError("mine")


class TestTheEnd:
    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
    async def test_the_timeout_bounds_the_whole(self, head: bytes) -> None:
        """Opening, asking and the body; nothing stays open."""

        async def speak(one: Forwarding) -> None:
            if head:
                await one.say(head)
            await swallow(one)

        before = open_pairs()
        async with scripted(speak) as made:
            with pytest.raises(TransportError, match="of pod shop/demo-0: no answer in time"):
                await made.ask(a_request(timeout=BRIEFLY))
            await made.server.ended.get()

            assert await made.server.connections() == 0
            assert open_pairs() == before

    async def test_a_timeout_of_somebody_else_is_not_ours(self) -> None:
        """A TimeoutError of the block is the block's."""
        async with scene(greet) as made:
            with pytest.raises(TimeoutError, match="mine"):
                async with made.http.send(POD, PORT, a_request()):
                    raise TimeoutError("mine")

    async def test_cancellation(self) -> None:
        """It passes through, and nothing stays open: no task, no socket."""
        before = open_pairs()
        tasks = len(asyncio.all_tasks())
        async with scripted(swallow) as made:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(made.ask(a_request()))
                while not made.server.begun:
                    await LoopClock().sleep(timedelta(milliseconds=1))
                await LoopClock().sleep(timedelta(milliseconds=20))
                task.cancel()
            await made.server.ended.get()

            assert task.cancelled()
            assert await made.server.connections() == 0
            assert open_pairs() == before
        await LoopClock().sleep(timedelta(0))
        assert len(asyncio.all_tasks()) == tasks

    async def test_leaving_in_the_middle_of_a_body(self) -> None:
        """The pod is hung up on, and nothing stays open."""

        async def speak(one: Forwarding) -> None:
            await one.say(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                talking = group.create_task(talk(one))
                await swallow(one)
                talking.cancel()

        async def talk(one: Forwarding) -> None:
            while True:
                await one.say(b"x" * 65536)

        before = open_pairs()
        async with scripted(speak) as made:
            async with made.http.send(POD, PORT, a_request()) as response:
                assert response.status == 200
            await made.server.ended.get()

            assert await made.server.connections() == 0
            assert open_pairs() == before
