"""The complete desired objects of a BigPeer, in the order in which they are applied.

One function per reconciler, because each applies its own; `render` prints them all.
"""

from smbpctl.api.v1alpha1 import BigPeer, Effective
from smbpctl.operand.contract import Component
from smbpctl.resources.disruption import store_disruption_budget
from smbpctl.resources.frontends import FRONT_ENDS, tier_deployment
from smbpctl.resources.identity import service_account
from smbpctl.resources.ingress import ingress
from smbpctl.resources.inputs import Inputs
from smbpctl.resources.kafka import kafka, kafka_node_pool, kafka_topic, kafka_user
from smbpctl.resources.network_policies import network_policy
from smbpctl.resources.services import component_service, member_service
from smbpctl.resources.store import store_statefulset
from smbpctl.resources.topology import topology, topology_copy
from smbpctl.runtime.meta import Manifest


def foundation_objects(peer: BigPeer, effective: Effective) -> list[Manifest]:
    """Return what pods need before they start: identities, topology, disruption budgets."""
    budgets = [
        store_disruption_budget(peer, partition) for partition in range(peer.spec.store.partitions)
    ]
    return [
        *(service_account(peer, component) for component in Component),
        topology_copy(peer, effective),
        topology(peer, effective),
        *_present(budgets),
    ]


def store_objects(
    peer: BigPeer, inputs: Inputs, claim_sizes: dict[int, str] | None = None
) -> list[Manifest]:
    """Return the StatefulSets, one per partition.

    `claim_sizes` holds, per partition, the size an existing StatefulSet was made with.
    """
    sizes = claim_sizes or {}
    size = peer.spec.store.storage.size
    return [
        store_statefulset(peer, inputs, partition, claim_size=sizes.get(partition, size))
        for partition in range(peer.spec.store.partitions)
    ]


def front_end_objects(peer: BigPeer, inputs: Inputs) -> list[Manifest]:
    """Return the Deployments of the stateless tiers."""
    return [tier_deployment(peer, inputs, component) for component in FRONT_ENDS]


def networking_objects(peer: BigPeer, inputs: Inputs) -> list[Manifest]:
    """Return Services, NetworkPolicies and the objects that carry the exposures."""
    policies = [network_policy(peer, inputs, component) for component in Component]
    exposures = [ingress(peer, exposure) for exposure in peer.spec.exposure]
    return [
        *(member_service(peer, partition) for partition in range(peer.spec.store.partitions)),
        *(component_service(peer, component) for component in Component),
        *_present(policies),
        *_present(exposures),
    ]


def kafka_objects(peer: BigPeer, effective: Effective, version: str) -> list[Manifest]:
    """Return the Strimzi objects in the served API version; none outside Strimzi mode."""
    return _present(
        [
            kafka(peer, effective, version),
            kafka_node_pool(peer, version),
            kafka_topic(peer, effective, version),
            kafka_user(peer, effective, version),
        ]
    )


def _present(objects: list[Manifest | None]) -> list[Manifest]:
    return [manifest for manifest in objects if manifest is not None]
