"""Values the schema refuses and values at its limits that it takes, with the field to blame."""

from dataclasses import dataclass
from typing import Any

from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import ABSENT, an_exposure, edited, exposed_peer, strimzi_peer

LOG = "spec.transactionLog"
SERVERS = f"{LOG}.external.bootstrapServers"
CLIENTS = "spec.networkPolicy.clients"


@dataclass(frozen=True, slots=True)
class ValueCase:
    """One field with one value; `blamed` is what an error names, the field itself unless given."""

    field: str
    value: Any
    blamed: str = ""
    strimzi: bool = False

    @property
    def names(self) -> str:
        """The field an error must name."""
        return self.blamed or self.field

    @property
    def manifest(self) -> Manifest:
        """A BigPeer that is fine but for the value."""
        return edited(strimzi_peer() if self.strimzi else exposed_peer(), {self.field: self.value})

    def __str__(self) -> str:
        return f"{self.field}={self.value!r}"[:80]


REFUSED: tuple[ValueCase, ...] = (
    ValueCase("spec.version", ABSENT),
    ValueCase("spec.version", "1.63"),
    ValueCase("spec.version", "v1.63.2"),
    ValueCase("spec.version", "1.63.2+build"),
    ValueCase("spec.version", 1.63),
    ValueCase("spec.image.prefix", "registry.test/Big"),
    ValueCase("spec.image.prefix", "registry.test/"),
    ValueCase("spec.image.pullPolicy", "Sometimes"),
    ValueCase(
        "spec.image.pullSecrets", [{"name": "a"}, {"name": "a"}], "spec.image.pullSecrets[1]"
    ),
    ValueCase("spec.image.pullSecrets", [{"name": "A"}], "spec.image.pullSecrets[0].name"),
    ValueCase("spec.store", ABSENT),
    ValueCase("spec.store.partitions", 0),
    ValueCase("spec.store.partitions", 65),
    ValueCase("spec.store.partitions", "2"),
    ValueCase("spec.store.partitions", True),
    ValueCase("spec.store.replicas", 0),
    ValueCase("spec.store.replicas", 10),
    ValueCase("spec.store.minimumReplicas", 0),
    ValueCase("spec.store.storage", ABSENT),
    ValueCase("spec.store.storage.size", ABSENT),
    ValueCase("spec.store.storage.size", "10GB"),
    ValueCase("spec.store.storage.size", "-1Gi"),
    ValueCase("spec.store.storage.size", True),
    ValueCase("spec.store.storage.storageClassName", "Fast"),
    ValueCase("spec.store.resources.requests.cpu", "one"),
    ValueCase("spec.api.replicas", 0),
    ValueCase("spec.subscriptions.replicas", 1001),
    ValueCase("spec.auth", []),
    ValueCase(f"{LOG}.type", ABSENT),
    ValueCase(f"{LOG}.type", "Kafka"),
    ValueCase(SERVERS, []),
    ValueCase(SERVERS, ["kafka.example.com"], f"{SERVERS}[0]"),
    ValueCase(SERVERS, ["kafka.example.com:0"], f"{SERVERS}[0]"),
    ValueCase(SERVERS, ["kafka.example.com:65536"], f"{SERVERS}[0]"),
    ValueCase(SERVERS, ["a:1", "a:1"], f"{SERVERS}[1]"),
    ValueCase(f"{LOG}.external.tls", {}, f"{LOG}.external.tls.caSecretRef"),
    ValueCase(
        f"{LOG}.external.authentication",
        {"type": "SCRAM", "scram": {"mechanism": "PLAIN", "secretRef": {"name": "a"}}},
        f"{LOG}.external.authentication.scram.mechanism",
    ),
    ValueCase(f"{LOG}.strimzi.version", "4", strimzi=True),
    ValueCase(f"{LOG}.strimzi.brokers", 0, strimzi=True),
    ValueCase(f"{LOG}.strimzi.storage", ABSENT, strimzi=True),
    ValueCase(f"{LOG}.topic.name", "a b"),
    ValueCase(f"{LOG}.topic.name", ""),
    ValueCase(f"{LOG}.topic.retention", "7d"),
    ValueCase(f"{LOG}.topic.retention", 3600),
    ValueCase(f"{LOG}.topic.maxMessageBytes", 1_048_575),
    ValueCase("spec.tls.type", "Disabled"),
    ValueCase("spec.tls.certManager", {"issuerRef": {}}, "spec.tls.certManager.issuerRef.name"),
    ValueCase("spec.tls.certManager", {"duration": "-1h"}, "spec.tls.certManager.duration"),
    ValueCase(
        "spec.tls",
        {"type": "Secrets", "secrets": {"ca": {"name": "a"}, "jwt": {"name": "a"}}},
        "spec.tls.secrets.inBand",
    ),
    ValueCase("spec.exposure", [an_exposure(), an_exposure()], "spec.exposure[1]"),
    ValueCase("spec.exposure[0].name", "Web"),
    ValueCase("spec.exposure[0].name", "a.b"),
    ValueCase("spec.exposure[0].type", "Gateway"),
    ValueCase("spec.exposure[0].component", "Store"),
    ValueCase("spec.exposure[0].hosts", []),
    ValueCase("spec.exposure[0].hosts", ["a.test", "a.test"], "spec.exposure[0].hosts[1]"),
    ValueCase("spec.exposure[0].hosts", ["a.*.test"], "spec.exposure[0].hosts[0]"),
    ValueCase("spec.exposure[0].hosts", ["A.test"], "spec.exposure[0].hosts[0]"),
    ValueCase("spec.exposure[0].tls.mode", "Passthrough"),
    ValueCase("spec.exposure[0].annotations", {"a": 1}, "spec.exposure[0].annotations.a"),
    ValueCase("spec.exposure[0].labels", {"a": "b c"}, "spec.exposure[0].labels.a"),
    ValueCase("spec.exposure[0].ingress.className", ABSENT),
    ValueCase("spec.exposure[0].ingress.pathType", "Exact"),
    ValueCase("spec.networkPolicy.enabled", "yes"),
    ValueCase(CLIENTS, [{"podSelector": {"matchLabels": {"a": "-"}}}], f"{CLIENTS}[0]"),
    ValueCase("spec.update.settleSeconds", -1),
    ValueCase("spec.update.settleSeconds", 3601),
    ValueCase("spec.deletionPolicy", "Orphan"),
)

TAKEN: tuple[ValueCase, ...] = (
    ValueCase("spec.version", "1.63.2-rc.1"),
    ValueCase("spec.version", "9.0.0"),
    ValueCase("spec.image.prefix", "registry.test:5000/big-peer"),
    ValueCase("spec.store.partitions", 64),
    ValueCase("spec.store.replicas", 9),
    ValueCase("spec.store.storage.size", 10_737_418_240),
    ValueCase("spec.store.storage.size", "1.5e3"),
    ValueCase("spec.store.resources.requests", {"cpu": ".5", "memory": "1e9"}),
    ValueCase("spec.subscriptions.replicas", 1000),
    ValueCase(SERVERS, ["kafka:1", "10.0.0.1:65535", "[fe80::1]:9092"]),
    ValueCase(f"{LOG}.topic.retention", "99999h59m59s999ms"),
    ValueCase("spec.exposure[0].hosts", ["*.example.com", "localhost"]),
    ValueCase("spec.exposure[0].annotations", {"nginx.test/rewrite": "/$1"}),
    ValueCase("spec.exposure[0].labels", {"team": ""}),
    ValueCase("spec.exposure", [an_exposure(f"e{n}") for n in range(16)]),
    ValueCase(CLIENTS, [{"podSelector": {"matchLabels": {"a/b": "c"}}}]),
    ValueCase("spec.update.settleSeconds", 0),
    ValueCase("spec.deletionPolicy", "Delete"),
)
