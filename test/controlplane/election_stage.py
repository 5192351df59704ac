"""Where processes compete for a real Lease: a proxy that records and stalls, and their diaries."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from smbpctl.runtime.clock import LoopClock, boottime
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport import HttpRequest, HttpTransport

ROOT = Path(__file__).parent.parent.parent
CLOCK = LoopClock()
LEASE, RENEW, RETRY = 5.0, 3.5, 0.5
SLACK = 3.0
BAD_GATEWAY = 502
"""What a busy machine may add to anything that is measured in the large."""


@dataclass
class Passage:
    """A mutating request on its way: when it began, when it was let go on, the answer."""

    request: str
    method: str
    path: str
    began: float
    forwarded: float = 0.0
    status: int = 0

    @property
    def writer(self) -> str:
        """Return whose request it is."""
        return self.request.partition("/")[0]


@dataclass
class Proxy:
    """Stands between writers and the API server, sees plain HTTP, and adds the credentials.

    What `holds` tells stays here until `release`. What `refuses` tells gets no answer: its
    connection is cut.
    """

    transport: HttpTransport
    group: asyncio.TaskGroup
    url: str = ""
    passages: list[Passage] = field(default_factory=list)
    holds: Callable[[Passage], bool] = lambda _: False
    refuses: Callable[[web.BaseRequest], bool] = lambda _: False
    held: list[Passage] = field(default_factory=list)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let go on what was held."""
        self._released.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass on one request and its answer; cancelled when the one who asked is gone."""
        began = boottime()
        body = await request.read()
        if self.refuses(request):
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=BAD_GATEWAY)
        if "watch=1" in request.query_string:
            return await self._stream(request)
        passage = Passage(request.headers.get("X-Request", ""), request.method, request.path, began)
        # What was sent arrives, whatever becomes of the one who sent it.
        sent = self.group.create_task(self._pass(request, body, passage))
        return await asyncio.shield(sent)

    async def _pass(
        self, request: web.BaseRequest, body: bytes, passage: Passage
    ) -> web.StreamResponse:
        if passage.request:
            self.passages.append(passage)
            if self.holds(passage):
                self.held.append(passage)
                await self._released.wait()
        passage.forwarded = boottime()
        asked = HttpRequest(
            request.method,
            request.path_qs,
            _kept(request),
            body or None,
            timeout=timedelta(seconds=30),
        )
        try:
            async with self.transport.send(asked) as answer:
                passage.status = answer.status
                kind = answer.headers.get("content-type", "text/plain")
                return web.Response(
                    status=answer.status, body=await answer.read(), headers={"Content-Type": kind}
                )
        except TransportError:
            # The server hung up: it does so with evictions that it tried until their time was over.
            passage.status = BAD_GATEWAY
            return web.Response(status=BAD_GATEWAY)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = HttpRequest(request.method, request.path_qs, _kept(request))
        async with self.transport.send(asked) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = "application/json"
            await response.prepare(request)
            async for chunk in answer.chunks():
                await response.write(chunk)
        return response


def _kept(request: web.BaseRequest) -> dict[str, str]:
    names = ("Accept", "Content-Type", "User-Agent")
    return {name: request.headers[name] for name in names if name in request.headers}


@asynccontextmanager
async def served(proxy: Proxy) -> AsyncGenerator[str]:
    """Serve the proxy on the loopback; the block gets the URL."""
    server = web.Server(proxy.handle, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(eq=False)
class Process:
    """A writer, and what it has told so far."""

    name: str
    process: asyncio.subprocess.Process
    told: list[dict[str, Any]] = field(default_factory=list)
    errors: str = ""

    def all(self, what: str) -> list[dict[str, Any]]:
        """Return everything it told of one sort."""
        return [each for each in self.told if each["what"] == what]

    async def until(self, what: str, seconds: float = 40.0) -> dict[str, Any]:
        """Wait until it tells something, and return that."""
        async with asyncio.timeout(seconds):
            while not (found := self.all(what)):
                await CLOCK.sleep(timedelta(milliseconds=20))
        return found[0]

    async def ended(self, seconds: float = 40.0) -> int:
        """Wait for its end and return its status."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def signal(self, number: signal.Signals) -> float:
        """Send a signal and return when."""
        self.process.send_signal(number)
        return boottime()


@dataclass
class Stage:
    """One namespace, one proxy, any number of processes."""

    namespace: str
    proxy: Proxy
    group: asyncio.TaskGroup
    processes: list[Process] = field(default_factory=list)

    async def start(self, name: str, *jobs: str, hang: float = 60.0) -> Process:
        """Start a writer and wait until it stands for election."""
        command = [
            *(sys.executable, "-m", "test.controlplane.election_writer", name),
            *("--server", self.proxy.url, "--namespace", self.namespace),
            *("--lease", str(LEASE), "--renew", str(RENEW), "--retry", str(RETRY)),
            *("--hang", str(hang), "--jobs", *jobs),
        ]
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=ROOT,
        )
        made = Process(name, process)
        self.processes.append(made)
        self.group.create_task(_listen(made))
        self.group.create_task(_collect(made))
        await made.until("started")
        return made

    async def end(self) -> None:
        """End every process."""
        self.proxy.release()
        for each in self.processes:
            if each.process.returncode is None:
                each.process.kill()
                await each.process.wait()


async def _listen(process: Process) -> None:
    assert process.process.stdout is not None
    async for line in process.process.stdout:
        process.told.append(json.loads(line))


async def _collect(process: Process) -> None:
    assert process.process.stderr is not None
    async for line in process.process.stderr:
        process.errors += line.decode(errors="replace")


@asynccontextmanager
async def stage(transport: HttpTransport, namespace: str) -> AsyncGenerator[Stage]:
    """Set up everything; no process outlives the block."""
    async with asyncio.TaskGroup() as group:
        proxy = Proxy(transport, group)
        async with served(proxy) as proxy.url:
            made = Stage(namespace, proxy, group)
            try:
                yield made
            finally:
                await made.end()
    await transport.close()


def assert_fenced(made: Stage, *, stopped: tuple[str, float, float] | None = None) -> None:
    """Every request of every process passed its fence, and began before its lease was over.

    `stopped` is a process that was stopped from a moment to another: what it had let pass at the
    first may begin at the second, and is the one exception.
    """
    passed = {each["request"]: each for process in made.processes for each in process.all("passed")}
    assert made.proxy.passages, "nobody wrote anything"
    for passage in made.proxy.passages:
        check = passed.get(passage.request)
        if check is None:  # its process was killed with the line in the pipe
            continue
        assert check["at"] < check["deadline"], f"{passage} passed a fence that was closed"
        if stopped and passage.writer == stopped[0] and check["at"] <= stopped[1] < passage.began:
            continue
        # The fence closes a second before the lease is over: so much may pass until we see it.
        assert passage.began < check["deadline"] + 1.0, f"{passage} began after {check}"
