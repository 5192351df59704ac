"""What a kubelet tells of pods, recorded: the node agent is held to the same stories."""

import json
import time
from collections.abc import Iterator

import pytest

from hack.cluster.cluster import Cluster
from test.e2e.conftest import MANAGER_IMAGE
from test.e2e.stage import Stage
from test.support.conversation import Watch, wait_for
from test.support.golden import Golden
from test.support.pod_story import SCENARIOS, Scenario, Stories, is_abridged, selector_since

# A kubelet may merge two writes when it is busy; not with each of several pods.
PODS = range(3)
NAMESPACE = "fidelity"


@pytest.fixture(scope="module")
def stories(cluster: Cluster) -> Iterator[Stories]:
    """The stories of all scenarios, told at the same time."""
    stage, heard = Stage(cluster), Stories()
    cluster.kubectl("create", "namespace", NAMESPACE)
    account = wait_for("its account", lambda: stage.get("serviceaccount", "default", NAMESPACE))
    selector = selector_since(account["metadata"]["resourceVersion"])
    pods = [each.pod(NAMESPACE, MANAGER_IMAGE, number=n) for each in SCENARIOS for n in PODS]
    with Watch(stage.command, NAMESPACE, selector, listen=heard.listen):
        everything = {"apiVersion": "v1", "kind": "List", "items": pods}
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(everything))
        for scenario in SCENARIOS:
            if scenario.delete_at:
                _delete(cluster, scenario, heard)
        names = [pod["metadata"]["name"] for pod in pods]
        wait_for("every story to end", lambda: all(map(heard.is_over, names)), seconds=90)
    yield heard
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _delete(cluster: Cluster, scenario: Scenario, heard: Stories) -> None:
    names = [f"{scenario.name}-{number}" for number in PODS]

    def arrived() -> bool:
        last = [heard.of(name)[-1:] for name in names]
        return all(story and story[0]["container"] == scenario.delete_at for story in last)

    wait_for(f"pods of {scenario.name} to be {scenario.delete_at}", arrived)
    # Until it has loaded its program, the first process of a container ignores SIGTERM.
    time.sleep(2)
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, *names, "--wait=false")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_kubelet_tells_the_recorded_story(
    stories: Stories, golden: Golden, scenario: Scenario
) -> None:
    """The fullest of the pods' stories is the recorded one; the others leave at most some out."""
    told = [stories.of(f"{scenario.name}-{number}") for number in PODS]

    whole = max(told, key=len)

    golden(f"fidelity/{scenario.name}", whole)
    assert all(is_abridged(story, whole) for story in told)
