"""Tests of the agent as a whole, over an in-memory API server; test/controlplane has a real one."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.meta import GroupVersionKind, Manifest, gvk_of, uid_of
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.agents.agent import AgentOptions, NodeAgent
from smbpctl.runtime.simulation.agents.claims import CLAIM, STORAGE_CLASS, VOLUME
from smbpctl.runtime.simulation.agents.nodes import NODE
from smbpctl.runtime.simulation.agents.pods import CONFIG_MAP, POD, SECRET
from smbpctl.runtime.simulation.agents.workload import Health
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_api import FakeApi, ServedKind
from test.support.fake_transport import (
    Answer,
    FakeTransport,
    body_of,
    json_response,
    path_of,
    status_response,
)
from test.support.virtual_time import run_virtual
from test.unit.runtime.simulation.agents.builders import pod

LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")
KINDS = (
    ServedKind(POD, "pods"),
    ServedKind(SECRET, "secrets"),
    ServedKind(CONFIG_MAP, "configmaps"),
    ServedKind(CLAIM, "persistentvolumeclaims"),
    ServedKind(LEASE, "leases"),
    ServedKind(NODE, "nodes", namespaced=False),
    ServedKind(VOLUME, "persistentvolumes", namespaced=False),
    ServedKind(STORAGE_CLASS, "storageclasses", namespaced=False),
)


class Server:
    """A `FakeApi` that also takes writes: applies and deletes of single objects."""

    def __init__(self) -> None:
        self.api = FakeApi(KINDS)
        self._reads = self.api.transport().handler
        self.down = False

    def transport(self) -> FakeTransport:
        """Return a transport to this server."""
        return FakeTransport(self._answer)

    def all(self, gvk: GroupVersionKind) -> list[Manifest]:
        """Return every object of a kind."""
        (root,) = [kind.root for kind in KINDS if kind.gvk == gvk]
        return self.api.objects.get(root, [])

    def pod(self) -> Manifest:
        """Return the only pod."""
        (found,) = self.all(POD)
        return found

    async def _answer(self, request: HttpRequest) -> Answer:
        if self.down:
            return TransportError("connection refused", sent=False)
        if path_of(request) == "/version":
            return json_response({"gitVersion": "v1.36.3"})
        if request.method == "PATCH":
            return self._apply(body_of(request))
        found = self._find(path_of(request))
        if request.method == "DELETE" and found is not None:
            self.api.delete(found)
            return json_response({"kind": "Status", "status": "Success"})
        if found is not None:
            return json_response(found)
        answer = self._reads(request)
        return await answer if isinstance(answer, Awaitable) else answer

    def _apply(self, manifest: Manifest) -> Answer:
        name = manifest["metadata"]["name"]
        there = [each for each in self.all(gvk_of(manifest)) if each["metadata"]["name"] == name]
        wanted = uid_of(manifest)
        if wanted and (not there or uid_of(there[0]) != wanted):
            return status_response(409, "Conflict")
        merged = _merged(there[0], manifest) if there else manifest
        return json_response(self.api.put(merged))

    def _find(self, path: str) -> Manifest | None:
        plural, _, name = path.rpartition("/")
        for kind in KINDS:
            if plural.endswith(f"/{kind.plural}"):
                found = (each for each in self.all(kind.gvk) if each["metadata"]["name"] == name)
                return next(found, None)
        return None


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = copy.deepcopy(dict(old))
    for name, value in patch.items():
        there = merged.get(name) or {}
        merged[name] = _merged(there, value) if isinstance(value, Mapping) else value
    return merged


class Workload:
    """Satisfies the agent's `Workload`; remembers which pods run."""

    def __init__(self) -> None:
        self.running = set[str]()

    async def start(self, pod: Manifest) -> str:
        self.running.add(uid_of(pod))
        return "10.1.2.3"

    async def health(self, pod: Manifest) -> Health:
        return Health.READY

    async def stop(self, pod: Manifest) -> None:
        self.running.discard(uid_of(pod))


Scenario = Callable[[Server, NodeAgent, Workload], Awaitable[None]]


def with_agent(scenario: Scenario, server: Server | None = None) -> Workload:
    """Run a scenario beside an agent, stop the agent, and return what still runs."""
    server = server or Server()
    workload = Workload()

    async def main() -> None:
        clock = LoopClock()
        cluster = Cluster.over(
            server.transport(), clock=clock, random=seeded_random(1), metrics=Metrics()
        )
        agent = NodeAgent(
            cluster,
            clock=clock,
            random=seeded_random(2),
            nodes=2,
            workload=workload,
            options=AgentOptions(name_prefix="node"),
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(agent.run())
            await scenario(server, agent, workload)
            task.cancel()
        await cluster.close()

    run_virtual(main())
    return workload


async def pass_time(seconds: float) -> None:
    """Let virtual time pass."""
    await LoopClock().sleep(timedelta(seconds=seconds))


def is_ready(manifest: Manifest) -> bool:
    """Tell whether the Ready condition is True."""
    conditions = manifest["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_a_bare_server_gets_nodes_and_classes() -> None:
    """Nodes of the server's version and both classes are there before anything asks for them."""

    async def scenario(server: Server, agent: NodeAgent, workload: Workload) -> None:
        await pass_time(1)
        assert agent.node_names == ("node-0", "node-1")
        assert all(map(is_ready, server.all(NODE)))
        assert server.all(NODE)[0]["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
        assert len(server.all(NODE)) == len(server.all(LEASE)) == 2
        assert len(server.all(STORAGE_CLASS)) == 2

    with_agent(scenario)


def test_a_bound_pod_runs_and_stops_with_the_agent() -> None:
    """A pod that appears is started and Ready; when the agent ends, its workload does too."""

    async def scenario(server: Server, agent: NodeAgent, workload: Workload) -> None:
        await pass_time(1)
        server.api.put(pod())
        await pass_time(1)
        assert is_ready(server.pod())
        assert workload.running == {"uid-1"}

    assert with_agent(scenario).running == set()


def test_a_pending_claim_gets_its_volume() -> None:
    """The claim's controller is wired to claims, and sees the classes that the agent made."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data",
            "namespace": "ns",
            "uid": "uid-c",
            "annotations": {"volume.kubernetes.io/selected-node": "node-0"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "expandable",
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Pending"},
    }

    async def scenario(server: Server, agent: NodeAgent, workload: Workload) -> None:
        await pass_time(1)
        server.api.put(claim)
        await pass_time(1)
        (volume,) = server.all(VOLUME)
        assert volume["spec"]["claimRef"]["uid"] == "uid-c"
        server.api.put({**volume, "status": {"phase": "Released"}})
        await pass_time(1)
        assert server.all(VOLUME) == []

    with_agent(scenario)


def test_a_node_without_power_stops_its_pods() -> None:
    """Switched off, a node's pods end and nothing is told; switched on, they run again."""

    async def scenario(server: Server, agent: NodeAgent, workload: Workload) -> None:
        await pass_time(1)
        server.api.put(pod())
        await pass_time(1)
        agent.switch_off("node-0")
        told = server.pod()["metadata"]["resourceVersion"]
        await pass_time(5)
        assert workload.running == set()
        assert server.pod()["metadata"]["resourceVersion"] == told
        agent.switch_on("node-0")
        await pass_time(20)
        assert workload.running == {"uid-1"}

    with_agent(scenario)


def test_an_agent_needs_its_server_at_the_start() -> None:
    """When the first requests fail, `run` says so instead of waiting for ever."""
    server = Server()
    server.down = True

    async def scenario(server: Server, agent: NodeAgent, workload: Workload) -> None:
        await pass_time(1)

    with pytest.raises(ExceptionGroup) as caught:
        with_agent(scenario, server)

    assert caught.group_contains(TransportError, match="refused")
