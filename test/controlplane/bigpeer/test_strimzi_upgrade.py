"""Strimzi before v1, on a control plane of its own, and the upgrade of its CRDs under our feet."""

from smbpctl.runtime.meta import Manifest
from test.controlplane.bigpeer.dependencies import (
    TIMEOUT,
    crds,
    install,
    own_control_plane,
    own_stage,
)
from test.controlplane.bigpeer.stage import Stage
from test.support.conversation import sample, wait_for
from test.support.strimzi import Strimzi

pytestmark = TIMEOUT

control_plane = own_control_plane()
stage = own_stage()

READY = "TransactionLogReady"


def test_the_log_lives_through_the_upgrade_from_v1beta2_to_v1(stage: Stage, namespace: str) -> None:
    """Strimzi 0.45 takes what it is given; when v1 is served beside it, the operator moves on."""
    log = {"type": "Strimzi", "strimzi": {"storage": {"size": "10Gi"}}}
    install(stage, crds("strimzi", "0.45.0"))
    stage.apply(sample(namespace, transactionLog=log))
    strimzi = Strimzi(stage.control_plane, namespace, "demo-log")

    with stage.operator():
        wait_for("v1beta2", lambda: _api_version(stage, namespace) == "kafka.strimzi.io/v1beta2")
        wait_for("Strimzi's objects", lambda: len(strimzi.objects()) == 4)
        annotations = strimzi.objects()["Kafka"]["metadata"]["annotations"]
        strimzi.start_kafka()
        strimzi.make_topic()
        strimzi.make_user()
        before = stage.wait_condition(namespace, READY, "True", "Ready")
        uids = _uids(strimzi)
        install(stage, crds("strimzi", "0.51.0"))
        wait_for("v1", lambda: _api_version(stage, namespace) == "kafka.strimzi.io/v1")
        after = stage.wait_condition(namespace, READY, "True", "Ready")

    # Without these two, Strimzi 0.45 would look for a ZooKeeper.
    assert annotations["strimzi.io/kraft"] == annotations["strimzi.io/node-pools"] == "enabled"
    assert _uids(strimzi) == uids
    assert after["lastTransitionTime"] == before["lastTransitionTime"]


def _api_version(stage: Stage, namespace: str) -> str:
    peer: Manifest = stage.get("bigpeer", "demo", namespace) or {}
    return str(peer.get("status", {}).get("transactionLog", {}).get("apiVersion"))


def _uids(strimzi: Strimzi) -> dict[str, str]:
    return {kind: each["metadata"]["uid"] for kind, each in strimzi.objects().items()}
