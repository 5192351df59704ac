"""The transaction log on a real control plane: somebody else's Kafka, or one that Strimzi runs."""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.runtime.meta import Manifest
from smbpctl.sandbox.secrets import referenced_secrets
from test.controlplane.bigpeer.dependencies import (
    TIMEOUT,
    crds,
    install,
    one_operator,
    own_control_plane,
    own_stage,
    uninstall,
)
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import sample, wait_for
from test.support.strimzi import BOOTSTRAP, KINDS, Strimzi

pytestmark = TIMEOUT

control_plane = own_control_plane()
stage = own_stage()
operator = one_operator()

READY = "TransactionLogReady"
STRIMZI = "kafka.strimzi.io"
FINALIZER = "smbpctl.dev/transaction-log"
SCRAM = {"type": "SCRAM", "scram": {"secretRef": {"name": "kafka-user"}}}
MUTUAL = {"type": "TLS", "tls": {"secretRef": {"name": "kafka-client"}}}
AUTHENTICATION = "spec.transactionLog.external.authentication"


@pytest.fixture(autouse=True)
def nothing_stays(stage: Stage, namespace: str) -> Iterator[None]:
    """A topic that nobody finishes would hold up its namespace, and the removal of its CRD."""
    yield
    if _served(stage):
        Strimzi(stage.control_plane, namespace, "demo-log").leave()


@pytest.mark.parametrize(
    ("authentication", "secret", "key", "field"),
    [
        (MUTUAL, "kafka-ca", "ca.crt", "spec.transactionLog.external.tls.caSecretRef"),
        (MUTUAL, "kafka-client", "tls.key", f"{AUTHENTICATION}.tls.secretRef"),
        (SCRAM, "kafka-user", "password", f"{AUTHENTICATION}.scram.secretRef"),
    ],
)
def test_an_unusable_secret_is_named_and_healed_by_itself_alone(
    stage: Stage,
    operator: Operator,
    namespace: str,
    authentication: Manifest,
    secret: str,
    key: str,
    field: str,
) -> None:
    """Absent or without a key, the Secret and its field are named; then the connection appears."""
    secrets = {
        "kafka-ca": {"ca.crt": b"authority"},
        "kafka-client": {"tls.crt": b"certificate", "tls.key": b"key"},
        "kafka-user": {"username": b"somebody", "password": b"secret"},
    }
    lacking = {file: value for file, value in secrets[secret].items() if file != key}
    others = [_opaque(namespace, name, secrets[name]) for name in secrets if name != secret]

    stage.apply(*others, _external(namespace, authentication))
    absent = stage.wait_condition(namespace, READY, "False", "SecretNotFound")
    stage.apply(_opaque(namespace, secret, lacking))
    useless = stage.wait_condition(namespace, READY, "False", "SecretInvalid")
    unpublished = stage.get("secret", "demo-transaction-log", namespace)
    stage.apply(_opaque(namespace, secret, secrets[secret]))
    stage.wait_condition(namespace, READY, "True", "Ready")

    assert absent["message"] == f"Secret {namespace}/{secret} ({field}) does not exist"
    assert useless["message"] == f"Secret {namespace}/{secret} ({field}) has no key {key}"
    assert unpublished is None
    assert _content(stage, "demo-transaction-log", namespace) == {
        "bootstrap-servers": b"kafka-a.test:9093,kafka-b.test:9093",
        "topic": f"{namespace}.demo.transactions".encode(),
        "ca.crt": b"authority",
        **(
            {
                "security-protocol": b"SASL_SSL",
                "sasl-mechanism": b"SCRAM-SHA-512",
                **secrets["kafka-user"],
            }
            if authentication is SCRAM
            else {"security-protocol": b"SSL", **secrets["kafka-client"]}
        ),
    }


def test_new_credentials_are_rolled_out_once(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """A client certificate that changes replaces every pod once, one member at a time."""
    manifest = sample(namespace, exposure=[])
    stage.create(manifest)
    stage.settled(namespace)
    fresh = referenced_secrets(BigPeer.parse(manifest), datetime.now(UTC))
    (client,) = (each for each in fresh if each["metadata"]["name"] == "kafka-client")

    with stage.watch(namespace, "smbpctl.dev/bigpeer=demo") as watch:
        wait_for("the watch", lambda: watch.ready_counts[-1:] == [9])
        old = set(stage.names("pods", namespace))
        watch.started.clear()
        watch.ready_counts.clear()
        stage.apply(client)
        wait_for("new pods alone", lambda: _all_new(stage, namespace, watch.started), seconds=90)
        stage.settled(namespace)

    members = [f"demo-store-0-{ordinal}" for ordinal in range(3)]
    assert sorted(name for name in watch.started if name in members) == members
    assert len(watch.started) == len(old) == 9
    assert min(watch.ready_counts) == 8
    data = client["data"]
    published = _content(stage, "demo-transaction-log", namespace)
    assert base64.b64encode(published["tls.crt"]).decode() == data["tls.crt"]


def _all_new(stage: Stage, namespace: str, started: list[str]) -> bool:
    ready = [f"pod/{name}" for name in started]
    return sorted(ready) == sorted(stage.names("pods", namespace))


def test_strimzi_comes_and_runs_the_log(stage: Stage, operator: Operator, namespace: str) -> None:
    """The operator runs all the time: it waits for Strimzi, then for each part, and says so."""
    folder = crds("strimzi", "1.2.0")
    stage.create(_strimzi(namespace, exposure=[]))
    absent = stage.wait_condition(namespace, READY, "False", "StrimziNotInstalled")
    stage.wait_condition(namespace, "Degraded", "True", "DependencyNotInstalled")
    stage.wait_condition(namespace, "TLSReady")

    install(stage, folder)
    strimzi = _asked(stage, namespace, "v1")
    _each_part_is_waited_for(stage, namespace, strimzi)
    stage.wait_condition(namespace, READY, "True", "Ready")
    stage.settled(namespace)

    assert "spec.transactionLog.type" in absent["message"]
    _published(stage, namespace, strimzi)
    _a_pause_is_shown_and_respected(stage, namespace, strimzi)


def _asked(stage: Stage, namespace: str, version: str) -> Strimzi:
    """Wait until Strimzi is asked for a cluster, and return who plays it."""
    stage.wait_condition(namespace, READY, "False", "KafkaNotReady", seconds=40)
    strimzi = Strimzi(stage.control_plane, namespace, "demo-log")
    wait_for("Strimzi's objects", lambda: len(strimzi.objects()) == 4)
    peer = stage.get("bigpeer", "demo", namespace) or {}
    assert peer["status"]["transactionLog"]["apiVersion"] == f"kafka.strimzi.io/{version}"
    for kind, manifest in strimzi.objects().items():
        assert manifest["metadata"]["labels"]["smbpctl.dev/bigpeer-uid"] == peer["metadata"]["uid"]
        # A topic's data goes with its object: garbage collection must never take it.
        assert ("ownerReferences" in manifest["metadata"]) == (kind == "KafkaUser")
    return strimzi


def _each_part_is_waited_for(stage: Stage, namespace: str, strimzi: Strimzi) -> None:
    """Kafka, topic and user are irregular in how they say it; the first that lacks is named."""
    strimzi.refuse_kafka("Creating", "Kafka cluster is being deployed")
    _told(stage, namespace, "KafkaNotReady", "Creating: Kafka cluster is being deployed")
    strimzi.start_kafka()
    _told(stage, namespace, "TopicNotReady", "KafkaTopic", "waits for Strimzi")
    strimzi.refuse_topic("NotSupported", "Decreasing partitions not supported")
    _told(stage, namespace, "TopicNotReady", "NotSupported: Decreasing partitions not supported")
    strimzi.make_topic()
    _told(stage, namespace, "UserNotReady", f"KafkaUser {namespace}/{namespace}.demo")
    assert stage.get("secret", "demo-transaction-log", namespace) is None
    strimzi.make_user()


def _told(stage: Stage, namespace: str, reason: str, *words: str) -> None:
    def probe() -> bool:
        found = stage.condition(namespace, READY)
        fits = (found["status"], found["reason"]) == ("False", reason)
        return fits and all(each in found["message"] for each in words)

    wait_for(f"{reason}: {' '.join(words)}", probe, seconds=30)


def _published(stage: Stage, namespace: str, strimzi: Strimzi) -> None:
    """The connection holds every certificate of the brokers' authority, and the user's pair."""
    authority = _content(stage, "demo-log-cluster-ca-cert", namespace)
    user = _content(stage, f"{namespace}.demo", namespace)
    assert _content(stage, "demo-transaction-log", namespace) == {
        "bootstrap-servers": BOOTSTRAP.encode(),
        "topic": f"{namespace}.demo.transactions".encode(),
        "security-protocol": b"SSL",
        "ca.crt": authority["ca-2026-01-01T00-00-00Z.crt"] + authority["ca.crt"],
        "tls.crt": user["user.crt"],
        "tls.key": user["user.key"],
    }


def _a_pause_is_shown_and_respected(stage: Stage, namespace: str, strimzi: Strimzi) -> None:
    """Who pauses Kafka in Strimzi reads it on the BigPeer, and is not overruled."""
    pause = "strimzi.io/pause-reconciliation"
    kafka = ("kafka.kafka.strimzi.io/demo-log", "-n", namespace)
    stage.control_plane.kubectl("annotate", *kafka, f"{pause}=true")
    strimzi.obey_pause()
    paused = stage.wait_condition(namespace, READY, "False", "ReconciliationPaused")
    assert f"Kafka {namespace}/demo-log is paused" in paused["message"]
    assert strimzi.objects()["Kafka"]["metadata"]["annotations"][pause] == "true"
    stage.control_plane.kubectl("annotate", *kafka, f"{pause}-")
    strimzi.start_kafka()
    stage.wait_condition(namespace, READY, "True", "Ready")


def test_delete_takes_the_log_in_order(stage: Stage, operator: Operator, namespace: str) -> None:
    """User and topic, Kafka, pool, claims: each when the ones before it are gone; then the peer."""
    strimzi = _running(stage, namespace, policy="Delete")

    _delete(stage, namespace)
    wait_for("the topic to be deleted", lambda: "KafkaUser" not in strimzi.objects())
    between = set(strimzi.objects())
    strimzi.delete_topic()
    wait_for("the BigPeer to go", lambda: stage.get("bigpeer", "demo", namespace) is None)

    assert between == {"KafkaTopic", "Kafka", "KafkaNodePool"}
    assert stage.names(KINDS, namespace) == []
    assert _broker_claims(stage, namespace) == []
    writes = [_write(event) for event in stage.writes(namespace)]
    first = writes.index(("patch", "bigpeers", 200))
    assert first < writes.index(("patch", "kafkas", 201))
    deleted = [resource for verb, resource, _ in writes if verb == "delete"]
    assert deleted == [
        *("kafkausers", "kafkatopics", "kafkas", "kafkanodepools"),
        *["persistentvolumeclaims"] * 3,
    ]
    assert writes[-1] == ("patch", "bigpeers", 200)


def test_retain_leaves_the_log_to_its_owner(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """Nothing of the data is touched; a namesake does not take it over, nor away."""
    strimzi = _running(stage, namespace, policy="Retain")
    before = _versions(strimzi)
    claims = _broker_claims(stage, namespace)
    assert "finalizers" not in (stage.get("bigpeer", "demo", namespace) or {})["metadata"]

    _delete(stage, namespace)
    wait_for("the user to go with its owner", lambda: "KafkaUser" not in strimzi.objects())
    after = _versions(strimzi)
    stage.apply(_strimzi(namespace, deletionPolicy="Delete"))
    conflict = stage.wait_condition(namespace, READY, "False", "NameConflict")
    _delete(stage, namespace)
    wait_for("the namesake to go", lambda: stage.get("bigpeer", "demo", namespace) is None)

    assert after == {kind: before[kind] for kind in ("Kafka", "KafkaNodePool", "KafkaTopic")}
    assert "demo-log" in conflict["message"]
    assert _versions(strimzi) == after
    assert _broker_claims(stage, namespace) == claims
    assert len(claims) == 3


def test_a_namespace_that_ends_is_not_held_up(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """The BigPeer goes at once, though the topic waits for a Strimzi that is gone as well."""
    strimzi = _running(stage, namespace, policy="Delete")

    stage.control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
    wait_for(
        "the BigPeer to go", lambda: stage.get("bigpeer", "demo", namespace) is None, seconds=20
    )

    assert "KafkaTopic" in strimzi.objects()
    assert [event for event in stage.writes(namespace) if event["verb"] == "delete"] == []


def test_a_topic_without_kafka_is_not_waited_for(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """Who deleted Kafka by hand left nobody to finish the topic; all the rest is taken away."""
    strimzi = _running(stage, namespace, policy="Delete")

    _delete(stage, namespace)
    wait_for("the topic to be deleted", lambda: "KafkaUser" not in strimzi.objects())
    stage.control_plane.kubectl("delete", "kafka.kafka.strimzi.io/demo-log", "-n", namespace)
    wait_for(
        "the BigPeer to go", lambda: stage.get("bigpeer", "demo", namespace) is None, seconds=30
    )

    assert set(strimzi.objects()) == {"KafkaTopic"}
    assert _broker_claims(stage, namespace) == []


def test_an_api_that_is_gone_is_not_waited_for(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """With Strimzi's CRDs went its objects: only the claims are left to be taken away."""
    _running(stage, namespace, policy="Delete", topic=False)

    uninstall(stage, crds("strimzi", "1.2.0"))
    _delete(stage, namespace)
    wait_for(
        "the BigPeer to go", lambda: stage.get("bigpeer", "demo", namespace) is None, seconds=30
    )

    wait_for("the claims to go", lambda: _broker_claims(stage, namespace) == [])


def _running(stage: Stage, namespace: str, *, topic: bool = True, policy: str) -> Strimzi:
    """Return who plays Strimzi, with a cluster that runs for a BigPeer without any pod."""
    folder = crds("strimzi", "1.2.0")
    if not _served(stage):
        install(stage, folder)
        # The operator, too, must know of Strimzi from the first moment of the BigPeer.
        stage.apply(_strimzi("default", "scout"))
        stage.wait_condition("default", READY, "False", "KafkaNotReady", name="scout")
        stage.control_plane.kubectl("delete", "bigpeer/scout", "-n", "default")
    stage.apply(_strimzi(namespace, deletionPolicy=policy))
    strimzi = _asked(stage, namespace, "v1")
    strimzi.start_kafka()
    strimzi.make_user()
    if topic:
        strimzi.make_topic()
        stage.wait_condition(namespace, READY, "True", "Ready")
    return strimzi


def _served(stage: Stage) -> bool:
    return STRIMZI in stage.control_plane.kubectl("api-versions").stdout


def _delete(stage: Stage, namespace: str) -> None:
    stage.control_plane.kubectl("delete", "bigpeer/demo", "-n", namespace, "--wait=false")


def _external(namespace: str, authentication: Manifest) -> Manifest:
    external = {
        "bootstrapServers": ["kafka-a.test:9093", "kafka-b.test:9093"],
        "tls": {"caSecretRef": {"name": "kafka-ca"}},
        "authentication": authentication,
    }
    return sample(namespace, transactionLog={"type": "External", "external": external})


def _strimzi(namespace: str, name: str = "demo", **spec: object) -> Manifest:
    strimzi = {"storage": {"size": "10Gi"}}
    return sample(namespace, name, transactionLog={"type": "Strimzi", "strimzi": strimzi}, **spec)


def _opaque(namespace: str, name: str, files: Mapping[str, bytes]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {file: base64.b64encode(value).decode() for file, value in files.items()},
    }


def _content(stage: Stage, name: str, namespace: str) -> dict[str, bytes]:
    secret = stage.get("secret", name, namespace)
    assert secret is not None, f"there is no Secret {name}"
    return {file: base64.b64decode(value) for file, value in secret["data"].items()}


def _versions(strimzi: Strimzi) -> dict[str, tuple[str, str]]:
    return {
        kind: (manifest["metadata"]["uid"], manifest["metadata"]["resourceVersion"])
        for kind, manifest in strimzi.objects().items()
    }


def _broker_claims(stage: Stage, namespace: str) -> list[str]:
    claims = stage.get_all("persistentvolumeclaims", namespace, selector="strimzi.io/cluster")
    return [
        claim["metadata"]["uid"] for claim in claims if "deletionTimestamp" not in claim["metadata"]
    ]


def _write(event: Mapping[str, Any]) -> tuple[str, str, int]:
    reference = event["objectRef"]
    parts = [reference["resource"], *([sub] if (sub := reference.get("subresource")) else [])]
    return event["verb"], "/".join(parts), event["responseStatus"]["code"]
