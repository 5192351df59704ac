"""A small process that wants to lead, and writes through the fence as long as it does.

Run as a program by test_leader_election. It tells what happens as lines of JSON on standard output,
each with the machine's time; every check of the fence that let a request pass is told before that
request's first byte. It ends with status 0 after SIGTERM and a hand-over, with 3 after a loss.
SIGUSR1 makes its main loop hang.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import LoopClock, boottime
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import ApiStatusError, LeadershipLost, TransportError
from smbpctl.runtime.leader import Elector, LeaderElection
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, uid_of
from smbpctl.runtime.transport import ClusterConfig, HttpRequest, HttpResponse, HttpTransport

CLOCK = LoopClock()
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
POD = GroupVersionKind("", "v1", "Pod")
OWNER = "test/writer"
PERIOD = timedelta(milliseconds=50)
LOST = 3


def say(what: str, **facts: Any) -> None:
    """Tell the test; one system call a line, so that nothing is torn apart."""
    line = json.dumps({"what": what, "at": boottime(), **facts}) + "\n"
    os.write(1, line.encode())


class FencedTransport:
    """A transport whose mutating requests pass the fence, directly before their first byte."""

    def __init__(self, transport: HttpTransport, elector: Elector) -> None:
        self._transport = transport
        self._elector = elector
        self._numbers = itertools.count()

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncGenerator[HttpResponse]:
        if request.method != "GET":
            number = f"{self._elector.identity}/{next(self._numbers)}"
            headers = {**request.headers, "X-Request": number}

            def check() -> None:
                fence = self._elector.fence
                fence.check()
                deadline = boottime() + fence.allowance().total_seconds()
                say("passed", request=number, deadline=deadline, term=fence.term)

            request = replace(request, headers=headers, before_send=check)
        async with self._transport.send(request) as response:
            yield response

    async def close(self) -> None:
        await self._transport.close()


class Writer:
    """The work of a leader."""

    def __init__(self, client: Client, elector: Elector, namespace: str) -> None:
        self._client = client
        self._elector = elector
        self._namespace = namespace

    async def keep_state(self) -> None:
        """Apply the same object again and again: late, such a write does harm for a moment only."""
        while True:
            term = str(self._elector.fence.term)
            await self._attempt("apply", self._apply("state", term))
            await CLOCK.sleep(PERIOD)

    async def claim(self) -> None:
        """Touch what may be deleted, as a new leader does that reconciles everything once."""
        term = str(self._elector.fence.term)
        await self._attempt("claim", self._apply("victim", term))
        key = ObjectKey(self._namespace, "victim")
        pod = await self._client.get(POD, key)
        if pod is not None:
            await self._attempt("replace", self._replace(pod))
        say("claimed")

    async def destroy(self) -> None:
        """Delete the one object and evict the other, just as they are now."""
        key = ObjectKey(self._namespace, "victim")
        victim, pod = await self._client.get(CONFIG_MAP, key), await self._client.get(POD, key)
        assert victim is not None
        assert pod is not None
        version = victim["metadata"]["resourceVersion"]
        async with asyncio.TaskGroup() as group:
            deletion = self._client.delete(
                CONFIG_MAP, key, uid=uid_of(victim), resource_version=version
            )
            group.create_task(self._attempt("delete", deletion))
            eviction = self._client.evict(key, uid=uid_of(pod))
            group.create_task(self._attempt("evict", eviction))

    async def _apply(self, name: str, term: str) -> Manifest:
        return await self._client.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": self._namespace},
                "data": {"term": term},
            },
            field_owner=OWNER,
            force=True,
        )

    async def _replace(self, pod: Manifest) -> None:
        key = ObjectKey(self._namespace, "victim")
        await self._client.delete(POD, key, uid=uid_of(pod), grace_period=timedelta(0))
        spec = {"containers": [{"name": "x", "image": "x"}], "schedulerName": "none"}
        metadata = {"name": key.name, "namespace": key.namespace}
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        await self._client.create(made, field_owner=OWNER)

    async def _attempt(self, what: str, write: Any) -> None:
        try:
            await write
        except LeadershipLost:
            say("fenced", write=what)
        except (ApiStatusError, TransportError) as error:
            say("failed", write=what, error=str(error))


async def work(writer: Writer, jobs: list[str]) -> None:
    """Do the jobs of a leader, all at the same time, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(getattr(writer, job)())


def hang(seconds: float) -> None:
    """Let the main loop hang, as a reconciler does that computes without end."""
    say("hangs")
    time.sleep(seconds)
    say("hung")


async def lead(elector: Elector, writer: Writer, jobs: list[str], stop: asyncio.Event) -> int:
    """Lead once, and hand over in good order."""
    async with asyncio.TaskGroup() as group:
        campaign = group.create_task(_campaign(elector))
        stopping = group.create_task(stop.wait())
        elected = group.create_task(elector.elected())
        await asyncio.wait({elected, stopping, campaign}, return_when=asyncio.FIRST_COMPLETED)
        if elected.done():
            say("elected", term=elected.result())
            working = group.create_task(work(writer, jobs))
            losing = group.create_task(elector.lost())
            await asyncio.wait({losing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            losing.cancel()
            say("worked")
        elected.cancel()
        stopping.cancel()
        await elector.release()
        return LOST if await campaign else 0


async def _campaign(elector: Elector) -> str:
    try:
        await elector.run()
    except LeadershipLost as error:
        say("lost", reason=str(error))
        return str(error)
    say("released")
    return ""


async def main(arguments: argparse.Namespace) -> int:
    """Run one process."""
    config = ClusterConfig(server=arguments.server)
    settings = LeaderElection(
        lease_name="writer",
        namespace=arguments.namespace,
        lease_duration=timedelta(seconds=arguments.lease),
        renew_deadline=timedelta(seconds=arguments.renew),
        retry_period=timedelta(seconds=arguments.retry),
    )
    elector = Elector(
        settings,
        lambda: HttpTransport(config, user_agent=f"{arguments.name}-lease"),
        identity=arguments.name,
    )
    transport = FencedTransport(HttpTransport(config, user_agent=arguments.name), elector)
    client = Client(transport, Discovery(transport, clock=CLOCK), call_timeout=timedelta(seconds=5))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, hang, arguments.hang)
    writer = Writer(client, elector, arguments.namespace)
    # What a standby has warm: discovery and connections.
    await client.get(CONFIG_MAP, ObjectKey(arguments.namespace, "victim"))
    await client.get(POD, ObjectKey(arguments.namespace, "victim"))
    say("started")
    try:
        return await lead(elector, writer, arguments.jobs, stop)
    finally:
        await transport.close()


def parse() -> argparse.Namespace:
    """Return what the test asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--server", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--lease", type=float, required=True)
    parser.add_argument("--renew", type=float, required=True)
    parser.add_argument("--retry", type=float, required=True)
    parser.add_argument("--hang", type=float, default=60)
    parser.add_argument("--jobs", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    # Standard output is for what the test reads.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sys.exit(asyncio.run(main(parse())))
