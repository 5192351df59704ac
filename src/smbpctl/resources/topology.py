"""Topology ConfigMaps: the immutable copy of each configuration, and the one members mount."""

from smbpctl.api.v1alpha1 import BigPeer, Effective
from smbpctl.operand import contract
from smbpctl.operand.members import Configuration, MemberAddress, Topology
from smbpctl.resources import naming
from smbpctl.resources.store import FIRST_CONFIG_ID
from smbpctl.runtime.meta import Manifest


def configuration(peer: BigPeer, effective: Effective) -> Configuration:
    """Return the configuration that the spec asks for: a rectangle of partitions and replicas."""
    store = peer.spec.store
    members = [
        MemberAddress(
            partition=partition,
            ordinal=ordinal,
            host=(
                f"{naming.member_name(peer, partition, ordinal)}"
                f".{naming.partition_name(peer, partition)}.{peer.namespace}.svc"
            ),
            port=contract.COMPONENTS[contract.Component.STORE].port,
        )
        for partition in range(store.partitions)
        for ordinal in range(store.replicas)
    ]
    return Configuration(
        id=FIRST_CONFIG_ID,
        partitions=store.partitions,
        replicas=store.replicas,
        minimum_replicas=effective.minimum_replicas,
        members=tuple(members),
    )


def topology_copy(peer: BigPeer, effective: Effective) -> Manifest:
    """Return the immutable copy of the current configuration."""
    current = configuration(peer, effective)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": naming.metadata(peer, naming.topology_name(peer, current.id)),
        "immutable": True,
        "data": {contract.TOPOLOGY_FILE: Topology(current=current, next=None).to_json()},
    }


def topology(peer: BigPeer, effective: Effective) -> Manifest:
    """Return the ConfigMap that every member mounts and re-reads."""
    current = configuration(peer, effective)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": naming.metadata(peer, naming.topology_name(peer)),
        "data": {contract.TOPOLOGY_FILE: Topology(current=current, next=None).to_json()},
    }
