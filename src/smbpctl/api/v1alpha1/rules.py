"""Every rule that compares fields of a BigPeer, once: CEL beside the same statement in Python."""

import re
from datetime import timedelta
from itertools import combinations

from smbpctl.api.v1alpha1 import defaults
from smbpctl.api.v1alpha1.bigpeer import MAX_NAME_LENGTH, BigPeer, BigPeerSpec
from smbpctl.api.v1alpha1.fields import ResourcesSpec, StorageSpec
from smbpctl.api.v1alpha1.networking import (
    ExposureSpec,
    ExposureTlsMode,
    ExposureTlsSpec,
    ExposureType,
    NetworkClient,
)
from smbpctl.api.v1alpha1.quantity import compare_quantities, parse_quantity
from smbpctl.api.v1alpha1.rule import AnyRule, Rule, TransitionRule, Violation
from smbpctl.api.v1alpha1.store import StoreSpec
from smbpctl.api.v1alpha1.tls import CertManagerSpec, TlsSpec, TlsType
from smbpctl.api.v1alpha1.transaction_log import (
    AuthenticationSpec,
    AuthenticationType,
    ExternalLogSpec,
    StrimziLogSpec,
    TopicSpec,
    TransactionLogSpec,
    TransactionLogType,
)

# Services are named after the BigPeer, and their names must begin with a letter (RFC 1035).
_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

_NO_TOPOLOGY = "topology changes are not supported by this version of the operator"


def _within_limits(resources: ResourcesSpec) -> bool:
    return all(
        compare_quantities(amount, resources.limits[name]) <= 0
        for name, amount in resources.requests.items()
        if name in resources.limits
    )


def _hosts_apart(spec: BigPeerSpec) -> bool:
    served = [
        (exposure.ingress.class_name, set(exposure.hosts))
        for exposure in spec.exposure
        if exposure.ingress
    ]
    return not any(
        class_a == class_b and hosts_a & hosts_b
        for (class_a, hosts_a), (class_b, hosts_b) in combinations(served, 2)
    )


def _in_sync_within_copies(log: TransactionLogSpec) -> bool:
    wanted = log.topic.min_in_sync_replicas
    if log.strimzi is None or wanted is None:
        return True
    return wanted <= defaults.topic_replicas(log.topic, log.strimzi)


ROOT_RULES: tuple[AnyRule, ...] = (
    Rule[BigPeer](
        model=BigPeer,
        field="metadata.name",
        cel=f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
        message=f"metadata.name must be at most {MAX_NAME_LENGTH} characters: "
        "the names of other objects are built from it",
        holds=lambda peer: len(peer.name) <= MAX_NAME_LENGTH,
    ),
    Rule[BigPeer](
        model=BigPeer,
        field="metadata.name",
        cel=f"self.metadata.name.matches('{_NAME_PATTERN}')",
        message="metadata.name must begin with a letter and contain only lower-case letters, "
        "digits and '-'",
        holds=lambda peer: re.fullmatch(_NAME_PATTERN, peer.name) is not None,
    ),
)

STORE_RULES: tuple[AnyRule, ...] = (
    Rule[StoreSpec](
        model=StoreSpec,
        field="minimumReplicas",
        cel="!has(self.minimumReplicas) || self.minimumReplicas <= self.replicas",
        message="minimumReplicas must be at most replicas",
        holds=lambda store: defaults.minimum_replicas(store) <= store.replicas,
    ),
    TransitionRule[StoreSpec](
        model=StoreSpec,
        field="partitions",
        cel="self.partitions == oldSelf.partitions",
        message=f"partitions is immutable: {_NO_TOPOLOGY}",
        holds=lambda store, old: store.partitions == old.partitions,
    ),
    TransitionRule[StoreSpec](
        model=StoreSpec,
        field="replicas",
        cel="self.replicas == oldSelf.replicas",
        message=f"replicas is immutable: {_NO_TOPOLOGY}",
        holds=lambda store, old: store.replicas == old.replicas,
    ),
    # Writing down the number that was computed before changes nothing and is allowed.
    TransitionRule[StoreSpec](
        model=StoreSpec,
        field="minimumReplicas",
        cel="(has(self.minimumReplicas) ? self.minimumReplicas : "
        "self.replicas > 1 ? self.replicas - 1 : 1) == "
        "(has(oldSelf.minimumReplicas) ? oldSelf.minimumReplicas : "
        "oldSelf.replicas > 1 ? oldSelf.replicas - 1 : 1)",
        message=f"minimumReplicas is immutable: {_NO_TOPOLOGY}",
        holds=lambda store, old: defaults.minimum_replicas(store) == defaults.minimum_replicas(old),
    ),
    Rule[StorageSpec](
        model=StorageSpec,
        field="size",
        cel="quantity(string(self.size)).isGreaterThan(quantity('0'))",
        message="size must be greater than 0",
        holds=lambda storage: parse_quantity(storage.size) > 0,
    ),
    TransitionRule[StorageSpec](
        model=StorageSpec,
        field="size",
        cel="quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
        message="size may only grow: volumes cannot shrink",
        holds=lambda storage, old: compare_quantities(storage.size, old.size) >= 0,
    ),
    TransitionRule[StorageSpec](
        model=StorageSpec,
        field="storageClassName",
        cel="has(self.storageClassName) == has(oldSelf.storageClassName) && "
        "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
        message="storageClassName is immutable: "
        "a change of class is not supported by this version of the operator",
        holds=lambda storage, old: storage.storage_class_name == old.storage_class_name,
    ),
    Rule[ResourcesSpec](
        model=ResourcesSpec,
        field="requests",
        cel="!has(self.requests) || !has(self.limits) || self.requests.all(name, "
        "!(name in self.limits) || quantity(string(self.requests[name]))"
        ".compareTo(quantity(string(self.limits[name]))) <= 0)",
        message="requests must not exceed limits",
        holds=_within_limits,
    ),
)

LOG_RULES: tuple[AnyRule, ...] = (
    TransitionRule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="type",
        cel="self.type == oldSelf.type",
        message="type is immutable: the offsets of the log are the timestamps of the store",
        holds=lambda log, old: log.type == old.type,
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="external",
        cel="(self.type == 'External') == has(self.external)",
        message="external must be present if and only if type is External",
        holds=lambda log: (log.type is TransactionLogType.EXTERNAL) == (log.external is not None),
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="strimzi",
        cel="(self.type == 'Strimzi') == has(self.strimzi)",
        message="strimzi must be present if and only if type is Strimzi",
        holds=lambda log: (log.type is TransactionLogType.STRIMZI) == (log.strimzi is not None),
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="topic.replicas",
        cel="!has(self.topic.replicas) || self.type == 'Strimzi'",
        message="topic.replicas is only allowed with type Strimzi: an external topic is not ours",
        holds=lambda log: log.topic.replicas is None or log.type is TransactionLogType.STRIMZI,
        violation=Violation.FORBIDDEN,
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="topic.minInSyncReplicas",
        cel="!has(self.topic.minInSyncReplicas) || self.type == 'Strimzi'",
        message="topic.minInSyncReplicas is only allowed with type Strimzi: "
        "an external topic is not ours",
        holds=lambda log: (
            log.topic.min_in_sync_replicas is None or log.type is TransactionLogType.STRIMZI
        ),
        violation=Violation.FORBIDDEN,
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="topic.replicas",
        cel="!has(self.strimzi) || !has(self.topic.replicas) || "
        "self.topic.replicas <= self.strimzi.brokers",
        message="topic.replicas must be at most strimzi.brokers",
        holds=lambda log: (
            log.strimzi is None
            or log.topic.replicas is None
            or log.topic.replicas <= log.strimzi.brokers
        ),
    ),
    Rule[TransactionLogSpec](
        model=TransactionLogSpec,
        field="topic.minInSyncReplicas",
        cel="!has(self.strimzi) || !has(self.topic.minInSyncReplicas) || "
        "self.topic.minInSyncReplicas <= (has(self.topic.replicas) ? self.topic.replicas : "
        f"self.strimzi.brokers < {defaults.DEFAULT_TOPIC_REPLICAS} ? self.strimzi.brokers : "
        f"{defaults.DEFAULT_TOPIC_REPLICAS})",
        message="topic.minInSyncReplicas must be at most topic.replicas",
        holds=_in_sync_within_copies,
    ),
    TransitionRule[TopicSpec](
        model=TopicSpec,
        field="name",
        cel="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
        message="name is immutable: another topic is another log",
        holds=lambda topic, old: topic.name == old.name,
    ),
    # The server checks the default `{}` of topic before it fills it in: no retention there.
    Rule[TopicSpec](
        model=TopicSpec,
        field="retention",
        cel="!has(self.retention) || duration(self.retention) > duration('0s')",
        message="retention must be greater than 0",
        holds=lambda topic: topic.retention > timedelta(),
    ),
    Rule[StrimziLogSpec](
        model=StrimziLogSpec,
        field="brokers",
        cel="self.brokers % 2 == 1",
        message="brokers must be 1 or an odd number of at least 3",
        holds=lambda strimzi: strimzi.brokers % 2 == 1,
    ),
    TransitionRule[StrimziLogSpec](
        model=StrimziLogSpec,
        field="brokers",
        cel="self.brokers >= oldSelf.brokers",
        message="brokers may only grow: a broker that leaves takes its copies with it",
        holds=lambda strimzi, old: strimzi.brokers >= old.brokers,
    ),
    Rule[ExternalLogSpec](
        model=ExternalLogSpec,
        field="tls",
        cel="self.authentication.type != 'TLS' || has(self.tls)",
        message="tls is required with authentication type TLS",
        holds=lambda external: (
            external.authentication.type is not AuthenticationType.TLS or external.tls is not None
        ),
        violation=Violation.REQUIRED,
    ),
    Rule[AuthenticationSpec](
        model=AuthenticationSpec,
        field="tls",
        cel="(self.type == 'TLS') == has(self.tls)",
        message="tls must be present if and only if type is TLS",
        holds=lambda auth: (auth.type is AuthenticationType.TLS) == (auth.tls is not None),
    ),
    Rule[AuthenticationSpec](
        model=AuthenticationSpec,
        field="scram",
        cel="(self.type == 'SCRAM') == has(self.scram)",
        message="scram must be present if and only if type is SCRAM",
        holds=lambda auth: (auth.type is AuthenticationType.SCRAM) == (auth.scram is not None),
    ),
)

TLS_RULES: tuple[AnyRule, ...] = (
    Rule[TlsSpec](
        model=TlsSpec,
        field="certManager",
        cel="!has(self.certManager) || self.type == 'CertManager'",
        message="certManager is only allowed with type CertManager",
        holds=lambda tls: tls.cert_manager is None or tls.type is TlsType.CERT_MANAGER,
        violation=Violation.FORBIDDEN,
    ),
    Rule[TlsSpec](
        model=TlsSpec,
        field="secrets",
        cel="(self.type == 'Secrets') == has(self.secrets)",
        message="secrets must be present if and only if type is Secrets",
        holds=lambda tls: (tls.type is TlsType.SECRETS) == (tls.secrets is not None),
    ),
    # The two floors are cert-manager's own; it would refuse the Certificate.
    Rule[CertManagerSpec](
        model=CertManagerSpec,
        field="duration",
        cel="duration(self.duration) >= duration('1h')",
        message="duration must be at least 1h",
        holds=lambda options: options.duration >= timedelta(hours=1),
    ),
    Rule[CertManagerSpec](
        model=CertManagerSpec,
        field="renewBefore",
        cel="duration(self.renewBefore) >= duration('5m')",
        message="renewBefore must be at least 5m",
        holds=lambda options: options.renew_before >= timedelta(minutes=5),
    ),
    Rule[CertManagerSpec](
        model=CertManagerSpec,
        field="renewBefore",
        cel="duration(self.renewBefore) < duration(self.duration)",
        message="renewBefore must be less than duration",
        holds=lambda options: options.renew_before < options.duration,
    ),
)

NETWORKING_RULES: tuple[AnyRule, ...] = (
    Rule[BigPeerSpec](
        model=BigPeerSpec,
        field="exposure",
        cel="!has(self.exposure) || self.exposure.all(a, self.exposure.all(b, a.name == b.name || "
        "!has(a.ingress) || !has(b.ingress) || a.ingress.className != b.ingress.className || "
        "!a.hosts.exists(host, host in b.hosts)))",
        message="exposure must not name a host twice on one ingress class",
        holds=_hosts_apart,
    ),
    Rule[ExposureSpec](
        model=ExposureSpec,
        field="ingress",
        cel="(self.type == 'Ingress') == has(self.ingress)",
        message="ingress must be present if and only if type is Ingress",
        holds=lambda exposure: (
            (exposure.type is ExposureType.INGRESS) == (exposure.ingress is not None)
        ),
    ),
    Rule[ExposureTlsSpec](
        model=ExposureTlsSpec,
        field="secretRef",
        cel="!has(self.secretRef) || self.mode == 'Terminate'",
        message="secretRef is only allowed with mode Terminate",
        holds=lambda tls: tls.secret_ref is None or tls.mode is ExposureTlsMode.TERMINATE,
        violation=Violation.FORBIDDEN,
    ),
    # A client without selectors would be everybody in the namespace, by accident.
    Rule[NetworkClient](
        model=NetworkClient,
        field="podSelector",
        cel="has(self.namespaceSelector) || has(self.podSelector)",
        message="namespaceSelector or podSelector is required",
        holds=lambda client: (
            client.namespace_selector is not None or client.pod_selector is not None
        ),
        violation=Violation.REQUIRED,
    ),
)

RULES: tuple[AnyRule, ...] = (
    *ROOT_RULES,
    *STORE_RULES,
    *LOG_RULES,
    *TLS_RULES,
    *NETWORKING_RULES,
)
"""All rules. A model's rules apply wherever the model appears in a BigPeer."""
