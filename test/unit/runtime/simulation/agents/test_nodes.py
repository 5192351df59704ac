"""Tests of the nodes: registered once, kept alive by leases, mended, and let go when deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import ServerError
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from smbpctl.runtime.simulation.agents.nodes import (
    NODE,
    Machine,
    Nodes,
    lease_manifest,
    machines,
    node_manifest,
    node_status,
)
from smbpctl.runtime.simulation.agents.pod_status import conditions_of
from test.support.virtual_time import run_virtual
from test.unit.runtime.simulation.agents.builders import FakeCluster

NOW = datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)
MACHINE = Machine("node-0", "10.240.0.1", "zone-a")
LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")
HEARTBEAT = timedelta(seconds=10)


def test_machines_are_spread_over_zones() -> None:
    """Names and addresses are unique, zones are taken in turn."""
    made = machines(4, prefix="n", zones=("a", "b", "c"))

    assert [machine.name for machine in made] == ["n-0", "n-1", "n-2", "n-3"]
    assert [machine.zone for machine in made] == ["a", "b", "c", "a"]
    assert len({machine.address for machine in made}) == 4


@pytest.mark.parametrize("count", [0, 251])
def test_senseless_counts_are_refused(count: int) -> None:
    """No nodes make no cluster, and their addresses have one changing byte."""
    with pytest.raises(ValueError, match="between 1 and 250"):
        machines(count, prefix="n", zones=("a",))


def test_a_node_carries_the_labels_that_schedulers_use() -> None:
    """Zone and host name are labels, so that spreading and affinity work."""
    labels = node_manifest(MACHINE)["metadata"]["labels"]

    assert labels["topology.kubernetes.io/zone"] == "zone-a"
    assert labels["kubernetes.io/hostname"] == "node-0"


def test_a_healthy_node_is_ready_without_pressure() -> None:
    """Only Ready is true; capacity and allocatable are told, or nothing could be scheduled."""
    status = node_status(MACHINE, {}, NOW, "v1.36.3")

    told = {kind: item["status"] for kind, item in conditions_of({"status": status}).items()}
    assert told.pop("Ready") == "True"
    assert set(told.values()) == {"False"}
    assert status["capacity"]["pods"] == status["allocatable"]["pods"] == "250"
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3"


def test_a_lease_belongs_to_its_node_and_tells_microseconds() -> None:
    """The lease goes with the node; its time has the precision that the API asks for."""
    node = {"metadata": {"uid": "u"}}

    lease = lease_manifest(MACHINE, node, NOW, timedelta(seconds=40))

    assert lease["metadata"]["namespace"] == "kube-node-lease"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert lease["spec"] == {
        "holderIdentity": "node-0",
        "leaseDurationSeconds": 40,
        "renewTime": "2026-01-01T12:30:15.250000Z",
    }


Scenario = Callable[[FakeCluster, Nodes], Awaitable[None]]


def beating(cluster: FakeCluster, scenario: Scenario) -> None:
    """Run the nodes beside a scenario."""

    async def main() -> None:
        clock = LoopClock()
        nodes = Nodes(
            machines(2, prefix="node", zones=("a",)),
            client=cluster,
            clock=clock,
            heartbeat=HEARTBEAT,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(nodes.run("v1.36.3"))
            await scenario(cluster, nodes)
            task.cancel()

    run_virtual(main())


async def pass_time(seconds: float) -> None:
    """Let virtual time pass."""
    await LoopClock().sleep(timedelta(seconds=seconds))


def ready(cluster: FakeCluster, name: str) -> str:
    """Return the status of a node's Ready condition."""
    node = cluster.objects[NODE, ObjectKey("", name)]
    return str(conditions_of(node)["Ready"]["status"])


def test_nodes_register_and_beat() -> None:
    """Each node is registered with status and lease at once; then only leases are written."""

    async def scenario(cluster: FakeCluster, nodes: Nodes) -> None:
        await pass_time(1)
        assert sorted(cluster.verbs()) == sorted(
            ["apply Node", "apply Node/status", "apply Lease"] * 2
        )
        cluster.writes.clear()
        await pass_time(30)
        assert cluster.verbs() == ["apply Lease"] * 6

    beating(FakeCluster(), scenario)


def test_a_node_marked_unreachable_is_reported_ready_again() -> None:
    """What the control plane concluded from silence is mended at the next beat."""

    async def scenario(cluster: FakeCluster, nodes: Nodes) -> None:
        await pass_time(1)
        node = cluster.objects[NODE, ObjectKey("", "node-1")]
        for condition in node["status"]["conditions"]:
            condition["status"] = "Unknown"
        await pass_time(10)
        assert ready(cluster, "node-1") == "True"

    beating(FakeCluster(), scenario)


def test_a_deleted_node_is_not_registered_again() -> None:
    """Somebody removed the machine: its heartbeats end, the other node's go on."""

    async def scenario(cluster: FakeCluster, nodes: Nodes) -> None:
        await pass_time(1)
        cluster.remove(NODE, ObjectKey("", "node-1"))
        cluster.writes.clear()
        await pass_time(30)
        assert (NODE, ObjectKey("", "node-1")) not in cluster.objects
        names = {what["metadata"]["name"] for _, _, what in cluster.writes}
        assert names == {"node-0"}
        assert nodes.address_of("node-1") is None
        assert len(cluster.writes) == 3

    beating(FakeCluster(), scenario)


def test_a_machine_can_be_switched_off_and_on() -> None:
    """Without power there are no heartbeats and no address; with it the node beats again."""

    async def scenario(cluster: FakeCluster, nodes: Nodes) -> None:
        await pass_time(1)
        nodes.switch_off("node-1")
        cluster.writes.clear()
        await pass_time(20)
        assert {what["metadata"]["name"] for _, _, what in cluster.writes} == {"node-0"}
        assert (nodes.address_of("node-0"), nodes.address_of("node-1")) == ("10.240.0.1", None)
        cluster.remove(NODE, ObjectKey("", "node-1"))
        nodes.switch_on("node-1")
        await pass_time(10)
        assert ready(cluster, "node-1") == "True"
        assert nodes.address_of("node-1") == "10.240.0.2"
        assert nodes.names == ("node-0", "node-1")

    beating(FakeCluster(), scenario)


def test_an_outage_is_lived_through() -> None:
    """While the API server fails, beats are tried every second, and go on when it is back."""

    class Failing(FakeCluster):
        fails = True
        attempts = 0

        async def apply(
            self,
            manifest: Manifest,
            *,
            field_owner: str,
            force: bool = False,
            subresource: str = "",
        ) -> Manifest:
            self.attempts += 1
            if self.fails:
                raise ServerError("down", code=500)
            return await super().apply(
                manifest, field_owner=field_owner, force=force, subresource=subresource
            )

    cluster = Failing()

    async def scenario(_: FakeCluster, nodes: Nodes) -> None:
        await pass_time(4.5)
        assert cluster.attempts == 10
        cluster.fails = False
        await pass_time(1)
        assert ready(cluster, "node-0") == ready(cluster, "node-1") == "True"

    beating(cluster, scenario)
