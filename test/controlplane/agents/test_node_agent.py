"""Tests of the node agent on a real control plane: what the cluster's controllers make of it."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import TooManyRequests
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, uid_of
from smbpctl.runtime.simulation.agents import (
    EXPANDABLE_CLASS,
    AgentOptions,
    Failure,
    FailureRule,
    NodeAgent,
)
from smbpctl.runtime.simulation.agents.nodes import NODE
from smbpctl.runtime.simulation.agents.pods import CLAIM, POD, SECRET
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.agents.bench import (
    BUDGET,
    Bench,
    bare_pod,
    connected,
    eventually,
    is_ready,
    nodes_are_ready,
    options,
    pod_ready,
    running,
    stateful_set,
)


async def test_nodes_become_and_stay_ready(bench: Bench) -> None:
    """Nodes lose their taints, their leases are renewed, and nothing is rewritten meanwhile."""
    name = bench.agent.node_names[0]
    lease_kind = GroupVersionKind("coordination.k8s.io", "v1", "Lease")
    before = await bench.get(NODE, "", name)
    first = await bench.get(lease_kind, "kube-node-lease", name)
    assert before is not None
    assert first is not None

    async def renewed_twice() -> bool:
        lease = await bench.get(lease_kind, "kube-node-lease", name)
        assert lease is not None
        times = [datetime.fromisoformat(each["spec"]["renewTime"]) for each in (first, lease)]
        return times[1] - times[0] > timedelta(seconds=4)

    await eventually(renewed_twice, "the lease was renewed twice")

    after = await bench.get(NODE, "", name)
    assert after is not None
    assert is_ready(after)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert first["metadata"]["ownerReferences"][0]["uid"] == uid_of(after)


@pytest.fixture
def impatient(binaries: Binaries, tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own that gives nodes up after eight seconds of silence."""
    grace = timedelta(seconds=8)
    with ControlPlane(binaries, tmp_path / "plane", node_monitor_grace_period=grace) as made:
        yield made


async def test_heartbeats_decide_on_readiness(impatient: ControlPlane) -> None:
    """Nodes that beat stay Ready far beyond the grace period; one without power becomes Unknown.

    Its pods are then no longer ready, and both come back with the power.
    """
    async with (
        connected(impatient, "node-agent") as cluster,
        connected(impatient, "user") as user,
    ):
        agent = NodeAgent(cluster, clock=LoopClock(), nodes=2, options=options())
        bench = Bench(agent, user, agent.failures)
        lost = agent.node_names[1]
        async with running(agent):
            await eventually(lambda: nodes_are_ready(bench), "all nodes are Ready")
            await bench.apply(bare_pod("default", nodeName=lost))
            await eventually(lambda: pod_ready(bench, "default"), "the pod is ready")
            for _ in range(8):
                await asyncio.sleep(2)
                assert await nodes_are_ready(bench)

            agent.switch_off(lost)
            await eventually(lambda: unknown(bench, lost), "the node is Unknown")

            agent.switch_on(lost)
            await eventually(lambda: nodes_are_ready(bench), "all nodes are Ready again")
            await eventually(lambda: pod_ready(bench, "default"), "the pod is ready again")


async def unknown(bench: Bench, name: str) -> bool:
    """Tell whether the control plane has given a node up, and its only pod with it."""
    node = await bench.get(NODE, "", name)
    assert node is not None
    ready = [each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready"]
    return ready == ["Unknown"] and not await pod_ready(bench, "default")


async def test_a_statefulset_with_claims_becomes_ready(bench: Bench, namespace: str) -> None:
    """Three replicas are scheduled, get their volumes, and run on nodes of different zones."""
    await bench.apply(stateful_set(namespace))

    await bench.await_ready(namespace, "web", 3)

    pods = await bench.pods(namespace)
    addresses = [pod["status"]["podIP"] for pod in pods]
    assert len(set(addresses)) == 3
    for pod in pods:
        claim = await bench.get(CLAIM, namespace, f"data-{pod['metadata']['name']}")
        assert claim is not None
        assert claim["status"]["phase"] == "Bound"
        assert claim["status"]["capacity"] == {"storage": "1Gi"}
        assert claim["spec"]["storageClassName"] == EXPANDABLE_CLASS


async def test_a_deleted_pod_goes_and_is_replaced(bench: Bench, namespace: str) -> None:
    """A graceful deletion ends with the pod gone; its controller makes another, with its claim."""
    await bench.apply(stateful_set(namespace, replicas=1))
    await bench.await_ready(namespace, "web", 1)
    old = await bench.get(POD, namespace, "web-0")
    assert old is not None

    await bench.user.client.delete(POD, ObjectKey(namespace, "web-0"), uid=uid_of(old))

    async def replaced() -> bool:
        pod = await bench.get(POD, namespace, "web-0")
        return pod is not None and uid_of(pod) != uid_of(old) and is_ready(pod)

    await eventually(replaced, "another pod is ready")


async def test_a_stuck_pod_is_terminating_until_released(bench: Bench, namespace: str) -> None:
    """A pod that does not stop stays, ready, and nobody replaces it before it is gone."""
    await bench.apply(stateful_set(namespace, replicas=1))
    await bench.await_ready(namespace, "web", 1)
    bench.rules.add(FailureRule(Failure.STUCK_TERMINATING, pod=f"{namespace}/web-0"))
    old = await bench.get(POD, namespace, "web-0")
    assert old is not None

    await bench.user.client.delete(
        POD, ObjectKey(namespace, "web-0"), grace_period=timedelta(seconds=1)
    )

    async def seen() -> bool:
        pod = await bench.get(POD, namespace, "web-0")
        assert pod is not None
        assert uid_of(pod) == uid_of(old)
        generation: int = pod["status"]["observedGeneration"]
        return is_ready(pod) and generation == pod["metadata"]["generation"]

    await eventually(seen, "the node has seen the deletion")
    await asyncio.sleep(2)
    assert await seen()
    bench.rules.clear()

    async def replaced() -> bool:
        pod = await bench.get(POD, namespace, "web-0")
        return pod is not None and uid_of(pod) != uid_of(old)

    await eventually(replaced, "another pod took the name")


async def test_an_image_pull_failure_is_visible_and_heals(bench: Bench, namespace: str) -> None:
    """A bad image shows as ImagePullBackOff in the pod; once it can be had, the pod starts."""
    rule = bench.rules.add(FailureRule(Failure.IMAGE_PULL, image="registry.test/main:1"))
    await bench.apply(bare_pod(namespace))

    waiting = await bench.await_waiting(namespace, "single", "ImagePullBackOff")
    assert "registry.test/main:1" in waiting["message"]
    bench.rules.remove(rule)

    await eventually(lambda: pod_ready(bench, namespace), "the pod is ready")


async def test_a_crash_loop_is_visible_and_heals(bench: Bench, namespace: str) -> None:
    """A crashing container shows CrashLoopBackOff and its restarts, and recovers afterwards."""
    bench.rules.add(FailureRule(Failure.CRASH_LOOP, pod=f"{namespace}/*"))
    await bench.apply(bare_pod(namespace))

    await bench.await_waiting(namespace, "single", "CrashLoopBackOff")
    bench.rules.clear()

    await eventually(lambda: pod_ready(bench, namespace), "the pod is ready")
    pod = await bench.get(POD, namespace, "single")
    assert pod is not None
    told = pod["status"]["containerStatuses"][0]
    assert told["restartCount"] >= 1
    assert told["lastState"]["terminated"]["exitCode"] == 1


async def test_a_missing_secret_holds_the_pod_up(bench: Bench, namespace: str) -> None:
    """A pod that mounts an absent Secret is ContainerCreating until the Secret exists."""
    volume = {"name": "keys", "secret": {"secretName": "keys"}}
    await bench.apply(bare_pod(namespace, volumes=[volume]))

    await bench.await_waiting(namespace, "single", "ContainerCreating")
    await asyncio.sleep(1)
    assert not await pod_ready(bench, namespace)
    await bench.apply(
        {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {"name": "keys", "namespace": namespace},
        }
    )

    await eventually(lambda: pod_ready(bench, namespace), "the pod is ready")


async def test_a_budget_refuses_an_eviction_while_a_pod_is_away(
    bench: Bench, namespace: str
) -> None:
    """With one pod not ready, a budget of one lets no healthy pod go: HTTP 429."""
    await bench.apply(stateful_set(namespace))
    await bench.apply(
        {
            "apiVersion": BUDGET.api_version,
            "kind": BUDGET.kind,
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        }
    )
    await bench.await_ready(namespace, "web", 3)
    bench.rules.add(FailureRule(Failure.NEVER_READY, pod=f"{namespace}/web-0"))

    async def noticed() -> bool:
        budget = await bench.get(BUDGET, namespace, "web")
        status = (budget or {}).get("status") or {}
        return (status.get("currentHealthy"), status.get("disruptionsAllowed")) == (2, 0)

    await eventually(noticed, "the budget counts two healthy pods")

    with pytest.raises(TooManyRequests):
        await bench.user.client.evict(ObjectKey(namespace, "web-1"), uid=None)

    bench.rules.clear()
    await bench.await_ready(namespace, "web", 3)

    async def evicted() -> bool:
        try:
            await bench.user.client.evict(ObjectKey(namespace, "web-1"), uid=None)
        except TooManyRequests:
            return False
        return True

    await eventually(evicted, "the eviction is allowed again")


async def test_another_agent_takes_the_nodes_over(
    control_plane: ControlPlane, bench: Bench, namespace: str
) -> None:
    """A second process with the same node names starts the pods again and counts a restart."""
    await bench.apply(stateful_set(namespace, replicas=1))
    await bench.await_ready(namespace, "web", 1)

    async with connected(control_plane, "node-agent") as cluster:
        prefix = bench.agent.node_names[0].rpartition("-")[0]
        another = NodeAgent(cluster, clock=LoopClock(), options=AgentOptions(name_prefix=prefix))
        async with running(another):

            async def restarted() -> bool:
                pod = await bench.get(POD, namespace, "web-0")
                assert pod is not None
                return bool(pod["status"]["containerStatuses"][0]["restartCount"] == 1)

            await eventually(restarted, "the container was restarted")
