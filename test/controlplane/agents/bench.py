"""What the tests of the agents share: an agent at work, and a user beside it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.agents import (
    AgentOptions,
    FailureRules,
    NodeAgent,
)
from smbpctl.runtime.simulation.agents.nodes import NODE
from smbpctl.runtime.simulation.agents.pod_steps import Timing
from smbpctl.runtime.simulation.agents.pods import CLAIM, POD
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config

STATEFUL_SET = GroupVersionKind("apps", "v1", "StatefulSet")
VOLUME = GroupVersionKind("", "v1", "PersistentVolume")
STORAGE_CLASS = GroupVersionKind("storage.k8s.io", "v1", "StorageClass")
BUDGET = GroupVersionKind("policy", "v1", "PodDisruptionBudget")
OWNER = "test"
PATIENCE = 60


@asynccontextmanager
async def connected(control_plane: ControlPlane, user: str) -> AsyncIterator[Cluster]:
    """Connect as a user who may do everything."""
    config = await load_config(control_plane.kubeconfig_for(user, ("system:masters",)))
    cluster = Cluster.open(config, clock=LoopClock(), random=system_random(), metrics=Metrics())
    try:
        yield cluster
    finally:
        await cluster.close()


async def eventually(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until the answer is yes; fail after a minute."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, f"still not so: {what}"
        await asyncio.sleep(0.1)


@dataclass
class Bench:
    """A running agent, and a user beside it."""

    agent: NodeAgent
    user: Cluster
    rules: FailureRules

    async def get(self, gvk: GroupVersionKind, namespace: str, name: str) -> Manifest | None:
        """Read an object live."""
        return await self.user.client.get(gvk, ObjectKey(namespace, name))

    async def pods(self, namespace: str = "") -> list[Manifest]:
        """Return the pods of a namespace that are bound to our nodes."""
        pods = await self.user.client.list(POD, namespace=namespace)
        return [pod for pod in pods if pod["spec"].get("nodeName") in self.agent.node_names]

    async def apply(self, manifest: Manifest) -> Manifest:
        """Apply as the user."""
        return await self.user.client.apply(manifest, field_owner=OWNER, force=True)

    async def await_ready(self, namespace: str, name: str, replicas: int) -> None:
        """Wait until a StatefulSet has that many ready replicas."""

        async def ready() -> bool:
            found = await self.get(STATEFUL_SET, namespace, name)
            return found is not None and found["status"].get("readyReplicas") == replicas

        await eventually(ready, f"StatefulSet {name} has {replicas} ready replicas")

    async def await_waiting(self, namespace: str, name: str, reason: str) -> Manifest:
        """Wait until a pod's container waits for that reason, and return what it says."""
        said: list[Manifest] = []

        async def waits() -> bool:
            pod = await self.get(POD, namespace, name)
            statuses = (pod or {}).get("status", {}).get("containerStatuses") or [{}]
            waiting = statuses[0].get("state", {}).get("waiting") or {}
            said.append(waiting)
            return waiting.get("reason") == reason

        await eventually(waits, f"pod {name} waits with {reason}")
        return said[-1]


@asynccontextmanager
async def running(agent: NodeAgent) -> AsyncIterator[None]:
    """Run an agent for as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent.run())
        try:
            yield
        finally:
            task.cancel()


def options() -> AgentOptions:
    """Return options of an agent whose nodes have names of their own, and little patience."""
    return AgentOptions(
        name_prefix=f"node-{secrets.token_hex(3)}",
        heartbeat=timedelta(seconds=2),
        timing=Timing(probe_period=timedelta(milliseconds=300), crash_backoff=timedelta(seconds=5)),
    )


async def nodes_are_ready(bench: Bench) -> bool:
    """Tell whether every node is Ready and free of taints."""
    nodes = [await bench.get(NODE, "", name) for name in bench.agent.node_names]
    return all(is_ready(node) and not node["spec"].get("taints") for node in nodes if node) and all(
        nodes
    )


async def empty(bench: Bench) -> None:
    """Take away what the test left: its namespace is terminating, which by itself takes longer."""
    client = bench.user.client
    for pod in await bench.pods():
        await client.delete(POD, key_of(pod))
    for volume in await client.list(VOLUME):
        claim = volume["spec"]["claimRef"]
        await client.delete(CLAIM, ObjectKey(claim["namespace"], claim["name"]))
    await eventually(lambda: is_empty(bench), "the nodes are empty")


async def is_empty(bench: Bench) -> bool:
    """Tell whether no pod is left on our nodes, and no volume anywhere."""
    return not await bench.pods() and not await bench.user.client.list(VOLUME)


def is_ready(manifest: Manifest) -> bool:
    """Tell whether an object's Ready condition is True."""
    conditions = manifest.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def stateful_set(namespace: str, *, replicas: int = 3, **spec: Any) -> Manifest:
    """Return a StatefulSet whose pods have a claim each."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [
                        {
                            "name": "web",
                            "image": "registry.test/web:1",
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        }
                    ],
                    **spec,
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                    },
                }
            ],
        },
    }


def bare_pod(namespace: str, **spec: Any) -> Manifest:
    """Return a pod of its own."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "single", "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "main", "image": "registry.test/main:1"}],
            **spec,
        },
    }


async def pod_ready(bench: Bench, namespace: str) -> bool:
    """Tell whether the single pod is ready."""
    pod = await bench.get(POD, namespace, "single")
    return pod is not None and is_ready(pod)
