"""Pods are replaced one at a time, and an outside witness counts that the floor holds."""

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents import Failure, FailureRule
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for

STORE = "smbpctl.dev/partition=0"


def test_a_version_edit_replaces_members_one_at_a_time(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """During a version change two of three members always serve, counted by a watch of our own."""
    stage.create(sample(namespace))
    stage.settled(namespace)

    with stage.watch(namespace, STORE) as watch:
        wait_for("the watch", lambda: watch.ready_counts[-1:] == [3])
        watch.ready_counts.clear()
        watch.started.clear()
        _set_version(stage, namespace, "1.63.1")
        wait_for("every pod at the new version", lambda: _versions(stage, namespace) == {"1.63.1"})
        stage.settled(namespace)

    assert min(watch.ready_counts) == 2
    assert sorted(watch.started) == [f"demo-store-0-{ordinal}" for ordinal in range(3)]
    peer = stage.get("bigpeer", "demo", namespace)
    assert peer is not None
    assert peer["status"]["version"] == "1.63.1"


def test_a_broken_version_stops_and_reverting_heals(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """An image that cannot be pulled costs one member; the reverted spec heals without a human."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    stage.nodes.failures.add(
        FailureRule(Failure.IMAGE_PULL, pod=f"{namespace}/*", image="*:1.62.0")
    )

    with stage.watch(namespace, STORE) as watch:
        wait_for("the watch", lambda: watch.ready_counts[-1:] == [3])
        watch.ready_counts.clear()
        _set_version(stage, namespace, "1.62.0")
        degraded = stage.wait_condition(namespace, "Degraded", "True", "ImagePullFailed")
        _set_version(stage, namespace, "1.63.2")
        stage.wait_condition(namespace, "Degraded", "False")
        wait_for("every pod at the old version", lambda: _versions(stage, namespace) == {"1.63.2"})
        stage.settled(namespace)

    assert "demo-store-0-0" in degraded["message"]
    assert min(watch.ready_counts) == 2


def test_front_ends_roll_after_the_store(stage: Stage, operator: Operator, namespace: str) -> None:
    """No front-end changes its version while a store member runs the old one."""
    stage.create(sample(namespace))
    stage.settled(namespace)

    _set_version(stage, namespace, "1.63.1")
    wait_for("a front-end at the new version", lambda: "1.63.1" in _front_ends(stage, namespace))

    assert _versions(stage, namespace) == {"1.63.1"}
    stage.settled(namespace)


def _set_version(stage: Stage, namespace: str, version: str) -> None:
    patch = f'{{"spec":{{"version":"{version}"}}}}'
    stage.control_plane.kubectl(
        "patch", "bigpeer/demo", "-n", namespace, "--type=merge", "-p", patch
    )


def _versions(stage: Stage, namespace: str) -> set[str]:
    """Return the versions that store pods run."""
    pods = stage.get_all("pods", namespace, selector=STORE)
    return {pod["metadata"]["labels"]["app.kubernetes.io/version"] for pod in pods}


def _front_ends(stage: Stage, namespace: str) -> set[str]:
    deployments: list[Manifest] = stage.get_all("deployments", namespace)
    return {
        deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
        for deployment in deployments
    }
