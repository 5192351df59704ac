"""Claims grow in place where their class allows it, and say so where it does not."""

from smbpctl.runtime.simulation.agents import FIXED_CLASS
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for


def test_claims_grow_without_a_restart(stage: Stage, operator: Operator, namespace: str) -> None:
    """A larger size reaches every claim and its volume; no pod is replaced for it."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    stage.wait_condition(namespace, "StorageReady")
    before = _uids(stage, "pods", namespace)

    _grow(stage, namespace)
    wait_for("larger volumes", lambda: _capacities(stage, namespace) == ["20Gi"] * 3)
    stage.wait_condition(namespace, "StorageReady", reason="AllBound")
    stage.settled(namespace)

    assert _uids(stage, "pods", namespace) == before


def test_a_class_that_cannot_expand_is_named(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """The condition names claim, field and remedy; the BigPeer stays available."""
    fixed = {"size": "10Gi", "storageClassName": FIXED_CLASS}
    stage.create(sample(namespace, store={"replicas": 3, "storage": fixed}))
    stage.settled(namespace)

    _grow(stage, namespace)
    condition = stage.wait_condition(namespace, "StorageReady", "False", "ExpansionNotSupported")

    assert "data-demo-store-0-0" in condition["message"]
    assert "spec.store.storage.size" in condition["message"]
    assert "allowVolumeExpansion" in condition["message"]
    assert stage.condition(namespace, "Available")["status"] == "True"


def test_kubectl_scale_addresses_the_subscription_servers(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """The scale subresource changes one tier's pods and nothing else."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    members = _uids(stage, "pods", namespace, "smbpctl.dev/partition=0")

    stage.control_plane.kubectl("scale", "bigpeer/demo", "--replicas=3", "-n", namespace)
    wait_for("a third subscription server", lambda: _ready(stage, namespace) == 3)

    assert _uids(stage, "pods", namespace, "smbpctl.dev/partition=0") == members


def _grow(stage: Stage, namespace: str) -> None:
    patch = '{"spec":{"store":{"storage":{"size":"20Gi"}}}}'
    stage.control_plane.kubectl(
        "patch", "bigpeer/demo", "-n", namespace, "--type=merge", "-p", patch
    )


def _capacities(stage: Stage, namespace: str) -> list[str]:
    claims = stage.get_all("persistentvolumeclaims", namespace)
    return [claim.get("status", {}).get("capacity", {}).get("storage", "") for claim in claims]


def _uids(stage: Stage, kind: str, namespace: str, selector: str = "") -> set[str]:
    found = stage.get_all(kind, namespace, selector=selector)
    return {each["metadata"]["uid"] for each in found}


def _ready(stage: Stage, namespace: str) -> int:
    deployment = stage.get("deployment", "demo-subscription", namespace) or {}
    return int(deployment.get("status", {}).get("readyReplicas", 0))
