"""Every name, label and annotation that the operator gives to an object."""

import hashlib
import json
from typing import Any, Final

from smbpctl.api.v1alpha1 import BigPeer, ExposureSpec, ExposureTlsMode, TlsType
from smbpctl.operand.contract import Component
from smbpctl.runtime.meta import Manifest

DOMAIN: Final = "smbpctl.dev"
MANAGED_BY: Final = "smbpctl"

LABEL_PEER: Final = f"{DOMAIN}/bigpeer"
LABEL_PARTITION: Final = f"{DOMAIN}/partition"
LABEL_PEER_UID: Final = f"{DOMAIN}/bigpeer-uid"
LABEL_CONFIG_ID: Final = f"{DOMAIN}/config-id"
LABEL_REVISION: Final = f"{DOMAIN}/revision"
LABEL_VERSION: Final = "app.kubernetes.io/version"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"

DATA_VOLUME: Final = "data"


def name_of(peer: BigPeer, component: Component) -> str:
    """Return the name of a component's workload, Service and ServiceAccount."""
    return f"{peer.name}-{component.value}"


def partition_name(peer: BigPeer, partition: int) -> str:
    """Return the name of a partition's StatefulSet, headless Service and disruption budget."""
    return f"{peer.name}-store-{partition}"


def member_name(peer: BigPeer, partition: int, ordinal: int) -> str:
    """Return the name of a store member's pod."""
    return f"{partition_name(peer, partition)}-{ordinal}"


def claim_name(peer: BigPeer, partition: int, ordinal: int) -> str:
    """Return the name of a store member's claim, as the StatefulSet controller makes it."""
    return f"{DATA_VOLUME}-{member_name(peer, partition, ordinal)}"


def topology_name(peer: BigPeer, config_id: int | None = None) -> str:
    """Return the ConfigMap that members mount, or the immutable copy of one configuration."""
    return f"{peer.name}-topology" if config_id is None else f"{peer.name}-topology-{config_id}"


def connection_secret(peer: BigPeer) -> str:
    """Return the Secret through which every component reaches the transaction log."""
    return f"{peer.name}-transaction-log"


def kafka_name(peer: BigPeer) -> str:
    """Return the name of the Kafka cluster and topic that we own in Strimzi mode."""
    return f"{peer.name}-log"


def kafka_pool_name(peer: BigPeer) -> str:
    """Return the node pool's name, unique in the namespace and short whatever the BigPeer's.

    A broker's pod is called `<kafka>-<pool>-<id>`, and that is its hostname: 63 characters at most.
    """
    return f"broker-{digest(peer.name)[:8]}"


def kafka_user_name(peer: BigPeer) -> str:
    """Return the KafkaUser's name, unique across the namespaces that share a Kafka."""
    return f"{peer.namespace}.{peer.name}"


def ca_name(peer: BigPeer, generation: int = 1) -> str:
    """Return the name of a generation of the managed certificate authority."""
    return f"{peer.name}-ca-{generation}"


def ca_secret(peer: BigPeer) -> str:
    """Return the Secret that holds the device certificate authority."""
    secrets = peer.spec.tls.secrets
    return secrets.ca.name if secrets is not None else ca_name(peer)


def in_band_secret(peer: BigPeer) -> str:
    """Return the Secret that holds the certificate between components."""
    secrets = peer.spec.tls.secrets
    return secrets.in_band.name if secrets is not None else f"{peer.name}-in-band"


def jwt_secret(peer: BigPeer) -> str:
    """Return the Secret that holds the key pair which signs device tokens."""
    secrets = peer.spec.tls.secrets
    return secrets.jwt.name if secrets is not None else f"{peer.name}-jwt"


def serving_secret(peer: BigPeer, exposure: ExposureSpec) -> str | None:
    """Return the Secret with the certificate an exposure serves; None where it serves none.

    The exposure's own reference wins, then `spec.tls.secrets.serving`; with cert-manager one
    certificate covers the hosts of every terminating exposure.
    """
    if exposure.tls.mode is not ExposureTlsMode.TERMINATE:
        return None
    if exposure.tls.secret_ref is not None:
        return exposure.tls.secret_ref.name
    if peer.spec.tls.type is TlsType.CERT_MANAGER:
        return f"{peer.name}-serving"
    secrets = peer.spec.tls.secrets
    return secrets.serving.name if secrets is not None and secrets.serving is not None else None


def exposure_name(peer: BigPeer, exposure: ExposureSpec) -> str:
    """Return the name of the object that carries an exposure."""
    return f"{peer.name}-{exposure.name}"


def selector(peer: BigPeer, component: Component, partition: int | None = None) -> dict[str, str]:
    """Return the labels that select a component's pods; immutable for a workload's life."""
    labels = {"app.kubernetes.io/instance": peer.name, LABEL_COMPONENT: component.value}
    if partition is not None:
        labels[LABEL_PARTITION] = str(partition)
    return labels


def labels(
    peer: BigPeer, component: Component | None = None, partition: int | None = None
) -> dict[str, str]:
    """Return the labels of an object that belongs to the BigPeer, and to a component if given."""
    common = {
        "app.kubernetes.io/name": "big-peer",
        "app.kubernetes.io/instance": peer.name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        LABEL_PEER: peer.name,
    }
    return common if component is None else {**common, **selector(peer, component, partition)}


def metadata(
    peer: BigPeer,
    name: str,
    component: Component | None = None,
    partition: int | None = None,
) -> Manifest:
    """Return the metadata of an object of the BigPeer: name, namespace, labels."""
    return {
        "name": name,
        "namespace": peer.namespace,
        "labels": labels(peer, component, partition),
    }


def digest(value: Any) -> str:
    """Return a short stable hash of a JSON-shaped value, fit for a label."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]
