"""Tests of a member's process from within: who it is, where it listens, how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession
from structlog.testing import capture_logs

from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.sandbox.member.container import read_container
from smbpctl.sandbox.member.process import MemberProcess, identity_in
from smbpctl.sandbox.member.state import State
from test.support.containers import Kubelet

LOOPBACK = ("127.0.0.1", 0)


def state(root: Path, component: Component = Component.STORE) -> State:
    """Return the state of a member that has all it needs."""
    kubelet = Kubelet(root, component)
    kubelet.mount()
    container = read_container(kubelet.environment(), root)
    return State(container, identity_in(container, seeded_random(1)))


@dataclass
class Running:
    """A process that serves, the task it runs in, and who asks it."""

    process: MemberProcess
    status: asyncio.Task[int]
    session: ClientSession

    async def ask(self, method: str, path: str) -> tuple[int, str]:
        """Return status and text of one answer."""
        url = f"http://{self.process.addresses[0]}{path}"
        async with self.session.request(method, url) as response:
            return response.status, await response.text()


@asynccontextmanager
async def running(
    made: State, address: tuple[str | None, int] = LOOPBACK
) -> AsyncIterator[Running]:
    """Run a process until the block ends."""
    process = MemberProcess(made, clock=LoopClock(), address=address)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, ClientSession() as session:
        status = group.create_task(process.run())
        await process.wait_listening()
        yield Running(process, status, session)
        process.end(0)


async def test_a_store_member_answers_from_its_mounts(tmp_path: Path) -> None:
    """Ready as soon as it listens, by the topology it is in, with the identity of its data."""
    made = state(tmp_path)
    async with running(made) as run:
        await run.ask("POST", "/fake/commit?transactions=3")
        ready = await run.ask("GET", contract.PATH_READY)
        _, body = await run.ask("GET", contract.PATH_CLUSTER_VERSION)

    assert ready == (200, "ok")
    assert MemberReport.from_json(body) == MemberReport(made.server_id, 1, None, 3, 1)
    assert json.loads(body)["version"] == "1.64.0"


@pytest.mark.parametrize("component", [Component.API, Component.AUTH])
async def test_a_front_end_answers_too(tmp_path: Path, component: Component) -> None:
    """Health, version, and whatever is below its prefix; but never below that of the control."""
    async with running(state(tmp_path, component)) as run:
        ready = await run.ask("GET", contract.PATH_READY)
        version = await run.ask("GET", contract.PATH_CLUSTER_VERSION)
        client = await run.ask("POST", "/_ditto/auth/login")
        control = await run.ask("GET", "/fake/login")

    assert (ready[0], version[0], control[0]) == (200, 200, 404)
    assert json.loads(client[1])["component"] == component.value


async def test_a_topology_that_vanishes_for_a_while_harms_nobody(tmp_path: Path) -> None:
    """Live, not ready, no report; and all well again when it is back."""
    made = state(tmp_path)
    file = made.container.topology_file
    paths = (contract.PATH_LIVE, contract.PATH_READY, contract.PATH_CLUSTER_VERSION)
    async with running(made) as run:
        file.rename(tmp_path / "away")
        without = [(await run.ask("GET", path))[0] for path in paths]
        (tmp_path / "away").rename(file)
        again = [(await run.ask("GET", path))[0] for path in paths]

    assert without == [200, 503, 503]
    assert again == [200, 200, 200]


async def test_a_hanging_member_can_still_be_told_to_stop_it(tmp_path: Path) -> None:
    """The control answers whatever the behaviour, and what hung is cut off at the end."""
    async with running(state(tmp_path)) as run:
        async with run.session.put(
            f"http://{run.process.addresses[0]}/fake/behaviour", data='{"hangs": true}'
        ):
            pass
        async with asyncio.TaskGroup() as group:
            hung = group.create_task(hangs(run))
            while not run.process._answers.hanging:
                await LoopClock().sleep(timedelta(0))
            cured = await run.ask("DELETE", "/fake/behaviour")
            live = await run.ask("GET", contract.PATH_LIVE)
            run.process.end(0)

    assert (cured[0], live[0]) == (200, 200)
    assert hung.result()


async def hangs(run: Running) -> bool:
    """Tell whether a question is never answered."""
    try:
        await run.ask("GET", contract.PATH_LIVE)
    except ClientError:
        return True
    return False


@pytest.mark.parametrize("status", [0, 1, 137])
async def test_the_process_ends_as_it_was_told(tmp_path: Path, status: int) -> None:
    """The first status counts, the asker gets its answer, and nobody listens afterwards."""
    async with running(state(tmp_path)) as run:
        answered = await run.ask("POST", f"/fake/exit?status={status}")
        run.process.end(99)
        ended = await run.status
        with pytest.raises(ClientError):
            await run.ask("GET", contract.PATH_LIVE)

    assert answered[0] == 200
    assert ended == status


async def test_start_and_stop_are_told(tmp_path: Path) -> None:
    """Two lines by which a person knows who ran where, and how it ended."""
    made = state(tmp_path)
    with capture_logs() as lines:
        async with running(made) as run:
            run.process.end(3)

    assert lines == [
        {
            "event": "member started",
            "log_level": "info",
            "version": "1.64.0",
            "component": "store",
            "pod": "demo-store-0-1",
            "server_id": made.server_id,
            "addresses": run.process.addresses,
        },
        {"event": "member stopped", "log_level": "info", "status": 3},
    ]


async def test_it_listens_on_every_address(tmp_path: Path) -> None:
    """Probes and clients come over IPv4 or IPv6, whatever the cluster has."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]

    async with (
        running(state(tmp_path), (None, port)) as run,
        run.session.get(f"http://127.0.0.1:{port}/health/live") as response,
    ):
        over_ipv4 = response.status

    assert over_ipv4 == 200
    expected = {f"0.0.0.0:{port}"} | ({f"[::]:{port}"} if has_ipv6() else set())
    assert set(run.process.addresses) == expected


def has_ipv6() -> bool:
    """Tell whether this machine can listen over IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


async def test_an_address_that_the_machine_lacks_is_refused(tmp_path: Path) -> None:
    """Where no address is left to listen on, the line says which was wanted."""
    nowhere = MemberProcess(state(tmp_path), clock=LoopClock(), address=("192.0.2.1", 0))

    with pytest.raises(ConfigurationError, match=r"port 0 cannot be had: .*192\.0\.2\.1"):
        await nowhere.run()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_a_taken_port_is_refused(tmp_path: Path, host: str) -> None:
    """Half of the addresses will not do when somebody else answers on the other half."""
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        process = MemberProcess(state(tmp_path), clock=LoopClock(), address=(None, port))
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be had: .*in use"):
            await process.run()

    assert process.addresses == []


def test_who_a_member_is_follows_its_data(tmp_path: Path) -> None:
    """A store's member is its volume, a front-end is its pod."""
    made = state(tmp_path / "store")
    restarted = identity_in(made.container, seeded_random(2))
    (made.container.data_folder / "server-id").unlink()
    emptied = identity_in(made.container, seeded_random(3))
    fronts = [state(tmp_path / name, Component.API) for name in ("one", "two")]

    assert restarted == made.server_id != emptied
    assert fronts[0].server_id == identity_in(fronts[1].container, seeded_random(4))
    assert fronts[0].server_id not in (made.server_id, emptied)
