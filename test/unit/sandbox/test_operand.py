"""Tests of the fake operand: over real HTTP it keeps the contract, or breaks it as it was told."""

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest

from smbpctl.operand import contract
from smbpctl.operand.client import AdminClient, MemberEndpoint
from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.operand.doors import DirectDoor
from smbpctl.operand.members import (
    Backfill,
    Configuration,
    MemberAddress,
    MemberReport,
    Topology,
    Unreachable,
)
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from smbpctl.runtime.simulation.agents import Health
from smbpctl.runtime.transport import HttpRequest, HttpTransport
from smbpctl.sandbox.operand import Behaviour, FakeOperand, component_of, topology_of

# Where an answer is expected, a busy machine may take its time.
TIMEOUT = timedelta(seconds=10)
IMPATIENCE = timedelta(milliseconds=100)


def configuration(config_id: int, partitions: int = 1) -> Configuration:
    """Return a configuration with one replica per partition."""
    members = tuple(MemberAddress(partition, 0, "m", 8080) for partition in range(partitions))
    return Configuration(config_id, partitions, 1, 1, members)


CURRENT = Topology(configuration(3))
TRANSITION = Topology(configuration(3), configuration(4, partitions=2))


def pod(
    uid: str = "uid-1", component: Component = Component.STORE, name: str = "demo-store-0-0"
) -> Manifest:
    """Return a pod of the operand, reduced to what the operand looks at."""
    operand = COMPONENTS[component]
    mount = {"name": "topology", "mountPath": contract.DIR_TOPOLOGY}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": uid,
            "labels": {"app.kubernetes.io/component": component.value},
        },
        "spec": {
            "containers": [{"name": operand.container, "volumeMounts": [mount]}],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "topology", "configMap": {"name": "demo-topology"}},
            ],
        },
    }


def at(address: str, name: str = "demo-store-0-0") -> MemberEndpoint:
    """Return the member that is asked at `host:port`."""
    host, _, port = address.rpartition(":")
    return MemberEndpoint(ObjectKey("ns", name), host, int(port))


class Topologies:
    """Satisfies `TopologyReader` with one ConfigMap."""

    def __init__(self) -> None:
        self.text: str | None = CURRENT.to_json()

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return the ConfigMap while there is a text."""
        if self.text is None or (gvk.kind, key) != ("ConfigMap", ObjectKey("ns", "demo-topology")):
            return None
        return {"data": {contract.TOPOLOGY_FILE: self.text}}


@dataclass
class Bench:
    """A fake operand and a client that asks it over HTTP."""

    operand: FakeOperand
    topologies: Topologies
    transport: HttpTransport
    admin: AdminClient

    async def report(self, manifest: Manifest) -> MemberReport | Unreachable:
        """Ask a started pod as the operator does."""
        key = ObjectKey("ns", manifest["metadata"]["name"])
        return await self.admin.report(at(self.operand.endpoints()[key], key.name))

    async def member(self, manifest: Manifest) -> MemberReport:
        """Ask a started pod that must answer."""
        report = await self.report(manifest)
        assert isinstance(report, MemberReport), report
        return report

    async def status(self, address: str, path: str) -> tuple[int, bytes]:
        """Get a path."""
        request = HttpRequest("GET", f"http://{address}{path}", timeout=timedelta(seconds=5))
        async with self.transport.send(request) as response:
            return response.status, await response.read()


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Start a fake operand without pods; stop what the test leaves."""
    topologies = Topologies()
    operand = FakeOperand(topologies, random=seeded_random(7))
    transport = HttpTransport()
    admin = AdminClient(DirectDoor(transport), clock=LoopClock(), timeout=TIMEOUT)
    try:
        yield Bench(operand, topologies, transport, admin)
    finally:
        await transport.close()
        await operand.close()


async def test_a_member_reports_what_its_topology_says() -> None:
    """A healthy member is as far as the log and has read the topology that it mounts."""
    async with bench() as made:
        made.operand.commit(41)
        made.operand.commit()
        await made.operand.start(pod())

        report = await made.member(pod())

    assert (report.config_id, report.next_config_id, report.routing_config_id) == (3, None, 3)
    assert (report.ust, report.backfill) == (42, Backfill.NONE)


async def test_a_changed_topology_is_seen_without_a_restart() -> None:
    """Members read the file anew: a published next configuration is taken up and routed by."""
    async with bench() as made:
        await made.operand.start(pod())
        made.topologies.text = TRANSITION.to_json()

        report = await made.member(pod())

    assert (report.next_config_id, report.routing_config_id) == (4, 4)
    assert report.backfill is Backfill.DONE


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(ust=0), Behaviour(backfill=Backfill.RUNNING), Behaviour(backfill=Backfill.FAILED)],
)
async def test_a_member_that_is_behind_does_not_route_with_next(behaviour: Behaviour) -> None:
    """Held back, backfilling or failed: the member stays with the current configuration."""
    async with bench() as made:
        made.operand.commit(9)
        made.topologies.text = TRANSITION.to_json()
        await made.operand.start(pod())
        made.operand.behave("*", behaviour)

        report = await made.member(pod())

    assert report.routing_config_id == 3


async def test_each_pod_has_its_own_address_and_server_id() -> None:
    """Pods differ by loopback address and server id; the id follows the pod's UID."""
    one, two, renewed = pod("a", name="one"), pod("b", name="two"), pod("c", name="one")
    async with bench() as made:
        addresses = {await made.operand.start(each) for each in (one, two)}
        ids = [(await made.member(each)).server_id for each in (one, two)]
        again = (await made.member(one)).server_id
        await made.operand.stop(one)
        await made.operand.start(renewed)
        ids.append((await made.member(renewed)).server_id)

    assert len(addresses) == 2
    assert all(ip_address(each) in ip_network("127.0.0.0/8") for each in addresses)
    assert len(set(ids)) == 3
    assert again == ids[0]


@pytest.mark.parametrize("component", list(Component))
async def test_every_component_answers_on_its_port(component: Component) -> None:
    """Health, metrics and version are served on the port that the contract names."""
    async with bench() as made:
        address = await made.operand.start(pod(component=component))
        endpoint = f"{address}:{COMPONENTS[component].port}"

        live = await made.status(endpoint, contract.PATH_LIVE)
        ready = await made.status(endpoint, contract.PATH_READY)
        metrics = await made.status(endpoint, contract.PATH_METRICS)
        version = await made.status(endpoint, contract.PATH_CLUSTER_VERSION)

    assert (live[0], ready[0], metrics[0], version[0]) == (200, 200, 200, 200)
    assert b"hydra_kafka_consumer_lag" in metrics[1]
    assert set(json.loads(version[1])) == {
        *("serverId", "configId", "nextConfigId", "ust", "routingConfigId", "backfill")
    }


async def test_a_front_end_says_which_pod_answers() -> None:
    """What reaches a front-end is answered with the pod's name; the store serves no clients."""
    async with bench() as made:
        front_end = await made.operand.start(pod("a", Component.AUTH, "demo-auth-server-x"))
        store = await made.operand.start(pod("b"))

        answered = await made.status(f"{front_end}:7070", "/_ditto/auth/login")
        refused = await made.status(f"{store}:8080", "/_ditto/auth/login")

    assert json.loads(answered[1]) == {
        "component": "auth-server",
        "pod": "demo-auth-server-x",
        "path": "/_ditto/auth/login",
    }
    assert refused[0] == 404


async def test_an_unready_member_says_so_on_its_probe() -> None:
    """Unready is a failed readiness probe; the process lives and reports."""
    async with bench() as made:
        address = await made.operand.start(pod())
        made.operand.behave("ns/demo-store-*", Behaviour(ready=False))

        live, _ = await made.status(f"{address}:8080", contract.PATH_LIVE)
        ready, _ = await made.status(f"{address}:8080", contract.PATH_READY)

        assert (live, ready) == (200, 503)
        assert await made.operand.health(pod()) is Health.UNREADY
        assert isinstance(await made.report(pod()), MemberReport)


async def test_a_hanging_member_answers_nobody() -> None:
    """A hanging member is unreachable to the operator and unready to probes."""
    async with bench() as made:
        await made.operand.start(pod())
        made.operand.behave("*", Behaviour(hangs=True))
        impatient = AdminClient(DirectDoor(made.transport), clock=LoopClock(), timeout=IMPATIENCE)
        (endpoint,) = made.operand.endpoints().values()

        report = await impatient.report(at(endpoint))
        health = await made.operand.health(pod())

    assert isinstance(report, Unreachable)
    assert health is Health.UNREADY


async def test_a_hanging_member_can_be_stopped() -> None:
    """The stop cuts off whoever still waits for an answer, long before its own patience ends."""
    async with bench() as made:
        await made.operand.start(pod())
        made.operand.behave("*", Behaviour(hangs=True))
        patient = AdminClient(
            DirectDoor(made.transport), clock=LoopClock(), timeout=timedelta(minutes=5)
        )
        (endpoint,) = made.operand.endpoints().values()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(patient.report(at(endpoint)))
            while not made.operand.hanging:
                await LoopClock().sleep(timedelta(0))
            await made.operand.stop(pod())

    assert isinstance(waiting.result(), Unreachable)


@pytest.mark.parametrize(
    ("behaviour", "field", "expected"),
    [
        (Behaviour(server_id="wrong"), "server_id", "wrong"),
        (Behaviour(config_id=9), "config_id", 9),
        (Behaviour(next_config_id=9), "next_config_id", 9),
        (Behaviour(routing_config_id=9), "routing_config_id", 9),
        (Behaviour(ust=1), "ust", 1),
        (Behaviour(backfill=Backfill.FAILED), "backfill", Backfill.FAILED),
    ],
)
async def test_a_member_lies_as_it_was_told(
    behaviour: Behaviour, field: str, expected: Any
) -> None:
    """Every part of the report can be made wrong, and is true again afterwards."""
    async with bench() as made:
        made.operand.commit(5)
        await made.operand.start(pod())
        truth = await made.member(pod())
        made.operand.behave("*", behaviour)
        told = await made.member(pod())
        made.operand.behave_well()

        assert getattr(told, field) == expected
        assert getattr(truth, field) != expected
        assert await made.member(pod()) == truth


async def test_a_member_that_answers_nonsense_is_unreachable() -> None:
    """A body that is no report reaches the operator as it is."""
    async with bench() as made:
        await made.operand.start(pod())
        made.operand.behave("*", Behaviour(body=b"{}"))

        report = await made.report(pod())

    assert isinstance(report, Unreachable)
    assert "serverId" in report.reason


@pytest.mark.parametrize("text", [None, "{", '{"current": null}'])
async def test_a_member_without_topology_does_not_report(text: str | None) -> None:
    """A missing or damaged topology is an error of the member, not an invented answer."""
    async with bench() as made:
        made.topologies.text = text
        await made.operand.start(pod())

        report = await made.report(pod())

    assert report == Unreachable("/cluster_version answered HTTP 503")


async def test_behaviours_go_by_pattern_and_the_last_counts() -> None:
    """A pattern concerns the pods it matches; a later one overrides an earlier one."""
    one, two = pod("a", name="one"), pod("b", name="two")
    async with bench() as made:
        await made.operand.start(one)
        await made.operand.start(two)
        made.operand.behave("ns/*", Behaviour(ust=1))
        made.operand.behave("ns/two", Behaviour(ust=2))
        made.operand.behave("other/*", Behaviour(ust=3))

        reports = [await made.member(each) for each in (one, two)]

    assert [report.ust for report in reports] == [1, 2]


async def test_health_follows_the_process() -> None:
    """Not started or stopped is exited, started is ready, crashing is exited again."""
    async with bench() as made:
        before = await made.operand.health(pod())
        await made.operand.start(pod())
        running = await made.operand.health(pod())
        made.operand.behave("*", Behaviour(crashes=True))
        crashed = await made.operand.health(pod())
        made.operand.behave_well()
        await made.operand.stop(pod())
        await made.operand.stop(pod())
        after = await made.operand.health(pod())

    assert (before, running, crashed, after) == (
        *(Health.EXITED, Health.READY, Health.EXITED, Health.EXITED),
    )


async def test_a_stopped_member_refuses_connections() -> None:
    """After the stop nobody listens any more."""
    async with bench() as made:
        address = await made.operand.start(pod())
        await made.operand.stop(pod())

        report = await made.admin.report(at(f"{address}:8080"))

        assert isinstance(report, Unreachable)
        assert made.operand.endpoints() == {}


async def test_a_restarted_pod_listens_once() -> None:
    """Starting a pod again replaces its listener instead of leaking it."""
    async with bench() as made:
        first = await made.operand.start(pod())
        second = await made.operand.start(pod())

        old = await made.admin.report(at(f"{first}:8080"))
        new = await made.admin.report(at(f"{second}:8080"))

    assert isinstance(old, Unreachable)
    assert isinstance(new, MemberReport)


async def test_a_taken_address_is_passed_over() -> None:
    """Where somebody listens already, the next address is tried."""
    async with bench() as made:
        wanted = await made.operand.start(pod())
        await made.operand.stop(pod())
        with socket.create_server((wanted, 8080)):
            # The same seed tries the same addresses in the same order.
            another = FakeOperand(Topologies(), random=seeded_random(7))
            given = await another.start(pod())
            await another.close()

    assert given != wanted


async def test_a_port_that_nobody_may_have_is_an_error() -> None:
    """When every address is taken, the error says which port, and nothing is left listening."""
    network = IPv4Network("127.63.255.4/30")
    operand = FakeOperand(Topologies(), random=seeded_random(7), network=network)

    with ExitStack() as stack:
        for host in network.hosts():
            stack.enter_context(socket.create_server((str(host), 8080)))
        with pytest.raises(OSError, match="port 8080") as caught:
            await operand.start(pod())

    assert caught.value.errno == errno.EADDRINUSE
    assert operand.endpoints() == {}


async def test_other_pods_are_somebody_elses() -> None:
    """A pod that is not of the operand runs idle: it has an address, and listens nowhere."""
    stranger = pod(name="kafka-0")
    stranger["metadata"]["labels"] = {"app.kubernetes.io/component": "kafka"}
    async with bench() as made:
        address = await made.operand.start(stranger)

        assert ip_address(address) not in ip_network("127.0.0.0/8")
        assert await made.operand.health(stranger) is Health.READY
        assert made.operand.endpoints() == {}
        await made.operand.stop(stranger)
        assert await made.operand.health(stranger) is Health.EXITED


@pytest.mark.parametrize("component", list(Component))
def test_pods_are_recognised_by_label_and_container(component: Component) -> None:
    """Both must fit: the label alone, or the container alone, could be anybody's."""
    own = pod(component=component)
    unlabelled = pod(component=component)
    del unlabelled["metadata"]["labels"]
    renamed = pod(component=component)
    renamed["spec"]["containers"][0]["name"] = "sidecar"

    assert component_of(own) is component
    assert component_of(unlabelled) is None
    assert component_of(renamed) is None


def test_the_topology_is_found_by_its_mount() -> None:
    """Whatever the volume is called, it is the ConfigMap mounted at the topology folder."""
    renamed = pod()
    renamed["spec"]["containers"][0]["volumeMounts"][0]["name"] = "t"
    renamed["spec"]["volumes"][1] = {"name": "t", "configMap": {"name": "other"}}
    unmounted = pod()
    unmounted["spec"]["containers"][0]["volumeMounts"] = []

    assert topology_of(pod()) == "demo-topology"
    assert topology_of(renamed) == "other"
    with pytest.raises(LookupError, match=contract.DIR_TOPOLOGY):
        topology_of(unmounted)
