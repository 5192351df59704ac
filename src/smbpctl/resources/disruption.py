"""Disruption budgets: how many pods of a group the cluster may take away at once."""

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest


def store_disruption_budget(peer: BigPeer, partition: int) -> Manifest | None:
    """One member of a partition may be away at a time; a single replica gets no budget.

    A budget over one replica would block every node drain for ever. `AlwaysAllow` lets a broken
    pod be evicted: with the default policy it never could be while the group is unhealthy.
    """
    if peer.spec.store.replicas < 2:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": naming.metadata(
            peer, naming.partition_name(peer, partition), Component.STORE, partition
        ),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": naming.selector(peer, Component.STORE, partition)},
        },
    }
