"""Bad input ends in a rejection or a condition that names object and field; the rest goes on."""

import pytest

from smbpctl.runtime.meta import Manifest
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for


def _store(**fields: object) -> Manifest:
    return {"partitions": 1, "replicas": 3, "storage": {"size": "10Gi"}, **fields}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"store": _store(minimumReplicas=4)}, ("minimumReplicas", "replicas")),
        ({"version": "latest"}, ("spec.version",)),
        ({"store": _store(storage={"size": "much"})}, ("spec.store.storage.size",)),
        ({"transactionLog": {"type": "External"}}, ("spec.transactionLog", "external")),
    ],
)
def test_the_server_refuses(
    stage: Stage, namespace: str, spec: Manifest, words: tuple[str, ...]
) -> None:
    """What the schema or a rule forbids never reaches the operator; the message names the field."""
    answer = stage.refused(sample(namespace, **spec))

    for word in words:
        assert word in answer
    assert stage.get("bigpeer", "demo", namespace) is None


def test_a_shrinking_size_is_refused(stage: Stage, namespace: str) -> None:
    """Claims only grow: the edit is refused and the object stays as it was."""
    stage.create(sample(namespace))

    answer = stage.refused(sample(namespace, store=_store(storage={"size": "5Gi"})))

    assert "spec.store.storage" in answer
    assert "size" in answer
    peer = stage.get("bigpeer", "demo", namespace)
    assert peer is not None
    assert peer["spec"]["store"]["storage"]["size"] == "10Gi"


def test_an_unknown_version_waits_and_others_go_on(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """A version outside the matrix rolls nothing and says so; a second BigPeer comes up beside it.

    The running BigPeer stays available when its version is edited to one that is unknown.
    """
    stage.create(sample(namespace, "unknown", version="1.99.0"))
    stage.create(sample(namespace))

    stage.settled(namespace)
    fresh = stage.wait_condition(namespace, "VersionSupported", "False", name="unknown")
    stage.control_plane.kubectl(
        *("patch", "bigpeer/demo", "-n", namespace, "--type=merge"),
        *("-p", '{"spec":{"version":"1.99.0"}}'),
    )
    edited = stage.wait_condition(namespace, "VersionSupported", "False")
    stage.wait_condition(namespace, "RollingUpdateSucceeded", "False", "VersionNotSupported")

    assert "spec.version" in fresh["message"]
    assert f"{namespace}/unknown" in fresh["message"]
    assert "1.99" in edited["message"]
    assert stage.get("statefulset", "unknown-store-0", namespace) is None
    assert stage.condition(namespace, "Available")["status"] == "True"
    pods = stage.get_all("pods", namespace, selector="smbpctl.dev/bigpeer=demo")
    versions = {pod["metadata"]["labels"]["app.kubernetes.io/version"] for pod in pods}
    assert versions == {"1.63.2"}


def test_a_name_that_is_taken_is_left_alone(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """A foreign object of a needed name is neither adopted nor changed, and is named."""
    foreign: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "demo-api", "namespace": namespace},
        "spec": {"ports": [{"port": 1}], "selector": {"theirs": "yes"}},
    }
    stage.apply(foreign)
    stage.create(sample(namespace))

    condition = stage.wait_condition(namespace, "NetworkingReady", "False", "NameConflict")
    stage.wait_condition(namespace, "Degraded", "True", "NameConflict")

    assert "demo-api" in condition["message"]
    service = stage.get("service", "demo-api", namespace)
    assert service is not None
    assert service["spec"]["selector"] == {"theirs": "yes"}
    assert "ownerReferences" not in service["metadata"]
    stage.control_plane.kubectl("delete", "service/demo-api", "-n", namespace)
    wait_for(
        "the Service to be made",
        lambda: stage.condition(namespace, "NetworkingReady").get("reason") != "NameConflict",
        seconds=45,
    )
