"""For every rule of the CRD an object that must pass and one that must be refused.

The unit tests hold `validate` to these cases, the control plane tests the real API server: the
two must agree on all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import (
    ABSENT,
    Edits,
    an_exposure,
    edited,
    exposed_peer,
    external_peer,
    strimzi_peer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCase:
    """One rule at one place of the schema.

    `at` is the schema path of the object that carries the rule, and with `message` names the rule.
    `blamed` is the field an error must name. A rule about changes has `before`: the edits that
    make the object whose change is tried.
    """

    at: str
    message: str
    blamed: str
    passes: Edits
    refused: Edits
    base: Manifest = field(default_factory=external_peer)
    before: Edits | None = None

    @property
    def rule(self) -> tuple[str, str]:
        """What names the rule in the CRD."""
        return self.at, self.message

    @property
    def old(self) -> Manifest | None:
        """The object before the change, for a rule about changes."""
        return None if self.before is None else edited(self.base, self.before)

    @property
    def good(self) -> Manifest:
        """An object the rule lets pass."""
        return edited(self.old or self.base, self.passes)

    @property
    def bad(self) -> Manifest:
        """An object the rule refuses."""
        return edited(self.old or self.base, self.refused)

    def __str__(self) -> str:
        return f"{self.at or 'root'}: {self.message}"


NO_TOPOLOGY = "topology changes are not supported by this version of the operator"
LOG = "spec.transactionLog"
SCRAM = {"type": "SCRAM", "scram": {"secretRef": {"name": "scram"}}}
MTLS = {"type": "TLS", "tls": {"secretRef": {"name": "client"}}}
SECRETS = {name: {"name": name.lower()} for name in ("ca", "inBand", "jwt")}

ROOT = (
    RuleCase(
        at="",
        message="metadata.name must be at most 30 characters: "
        "the names of other objects are built from it",
        blamed="metadata.name",
        passes={"metadata.name": "n" * 30},
        refused={"metadata.name": "n" * 31},
    ),
    RuleCase(
        at="",
        message="metadata.name must begin with a letter and contain only lower-case letters, "
        "digits and '-'",
        blamed="metadata.name",
        passes={"metadata.name": "a-1"},
        refused={"metadata.name": "1a"},
    ),
)

STORE = (
    RuleCase(
        at="spec.store",
        message="minimumReplicas must be at most replicas",
        blamed="spec.store.minimumReplicas",
        passes={"spec.store.minimumReplicas": 3},
        refused={"spec.store.minimumReplicas": 4},
    ),
    RuleCase(
        at="spec.store",
        message=f"partitions is immutable: {NO_TOPOLOGY}",
        blamed="spec.store.partitions",
        before={"spec.store.partitions": 2},
        passes={"spec.store.storage.size": "11Gi"},
        refused={"spec.store.partitions": 3},
    ),
    RuleCase(
        at="spec.store",
        message=f"replicas is immutable: {NO_TOPOLOGY}",
        blamed="spec.store.replicas",
        before={"spec.store.minimumReplicas": 1},
        passes={"spec.store.replicas": 3},
        refused={"spec.store.replicas": 4},
    ),
    RuleCase(
        at="spec.store",
        message=f"minimumReplicas is immutable: {NO_TOPOLOGY}",
        blamed="spec.store.minimumReplicas",
        before={},
        passes={"spec.store.minimumReplicas": 2},
        refused={"spec.store.minimumReplicas": 1},
    ),
)


def _storage_cases(at: str, base: Manifest) -> tuple[RuleCase, ...]:
    return (
        RuleCase(
            at=at,
            base=base,
            message="size must be greater than 0",
            blamed=f"{at}.size",
            passes={f"{at}.size": 1},
            refused={f"{at}.size": "0Gi"},
        ),
        RuleCase(
            at=at,
            base=base,
            message="size may only grow: volumes cannot shrink",
            blamed=f"{at}.size",
            before={f"{at}.size": "1Gi"},
            passes={f"{at}.size": "1024Mi"},
            refused={f"{at}.size": "1023Mi"},
        ),
        RuleCase(
            at=at,
            base=base,
            message="storageClassName is immutable: "
            "a change of class is not supported by this version of the operator",
            blamed=f"{at}.storageClassName",
            before={f"{at}.storageClassName": "fast"},
            passes={f"{at}.size": "11Gi"},
            refused={f"{at}.storageClassName": ABSENT},
        ),
    )


def _resources_case(at: str, base: Manifest) -> RuleCase:
    return RuleCase(
        at=at,
        base=base,
        message="requests must not exceed limits",
        blamed=f"{at}.requests",
        passes={f"{at}.requests": {"cpu": 1, "memory": "1Gi"}, f"{at}.limits": {"cpu": "1000m"}},
        refused={f"{at}.requests": {"cpu": "1001m"}, f"{at}.limits": {"cpu": 1}},
    )


STORAGE = (
    *_storage_cases("spec.store.storage", external_peer()),
    *_storage_cases(f"{LOG}.strimzi.storage", strimzi_peer()),
)
RESOURCES = (
    *(
        _resources_case(f"spec.{tier}.resources", external_peer())
        for tier in ("store", "api", "subscriptions", "auth")
    ),
    _resources_case(f"{LOG}.strimzi.resources", strimzi_peer()),
)

TRANSACTION_LOG = (
    RuleCase(
        at=LOG,
        message="type is immutable: the offsets of the log are the timestamps of the store",
        blamed=f"{LOG}.type",
        before={},
        passes={f"{LOG}.external.bootstrapServers": ["b.example.com:9092"]},
        refused={LOG: strimzi_peer()["spec"]["transactionLog"]},
    ),
    RuleCase(
        at=LOG,
        message="external must be present if and only if type is External",
        blamed=f"{LOG}.external",
        passes={f"{LOG}.external.bootstrapServers": ["a.example.com:1", "[::1]:65535"]},
        refused={f"{LOG}.external": ABSENT},
    ),
    RuleCase(
        at=LOG,
        message="strimzi must be present if and only if type is Strimzi",
        blamed=f"{LOG}.strimzi",
        passes={LOG: {"type": "Strimzi", "strimzi": {"storage": {"size": "1Gi"}}}},
        refused={f"{LOG}.strimzi": {"storage": {"size": "1Gi"}}},
    ),
    RuleCase(
        at=LOG,
        message="topic.replicas is only allowed with type Strimzi: an external topic is not ours",
        blamed=f"{LOG}.topic.replicas",
        passes={f"{LOG}.topic.name": "log"},
        refused={f"{LOG}.topic.replicas": 3},
    ),
    RuleCase(
        at=LOG,
        message="topic.minInSyncReplicas is only allowed with type Strimzi: "
        "an external topic is not ours",
        blamed=f"{LOG}.topic.minInSyncReplicas",
        passes={f"{LOG}.topic.retention": "1h30m"},
        refused={f"{LOG}.topic.minInSyncReplicas": 2},
    ),
    RuleCase(
        at=LOG,
        base=strimzi_peer(),
        message="topic.replicas must be at most strimzi.brokers",
        blamed=f"{LOG}.topic.replicas",
        passes={f"{LOG}.topic.replicas": 3},
        refused={f"{LOG}.topic.replicas": 4},
    ),
    RuleCase(
        at=LOG,
        base=strimzi_peer(),
        message="topic.minInSyncReplicas must be at most topic.replicas",
        blamed=f"{LOG}.topic.minInSyncReplicas",
        passes={f"{LOG}.strimzi.brokers": 5, f"{LOG}.topic.minInSyncReplicas": 3},
        refused={f"{LOG}.strimzi.brokers": 5, f"{LOG}.topic.minInSyncReplicas": 4},
    ),
    RuleCase(
        at=f"{LOG}.topic",
        message="name is immutable: another topic is another log",
        blamed=f"{LOG}.topic.name",
        before={f"{LOG}.topic.name": "log"},
        passes={f"{LOG}.topic.retention": "24h"},
        refused={f"{LOG}.topic.name": "log2"},
    ),
    RuleCase(
        at=f"{LOG}.topic",
        message="retention must be greater than 0",
        blamed=f"{LOG}.topic.retention",
        passes={f"{LOG}.topic.retention": "1ms"},
        refused={f"{LOG}.topic.retention": "0h0s"},
    ),
    RuleCase(
        at=f"{LOG}.strimzi",
        base=strimzi_peer(),
        message="brokers must be 1 or an odd number of at least 3",
        blamed=f"{LOG}.strimzi.brokers",
        passes={f"{LOG}.strimzi.brokers": 1},
        refused={f"{LOG}.strimzi.brokers": 2},
    ),
    RuleCase(
        at=f"{LOG}.strimzi",
        base=strimzi_peer(),
        message="brokers may only grow: a broker that leaves takes its copies with it",
        blamed=f"{LOG}.strimzi.brokers",
        before={},
        passes={f"{LOG}.strimzi.brokers": 5},
        refused={f"{LOG}.strimzi.brokers": 1},
    ),
    RuleCase(
        at=f"{LOG}.external",
        message="tls is required with authentication type TLS",
        blamed=f"{LOG}.external.tls",
        passes={
            f"{LOG}.external.authentication": MTLS,
            f"{LOG}.external.tls": {"caSecretRef": {"name": "kafka-ca"}},
        },
        refused={f"{LOG}.external.authentication": MTLS},
    ),
    RuleCase(
        at=f"{LOG}.external.authentication",
        message="tls must be present if and only if type is TLS",
        blamed=f"{LOG}.external.authentication.tls",
        passes={f"{LOG}.external.authentication": {}},
        refused={f"{LOG}.external.authentication": {**MTLS, "type": "None"}},
    ),
    RuleCase(
        at=f"{LOG}.external.authentication",
        message="scram must be present if and only if type is SCRAM",
        blamed=f"{LOG}.external.authentication.scram",
        passes={f"{LOG}.external.authentication": SCRAM},
        refused={f"{LOG}.external.authentication": {"type": "SCRAM"}},
    ),
)

TLS = (
    RuleCase(
        at="spec.tls",
        message="certManager is only allowed with type CertManager",
        blamed="spec.tls.certManager",
        passes={"spec.tls": {"certManager": {"issuerRef": {"name": "ca"}}}},
        refused={"spec.tls": {"type": "Secrets", "secrets": SECRETS, "certManager": {}}},
    ),
    RuleCase(
        at="spec.tls",
        message="secrets must be present if and only if type is Secrets",
        blamed="spec.tls.secrets",
        passes={"spec.tls": {"type": "Secrets", "secrets": SECRETS}},
        refused={"spec.tls": {"type": "Secrets"}},
    ),
    RuleCase(
        at="spec.tls.certManager",
        message="duration must be at least 1h",
        blamed="spec.tls.certManager.duration",
        passes={"spec.tls.certManager": {"duration": "1h", "renewBefore": "30m"}},
        refused={"spec.tls.certManager": {"duration": "59m", "renewBefore": "30m"}},
    ),
    RuleCase(
        at="spec.tls.certManager",
        message="renewBefore must be at least 5m",
        blamed="spec.tls.certManager.renewBefore",
        passes={"spec.tls.certManager.renewBefore": "300s"},
        refused={"spec.tls.certManager.renewBefore": "299s"},
    ),
    RuleCase(
        at="spec.tls.certManager",
        message="renewBefore must be less than duration",
        blamed="spec.tls.certManager.renewBefore",
        passes={"spec.tls.certManager": {"duration": "24h", "renewBefore": "8h"}},
        refused={"spec.tls.certManager": {"duration": "720h"}},
    ),
)

SAME_HOST = an_exposure("other", hosts=["web.example.com"])

NETWORKING = (
    RuleCase(
        at="spec",
        message="exposure must not name a host twice on one ingress class",
        blamed="spec.exposure",
        passes={
            "spec.exposure": [an_exposure(), {**SAME_HOST, "ingress": {"className": "internal"}}]
        },
        refused={"spec.exposure": [an_exposure(), SAME_HOST]},
    ),
    RuleCase(
        at="spec.exposure[]",
        base=exposed_peer(),
        message="ingress must be present if and only if type is Ingress",
        blamed="spec.exposure[0].ingress",
        passes={"spec.exposure[0].ingress.pathType": "ImplementationSpecific"},
        refused={"spec.exposure[0].ingress": ABSENT},
    ),
    RuleCase(
        at="spec.exposure[].tls",
        base=exposed_peer(),
        message="secretRef is only allowed with mode Terminate",
        blamed="spec.exposure[0].tls.secretRef",
        passes={"spec.exposure[0].tls": {"secretRef": {"name": "web"}}},
        refused={"spec.exposure[0].tls": {"mode": "None", "secretRef": {"name": "web"}}},
    ),
    RuleCase(
        at="spec.networkPolicy.clients[]",
        message="namespaceSelector or podSelector is required",
        blamed="spec.networkPolicy.clients[0].podSelector",
        passes={"spec.networkPolicy.clients": [{"namespaceSelector": {}}]},
        refused={"spec.networkPolicy.clients": [{}]},
    ),
)

RULE_CASES: tuple[RuleCase, ...] = (
    *ROOT,
    *STORE,
    *STORAGE,
    *RESOURCES,
    *TRANSACTION_LOG,
    *TLS,
    *NETWORKING,
)


def rules_in(schema: Mapping[str, Any], at: str = "") -> list[tuple[str, str]]:
    """List every rule of a schema: the path of the object that carries it, and its message."""
    found = [(at, str(rule["message"])) for rule in schema.get("x-kubernetes-validations", ())]
    for name, child in schema.get("properties", {}).items():
        found += rules_in(child, f"{at}.{name}" if at else name)
    if "items" in schema:
        found += rules_in(schema["items"], f"{at}[]")
    if "additionalProperties" in schema:
        found += rules_in(schema["additionalProperties"], f"{at}{{}}")
    return found
