"""Processes compete for one Lease on a real API server, and are stopped, killed and stalled."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1

import pytest
import yaml
from aiohttp import web

from smbpctl.app import leader_election
from smbpctl.resources.permissions import NAME, operator_permissions
from smbpctl.runtime.clock import LoopClock, boottime
from smbpctl.runtime.leader import Elector, leader_or_standby
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import HttpTransport, load_config
from smbpctl.settings import Settings
from test.controlplane.election_stage import (
    BAD_GATEWAY,
    LEASE,
    RENEW,
    RETRY,
    SLACK,
    Process,
    Stage,
    assert_fenced,
    stage,
)
from test.controlplane.election_writer import LOST

# Leases of a few seconds: a machine that is busy with other tests loses them.
pytestmark = pytest.mark.quiet

# On no node: the controllers take away what is bound to a node that does not exist.
POD = """
apiVersion: v1
kind: Pod
metadata: {name: victim}
spec: {schedulerName: none, containers: [{name: x, image: x}]}
"""


@asynccontextmanager
async def prepared(control_plane: ControlPlane, namespace: str) -> AsyncGenerator[Stage]:
    """Set up a stage, and on it a ConfigMap and a Pod that may be destroyed."""
    kubectl = control_plane.kubectl
    kubectl("--namespace", namespace, "create", "configmap", "victim")
    kubectl("--namespace", namespace, "create", "--filename=-", stdin=POD)
    config = await load_config(control_plane.kubeconfig)
    async with stage(HttpTransport(config, connections=1000), namespace) as ready:
        yield ready


async def pause(seconds: float) -> None:
    """Let time pass."""
    await LoopClock().sleep(timedelta(seconds=seconds))


async def two(made: Stage, *jobs: str, hang: float = 60.0) -> tuple[Process, Process]:
    """Start a leader that does these jobs, and a standby that keeps the state."""
    leader = await made.start("one", *jobs, hang=hang)
    await leader.until("elected")
    standby = await made.start("two", "keep_state")
    return leader, standby


def moments(made: Stage, writer: str) -> list[float]:
    """Return when the writes of a process began, as the proxy saw them."""
    return [each.began for each in made.proxy.passages if each.writer == writer]


async def state(control_plane: ControlPlane, namespace: str) -> str:
    """Return which term wrote the state last."""
    arguments = ("get", "configmap", "state", "--output=jsonpath={.data.term}")
    said = await asyncio.to_thread(control_plane.kubectl, "--namespace", namespace, *arguments)
    return said.stdout


class TestHandOver:
    async def test_a_leader_that_stops_hands_over_at_once(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Its work ends, then the Lease is let go of, then the other one writes: within 3 s."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            asked = one.signal(SIGTERM)
            elected = await two_.until("elected")
            status = await one.ended()
            worked = await one.until("worked")
            await _until_writes(made, "two")

            assert status == 0
            assert elected["at"] - asked < 3.0
            assert min(moments(made, "two")) - asked < 3.0
            assert max(moments(made, "one")) < worked["at"] < elected["at"]
            assert (elected["term"], one.all("elected")[0]["term"]) == (1, 0)
            assert_fenced(made)

    async def test_three_take_turns(self, control_plane: ControlPlane, namespace: str) -> None:
        """Each term has the next number, and no two overlap."""
        async with prepared(control_plane, namespace) as made:
            one = await made.start("one", "keep_state")
            await one.until("elected")
            others = [await made.start(name, "keep_state") for name in ("two", "three")]

            one.signal(SIGTERM)
            done, _ = await asyncio.wait(
                [asyncio.ensure_future(each.until("elected")) for each in others],
                return_when=asyncio.FIRST_COMPLETED,
            )
            second = next(each for each in others if each.all("elected"))
            (third,) = (each for each in others if each is not second)
            second.signal(SIGTERM)
            await third.until("elected")

            terms = [each.all("elected")[0]["term"] for each in (one, second, third)]
            assert len(done) == 1
            assert terms == [0, 1, 2]
            assert second.all("worked")[0]["at"] < third.all("elected")[0]["at"]
            assert_fenced(made)


class TestKilled:
    async def test_a_killed_leader_is_replaced(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Not before its lease is over, and soon after."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            killed = one.signal(SIGKILL)
            elected = await two_.until("elected")

            waited = elected["at"] - killed
            # It renewed for the last time at most one retry period before it was killed.
            assert LEASE - RETRY - 0.3 < waited < LEASE + 1.2 * RETRY + SLACK
            assert max(moments(made, "one")) < elected["at"]
            assert_fenced(made)


class TestStopped:
    async def test_a_stopped_process_writes_nothing_when_it_goes_on(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """SIGSTOP beyond the lease: the other one leads; the first finds its fence closed."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            stopped = one.signal(SIGSTOP)
            await two_.until("elected")
            await pause(1)
            going_on = one.signal(SIGCONT)
            status = await one.ended()

            late = [each for each in moments(made, "one") if each >= going_on]
            assert status == LOST
            # At most what had passed the fence at the very moment of the stop.
            assert len(late) <= 1
            assert_fenced(made, stopped=("one", stopped, going_on))
            assert two_.process.returncode is None

    async def test_a_short_stop_costs_nothing(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Shorter than the renew deadline: the same process leads on in the same term."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            stopped = one.signal(SIGSTOP)
            await pause(RENEW / 3)
            going_on = one.signal(SIGCONT)
            await _until_writes(made, "one", after=going_on + 1)

            assert two_.all("elected") == []
            assert one.all("lost") == []
            assert_fenced(made, stopped=("one", stopped, going_on))

    async def test_a_main_loop_that_hangs_ends_its_process(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Renewing stops, the stack is shown, the process exits; the other one leads."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            one.signal(SIGUSR1)
            hangs = await one.until("hangs")
            status = await one.ended()
            ended = boottime()
            elected = await two_.until("elected")

            assert status == 1
            assert ended - hangs["at"] < 2 * RENEW + LEASE + SLACK
            assert max(moments(made, "one")) <= hangs["at"] + 0.1
            assert elected["at"] - hangs["at"] > LEASE - RETRY
            assert "main loop hangs, the lease is not renewed" in one.errors
            assert "in hang" in one.errors
            assert "exiting: leadership was lost" in one.errors
            assert_fenced(made)


class TestCutOff:
    async def test_without_its_lease_a_leader_stops_writing(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """The way for writes is open all the time; only renewing fails."""
        async with prepared(control_plane, namespace) as made:
            one, two_ = await two(made, "keep_state")
            await pause(1)

            cut = boottime()
            made.proxy.refuses = _leases_of("one")
            status = await one.ended()
            elected = await two_.until("elected")
            await _until_writes(made, "two")

            lost = await one.until("lost")
            assert status == LOST
            assert lost["at"] - cut < RENEW + SLACK
            assert max(moments(made, "one")) < elected["at"]
            assert elected["at"] - cut < LEASE + 1.2 * RETRY + SLACK
            assert_fenced(made)


def _leases_of(name: str) -> Callable[[web.BaseRequest], bool]:
    def refuses(request: web.BaseRequest) -> bool:
        return request.headers.get("User-Agent") == f"{name}-lease"

    return refuses


class TestLateWrites:
    """What no fence can stop: it passed in time, and arrives when another one leads."""

    async def test_destruction_that_arrives_late_is_refused(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """A deletion and an eviction name the object they mean: the new leader's is another."""
        async with prepared(control_plane, namespace) as made:
            made.proxy.holds = lambda passage: (
                passage.writer == "one"
                and (passage.method == "DELETE" or passage.path.endswith("/eviction"))
            )
            one = await made.start("one", "destroy")
            await _until(lambda: len(made.proxy.held) == 2)
            two_ = await made.start("two", "claim")
            one.signal(SIGKILL)
            await two_.until("claimed")

            made.proxy.release()
            await _until(lambda: all(each.status for each in made.proxy.held))

            answers = {each.method: each.status for each in made.proxy.held}
            kubectl, template = control_plane.kubectl, "{.items[*].metadata.deletionTimestamp}"
            left = kubectl("--namespace", made.namespace, "get", "configmap/victim", "pod/victim")
            leaving = kubectl(
                *("--namespace", made.namespace, "get", "configmap/victim", "pod/victim"),
                f"--output=jsonpath={template}",
            )

            assert answers["DELETE"] == 409
            # The server tries an eviction that conflicts again and again until its time is over;
            # then it says so, or hangs up.
            assert answers["POST"] in {409, 504, BAD_GATEWAY}
            assert left.stdout.count("victim") == 2
            assert leaving.stdout.strip() == ""
            assert two_.all("failed") == []
            assert_fenced(made)

    async def test_an_apply_that_arrives_late_is_repaired(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """It is executed, for nothing tells the server that it is late; the next one undoes it."""
        async with prepared(control_plane, namespace) as made:
            one = await made.start("one", "keep_state")
            await _until_writes(made, "one")
            two_ = await made.start("two", "keep_state")
            made.proxy.holds = lambda passage: passage.writer == "one"
            await _until(lambda: len(made.proxy.held) == 1)
            one.signal(SIGKILL)
            elected = await two_.until("elected")
            await _until_writes(made, "two")

            made.proxy.release()
            await _until(lambda: made.proxy.held[0].status > 0)
            executed = boottime()
            await _until_writes(made, "two", after=executed)
            await _until_writes(made, "two", after=boottime() + 0.5)

            late = [
                each
                for each in made.proxy.passages
                if each.writer == "one" and each.forwarded > elected["at"]
            ]
            assert [each.status for each in late] == [200]
            assert await state(control_plane, made.namespace) == "1"
            assert_fenced(made)


class TestRights:
    async def test_the_operators_own_rights_suffice(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """To hold the Lease, and to watch it: only so is a hand-over quicker than the polling."""
        objects = operator_permissions([], namespace)[1:]
        manifests = yaml.safe_dump_all(each for each in objects if "Cluster" not in each["kind"])
        control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=manifests)
        config = await load_config(control_plane.service_account_kubeconfig(namespace, NAME))
        election = leader_election(Settings(leader_elect=True, operator_namespace=namespace))
        assert election is not None
        one, two_ = (Elector(election, lambda: HttpTransport(config)) for _ in range(2))

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(one.run())
            await one.elected()
            group.create_task(two_.run())
            await _until(lambda: two_.standing is not None and two_.standing.holder != "")
            ready = leader_or_standby(two_)()
            # The standby's watch may take a moment to open after its first look.
            await pause(1)
            asked = boottime()
            await one.release()
            await two_.elected()
            took = boottime() - asked
            two_.fence.check()
            await two_.release()

        assert ready is None
        assert took < 3.0


async def _until_writes(made: Stage, writer: str, after: float = 0.0) -> None:
    """Wait for a write of a process that was executed."""
    await _until(
        lambda: any(
            each.writer == writer and each.began > after and 200 <= each.status < 300
            for each in made.proxy.passages
        )
    )


async def _until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not check():
            await pause(0.02)
