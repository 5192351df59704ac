"""Plays Strimzi's operators through the API: brings a Kafka cluster up, pauses it, lets it go."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.sandbox.secrets import authority, leaf

TOPIC_FINALIZER = "strimzi.io/topic-operator"
BOOTSTRAP = "demo-log-kafka-bootstrap.test.svc:9093"
KINDS = "kafkas,kafkanodepools,kafkatopics,kafkausers"


class Strimzi:
    """The operators of one namespace; they do nothing until a test tells them to.

    Conditions are as irregular as Strimzi's: Kafka and KafkaUser fail with `NotReady`, which is
    True then, KafkaTopic with `Ready`, which is False.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str, cluster: str) -> None:
        self._control_plane = control_plane
        self._namespace = namespace
        self.cluster = cluster

    def objects(self) -> dict[str, Manifest]:
        """Return Strimzi's objects of the namespace by kind."""
        return {each["kind"]: each for each in self._get(KINDS)["items"]}

    def refuse_kafka(self, reason: str, message: str) -> None:
        """Report that Kafka does not work (yet)."""
        self._report("Kafka", _condition("NotReady", "True", reason, message))

    def start_kafka(self) -> None:
        """Leave behind what a running cluster leaves: claims, the authority, addresses."""
        self._claim_volumes()
        now = datetime.now(UTC)
        old, new = (authority(name, now).certificate for name in ("old", "new"))
        certificates = {
            "ca-2026-01-01T00-00-00Z.crt": old.public_bytes(Encoding.PEM),
            "ca.crt": new.public_bytes(Encoding.PEM),
        }
        self._store(f"{self.cluster}-cluster-ca-cert", {**certificates, "ca.password": b"x"})
        listener = {"name": "tls", "bootstrapServers": BOOTSTRAP}
        self._report("Kafka", _condition("Ready", "True"), listeners=[listener])

    def refuse_topic(self, reason: str, message: str) -> None:
        """Report that the topic does not work (yet)."""
        self._report("KafkaTopic", _condition("Ready", "False", reason, message))

    def make_topic(self) -> None:
        """Make the topic, and see to it that it is not forgotten when its object goes."""
        self._patch("KafkaTopic", {"metadata": {"finalizers": [TOPIC_FINALIZER]}})
        name = self.objects()["KafkaTopic"]["spec"]["topicName"]
        self._report("KafkaTopic", _condition("Ready", "True"), topicName=name)

    def delete_topic(self) -> None:
        """Delete the topic's data and let its object go."""
        assert "deletionTimestamp" in self.objects()["KafkaTopic"]["metadata"]
        self._patch("KafkaTopic", {"metadata": {"finalizers": None}})

    def make_user(self) -> None:
        """Sign the user's certificate into its Secret; also how it is renewed."""
        name, now = self.objects()["KafkaUser"]["metadata"]["name"], datetime.now(UTC)
        clients = authority("clients", now)
        pair = leaf(clients, [name], now)
        files = {
            "ca.crt": clients.certificate.public_bytes(Encoding.PEM),
            "user.crt": pair.certificate.public_bytes(Encoding.PEM),
            "user.key": pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        }
        self._store(name, files)
        ready = _condition("Ready", "True")
        self._report("KafkaUser", ready, username=f"CN={name}", secret=name)

    def obey_pause(self) -> None:
        """Stop looking after Kafka if its annotation says so."""
        annotations = self.objects()["Kafka"]["metadata"]["annotations"]
        assert annotations["strimzi.io/pause-reconciliation"] == "true"
        self._report("Kafka", _condition("ReconciliationPaused", "True"))

    def secret(self, name: str) -> dict[str, bytes]:
        """Return the content of a Secret."""
        data = self._get("secret", name)["data"]
        return {file: base64.b64decode(value) for file, value in data.items()}

    def _claim_volumes(self) -> None:
        """Make one claim a broker; they carry the labels of the pool, as Strimzi has it."""
        pool = self.objects()["KafkaNodePool"]
        labels = {
            key: value
            for key, value in pool["metadata"]["labels"].items()
            if not key.startswith("app.kubernetes.io/")
        }
        size = pool["spec"]["storage"]["volumes"][0]["size"]
        for node in range(pool["spec"]["replicas"]):
            name = f"data-0-{self.cluster}-{pool['metadata']['name']}-{node}"
            spec = {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
            }
            self._apply("PersistentVolumeClaim", name, labels, spec=spec)

    def _store(self, name: str, files: Mapping[str, bytes]) -> None:
        data = {file: base64.b64encode(value).decode() for file, value in files.items()}
        self._apply("Secret", name, {"strimzi.io/cluster": self.cluster}, data=data)

    def _apply(self, kind: str, name: str, labels: Mapping[str, str], **content: object) -> None:
        metadata = {"name": name, "namespace": self._namespace, "labels": labels}
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}
        command = ("apply", "--server-side", "--field-manager=strimzi", "-f", "-")
        self._control_plane.kubectl(*command, stdin=json.dumps(manifest))

    def _report(self, kind: str, *conditions: Manifest, **status: object) -> None:
        generation = self.objects()[kind]["metadata"]["generation"]
        content = {**status, "conditions": conditions, "observedGeneration": generation}
        self._patch(kind, {"status": content}, "--subresource=status")

    def _patch(self, kind: str, patch: Manifest, *flags: str) -> None:
        name = self.objects()[kind]["metadata"]["name"]
        command = ("patch", f"{kind}.kafka.strimzi.io", name, "-n", self._namespace)
        self._control_plane.kubectl(*command, *flags, "--type=merge", "-p", json.dumps(patch))

    def _get(self, *what: str) -> Any:
        command = ("get", *what, "-n", self._namespace, "-o", "json")
        return json.loads(self._control_plane.kubectl(*command).stdout)


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Manifest:
    # Strimzi's times have fractions of a second.
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    told = {"reason": reason, "message": message} if reason else {}
    return {"type": kind, "status": status, "lastTransitionTime": now, **told}
