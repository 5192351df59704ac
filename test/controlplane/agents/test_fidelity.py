"""The node agent tells the stories that were recorded from a kubelet."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.simulation.agents import Failure, FailureRule
from smbpctl.runtime.simulation.agents.pods import POD
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.agents.bench import Bench, eventually
from test.support.conversation import Watch
from test.support.pod_story import IMAGE_ABSENT, SCENARIOS, Scenario, Stories, selector_since

IMAGE = "registry.test/main:1"


@pytest.fixture
async def heard(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Stories]:
    """The stories of the namespace's pods, heard by a watch."""
    stories = Stories()
    found = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o=json").stdout)
    selector = selector_since(found["metadata"]["resourceVersion"])
    kubectl = [str(control_plane.binaries.kubectl), f"--kubeconfig={control_plane.kubeconfig}"]
    with Watch(kubectl, namespace, selector, listen=stories.listen):
        yield stories


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_the_node_agent_tells_the_recorded_story(
    bench: Bench, namespace: str, heard: Stories, scenario: Scenario
) -> None:
    """Moment by moment what a kubelet told: phase, conditions, and the container's states."""
    bench.rules.add(FailureRule(Failure.IMAGE_PULL, image=IMAGE_ABSENT))
    bench.rules.add(FailureRule(Failure.CRASH_LOOP, pod="*/crash-*"))
    pod = scenario.pod(namespace, IMAGE)
    name = pod["metadata"]["name"]

    await bench.apply(pod)
    if scenario.delete_at:
        await eventually(lambda: _is(heard, name, scenario.delete_at), "the pod runs")
        await bench.user.client.delete(
            POD, ObjectKey(namespace, name), grace_period=timedelta(seconds=5)
        )

    await eventually(lambda: _over(heard, name), f"the story of {name} ends")
    assert heard.of(name) == scenario.recorded()


async def _over(heard: Stories, name: str) -> bool:
    return heard.is_over(name)


async def _is(heard: Stories, name: str, state: str) -> bool:
    return any(moment["container"] == state for moment in heard.of(name))
