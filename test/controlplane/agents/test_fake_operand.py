"""Tests of the fake operand on a real control plane: pods that answer over HTTP."""

from datetime import timedelta

from smbpctl.operand import contract
from smbpctl.operand.client import AdminClient, MemberEndpoint
from smbpctl.operand.contract import Component
from smbpctl.operand.doors import DirectDoor
from smbpctl.operand.members import Configuration, MemberAddress, MemberReport, Topology
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.simulation.agents import NodeAgent
from smbpctl.runtime.simulation.agents.nodes import NODE
from smbpctl.runtime.simulation.agents.pods import POD
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import HttpTransport
from smbpctl.sandbox.operand import Behaviour, FakeOperand
from test.controlplane.agents.bench import (
    Bench,
    bare_pod,
    connected,
    empty,
    eventually,
    options,
    pod_ready,
    running,
)


async def test_the_operands_pods_answer_at_their_own_address(
    control_plane: ControlPlane, namespace: str
) -> None:
    """A member that the control plane scheduled answers where its status says, by its topology."""
    members = (MemberAddress(0, 0, "web-0", 8080),)
    topology = Topology(Configuration(5, 1, 1, 1, members))
    operand = contract.COMPONENTS[Component.STORE]
    member = bare_pod(namespace)
    member["metadata"]["labels"] = {"app.kubernetes.io/component": Component.STORE.value}
    member["spec"] |= {
        "containers": [
            {
                "name": operand.container,
                "image": "registry.test/store:1",
                "volumeMounts": [{"name": "topology", "mountPath": contract.DIR_TOPOLOGY}],
            }
        ],
        "volumes": [{"name": "topology", "configMap": {"name": "topology"}}],
    }
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "topology", "namespace": namespace},
        "data": {contract.TOPOLOGY_FILE: topology.to_json()},
    }
    async with (
        connected(control_plane, "node-agent") as cluster,
        connected(control_plane, "user") as user,
    ):
        fake = FakeOperand(cluster.client)
        agent = NodeAgent(cluster, clock=LoopClock(), workload=fake, nodes=1, options=options())
        bench = Bench(agent, user, agent.failures)
        transport = HttpTransport()
        async with running(agent):
            await bench.apply(document)
            await bench.apply(member)
            await eventually(lambda: pod_ready(bench, namespace), "the member is ready")
            pod = await bench.get(POD, namespace, "single")
            assert pod is not None
            fake.commit(12)

            endpoint = MemberEndpoint(
                ObjectKey(namespace, "single"), pod["status"]["podIP"], operand.port
            )
            door = DirectDoor(transport)
            admin = AdminClient(door, clock=LoopClock(), timeout=timedelta(seconds=20))
            report = await admin.report(endpoint)

            assert isinstance(report, MemberReport), report
            assert (report.config_id, report.ust) == (5, 12)
            fake.behave(f"{namespace}/*", Behaviour(ready=False))
            await eventually(lambda: pod_unready(bench, namespace), "the member is not ready")
            await empty(bench)
        await transport.close()
        await user.client.delete(NODE, ObjectKey("", agent.node_names[0]))


async def pod_unready(bench: Bench, namespace: str) -> bool:
    """Tell whether the single pod is not ready."""
    return not await pod_ready(bench, namespace)
