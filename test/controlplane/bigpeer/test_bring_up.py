"""From a sample manifest to Available, and the silence after it, on a real control plane."""

import time

from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for

QUIET_SECONDS = 60

OWNED = (
    "statefulset/demo-store-0",
    "deployment/demo-api",
    "deployment/demo-subscription",
    "deployment/demo-auth-server",
    "poddisruptionbudget/demo-store-0",
    "configmap/demo-topology",
    "configmap/demo-topology-1",
    "serviceaccount/demo-store",
    "service/demo-store-0",
    "service/demo-api",
    "networkpolicy/demo-store",
    "ingress/demo-web",
    "secret/demo-transaction-log",
)


def test_the_sample_becomes_available(stage: Stage, operator: Operator, namespace: str) -> None:
    """A person applies the sample, waits with kubectl, and reads what happened in columns."""
    stage.create(sample(namespace))

    wait = ("wait", "--for=condition=Available", "bigpeer/demo", "-n", namespace)
    stage.control_plane.kubectl(*wait, "--timeout=90s")
    table = stage.control_plane.kubectl("get", "bp", "-n", namespace).stdout
    help_page = stage.control_plane.kubectl("explain", "bigpeer.spec.store").stdout
    peer = stage.get("bigpeer", "demo", namespace)

    header, row = (line.split() for line in table.splitlines())
    assert header[:5] == ["NAME", "READY", "AVAILABLE", "PROGRESSING", "DEGRADED"]
    assert row[0] == "demo"
    assert row[2] == "True"
    assert "3/3" in row
    assert "1.63.2" in row
    assert "minimumReplicas" in help_page
    assert "partitions" in help_page
    assert peer is not None
    members = peer["status"]["store"]["partitions"][0]["members"]
    assert len({member["serverId"] for member in members}) == 3
    assert all(member["caughtUp"] and member["configId"] == 1 for member in members)


def test_a_converged_operator_is_silent(stage: Stage, operator: Operator, namespace: str) -> None:
    """After Available the operator sends no mutating request for a minute, and none on restart."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    stage.wait_condition(namespace, "NetworkingReady", "False", "ClassNotFound")
    quiet_since = wait_for("the last write", lambda: _silence(stage, namespace, 5))

    time.sleep(QUIET_SECONDS)
    operator.stop()
    operator.start()
    time.sleep(10)
    late = list(stage.writes(namespace))[quiet_since:]

    assert late == []


def _silence(stage: Stage, namespace: str, seconds: float) -> int | None:
    """Return the number of writes so far once there was none for some seconds."""
    before = sum(1 for _ in stage.writes(namespace))
    time.sleep(seconds)
    after = sum(1 for _ in stage.writes(namespace))
    return after if before == after else None


def test_deleted_children_are_restored(stage: Stage, operator: Operator, namespace: str) -> None:
    """Whatever child somebody deletes comes back, as another object of the same name."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    before = {child: _uid(stage, child, namespace) for child in OWNED}

    for child in OWNED:
        stage.control_plane.kubectl("delete", child, "-n", namespace, "--wait=true")

    for child, uid in before.items():
        assert uid, f"{child} did not exist"
        wait_for(child, lambda child=child, uid=uid: _replaced(stage, child, namespace, uid))
    stage.settled(namespace)


def test_a_changed_child_is_set_right(stage: Stage, operator: Operator, namespace: str) -> None:
    """A field of ours that somebody changes or removes is put back; what we do not own stays."""
    stage.create(sample(namespace))
    stage.settled(namespace)
    patch = '{"metadata":{"annotations":{"theirs":"stays"}},"spec":{"replicas":5}}'

    stage.control_plane.kubectl(
        "patch", "deployment/demo-api", "-n", namespace, "--type=merge", "-p", patch
    )
    wait_for(
        "two replicas",
        lambda: (stage.get("deployment", "demo-api", namespace) or {})["spec"]["replicas"] == 2,
    )

    deployment = stage.get("deployment", "demo-api", namespace)
    assert deployment is not None
    assert deployment["metadata"]["annotations"]["theirs"] == "stays"


def _uid(stage: Stage, child: str, namespace: str) -> str:
    kind, _, name = child.partition("/")
    found = stage.get(kind, name, namespace)
    return str(found["metadata"]["uid"]) if found else ""


def _replaced(stage: Stage, child: str, namespace: str, uid: str) -> bool:
    return _uid(stage, child, namespace) not in ("", uid)
