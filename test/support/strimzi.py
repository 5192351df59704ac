"""Plays Strimzi's operators through the API: brings a Kafka cluster up, pauses it, lets it go."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smbpctl.runtime.clock import LoopClock
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
        self._report(self.objects()["Kafka"], _condition("NotReady", "True", reason, message))

    def start_kafka(self) -> None:
        """Leave behind what a running cluster leaves: claims, the authority, addresses."""
        objects, now = self.objects(), LoopClock().now()
        old, new = (authority(name, now).certificate for name in ("old", "new"))
        certificates = {
            "ca-2026-01-01T00-00-00Z.crt": old.public_bytes(Encoding.PEM),
            "ca.crt": new.public_bytes(Encoding.PEM),
        }
        self._apply(
            *self._claims(objects["KafkaNodePool"]),
            self._secret(f"{self.cluster}-cluster-ca-cert", {**certificates, "ca.password": b"x"}),
        )
        listener = {"name": "tls", "bootstrapServers": BOOTSTRAP}
        self._report(objects["Kafka"], _condition("Ready", "True"), listeners=[listener])

    def refuse_topic(self, reason: str, message: str) -> None:
        """Report that the topic does not work (yet)."""
        self._report(self.objects()["KafkaTopic"], _condition("Ready", "False", reason, message))

    def make_topic(self) -> None:
        """Make the topic, and see to it that it is not forgotten when its object goes."""
        topic = self.objects()["KafkaTopic"]
        self._patch(topic, {"metadata": {"finalizers": [TOPIC_FINALIZER]}})
        name = topic["spec"]["topicName"]
        self._report(topic, _condition("Ready", "True"), topicName=name)

    def delete_topic(self) -> None:
        """Delete the topic's data and let its object go, if it was told to go."""
        topic = self.objects().get("KafkaTopic")
        if topic is not None:
            assert "deletionTimestamp" in topic["metadata"], "nobody has deleted the topic"
            self._patch(topic, {"metadata": {"finalizers": None}})

    def make_user(self) -> None:
        """Sign the user's certificate into its Secret; also how it is renewed."""
        user, now = self.objects()["KafkaUser"], LoopClock().now()
        name = user["metadata"]["name"]
        clients = authority("clients", now)
        pair = leaf(clients, [name], now)
        files = {
            "ca.crt": clients.certificate.public_bytes(Encoding.PEM),
            "user.crt": pair.certificate.public_bytes(Encoding.PEM),
            "user.key": pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        }
        self._apply(self._secret(name, files))
        self._report(user, _condition("Ready", "True"), username=f"CN={name}", secret=name)

    def obey_pause(self) -> None:
        """Stop looking after Kafka, as its annotation says."""
        kafka = self.objects()["Kafka"]
        assert kafka["metadata"]["annotations"]["strimzi.io/pause-reconciliation"] == "true"
        self._report(kafka, _condition("ReconciliationPaused", "True"))

    def leave(self) -> None:
        """Forget every topic of the namespace, so that nothing is held up by its finalizer."""
        for topic in self._get("kafkatopics")["items"]:
            self._patch(topic, {"metadata": {"finalizers": None}})

    def _claims(self, pool: Manifest) -> list[Manifest]:
        """Return one claim a broker; they carry the labels of the pool, as Strimzi has it."""
        labels = {
            key: value
            for key, value in pool["metadata"]["labels"].items()
            if not key.startswith("app.kubernetes.io/")
        }
        size = pool["spec"]["storage"]["volumes"][0]["size"]
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        prefix = f"data-0-{self.cluster}-{pool['metadata']['name']}"
        return [
            self._manifest("PersistentVolumeClaim", f"{prefix}-{node}", labels, spec=spec)
            for node in range(pool["spec"]["replicas"])
        ]

    def _secret(self, name: str, files: Mapping[str, bytes]) -> Manifest:
        data = {file: base64.b64encode(value).decode() for file, value in files.items()}
        return self._manifest("Secret", name, {"strimzi.io/cluster": self.cluster}, data=data)

    def _manifest(
        self, kind: str, name: str, labels: Mapping[str, str], **content: object
    ) -> Manifest:
        metadata = {"name": name, "namespace": self._namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}

    def _apply(self, *manifests: Manifest) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        command = ("apply", "--server-side", "--field-manager=strimzi", "-f", "-")
        self._control_plane.kubectl(*command, stdin=json.dumps(listed))

    def _report(self, manifest: Manifest, *conditions: Manifest, **status: object) -> None:
        generation = manifest["metadata"]["generation"]
        content = {**status, "conditions": conditions, "observedGeneration": generation}
        self._patch(manifest, {"status": content}, "--subresource=status")

    def _patch(self, manifest: Manifest, patch: Manifest, *flags: str) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        command = ("patch", f"{kind}.kafka.strimzi.io", name, "-n", self._namespace)
        self._control_plane.kubectl(*command, *flags, "--type=merge", "-p", json.dumps(patch))

    def _get(self, *what: str) -> Any:
        command = ("get", *what, "-n", self._namespace, "-o", "json")
        return json.loads(self._control_plane.kubectl(*command).stdout)


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Manifest:
    # Strimzi's times have fractions of a second.
    now = LoopClock().now().strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    told = {"reason": reason, "message": message} if reason else {}
    return {"type": kind, "status": status, "lastTransitionTime": now, **told}
