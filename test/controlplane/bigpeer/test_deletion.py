"""Deleting a BigPeer takes everything with it but what its policy keeps."""

from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for

OWNED_KINDS = (
    "statefulsets,deployments,replicasets,pods,services,ingresses,networkpolicies,"
    "poddisruptionbudgets,controllerrevisions"
)


def test_retain_keeps_the_claims(stage: Stage, operator: Operator, namespace: str) -> None:
    """With Retain every child goes but the claims of the store."""
    stage.create(sample(namespace))
    stage.settled(namespace)

    stage.control_plane.kubectl("delete", "bigpeer/demo", "-n", namespace, "--timeout=30s")
    wait_for("every child to go", lambda: not _left(stage, namespace), seconds=120)

    claims = stage.names("persistentvolumeclaims", namespace)
    assert claims == [f"persistentvolumeclaim/data-demo-store-0-{i}" for i in range(3)]


def test_delete_takes_the_claims(stage: Stage, operator: Operator, namespace: str) -> None:
    """With Delete the claims go too."""
    stage.create(sample(namespace, deletionPolicy="Delete"))
    stage.settled(namespace)
    wait_for("claims to be owned", lambda: _owned_claims(stage, namespace) == 3)

    stage.control_plane.kubectl("delete", "bigpeer/demo", "-n", namespace, "--timeout=30s")
    wait_for("every child to go", lambda: not _left(stage, namespace), seconds=120)
    wait_for("claims to go", lambda: not stage.names("persistentvolumeclaims", namespace))


def test_the_policy_can_change(stage: Stage, operator: Operator, namespace: str) -> None:
    """The claims are owned exactly while the policy says Delete."""
    stage.create(sample(namespace, deletionPolicy="Delete"))
    wait_for("claims to be owned", lambda: _owned_claims(stage, namespace) == 3)

    stage.control_plane.kubectl(
        *("patch", "bigpeer/demo", "-n", namespace, "--type=merge"),
        *("-p", '{"spec":{"deletionPolicy":"Retain"}}'),
    )

    wait_for("claims to be free", lambda: _owned_claims(stage, namespace) == 0)


def test_a_namesake_does_not_bind_retained_claims(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """A new BigPeer of the old name waits instead of binding the old one's data."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    stage.control_plane.kubectl("delete", "bigpeer/demo", "-n", namespace, "--timeout=30s")
    wait_for("every child to go", lambda: not _left(stage, namespace), seconds=120)

    stage.create(sample(namespace))
    condition = stage.wait_condition(namespace, "StorageReady", "False", "StaleClaim")

    assert "data-demo-store-0-0" in condition["message"]
    assert stage.get("statefulset", "demo-store-0", namespace) is None


def _left(stage: Stage, namespace: str) -> list[str]:
    return stage.names(OWNED_KINDS, namespace)


def _owned_claims(stage: Stage, namespace: str) -> int:
    claims = stage.get_all("persistentvolumeclaims", namespace)
    owners = [claim["metadata"].get("ownerReferences", []) for claim in claims]
    return sum(any(owner["kind"] == "BigPeer" for owner in listed) for listed in owners)
