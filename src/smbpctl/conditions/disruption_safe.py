"""DisruptionSafe: a warning when no member of the store can be spared."""

from smbpctl.api.v1alpha1 import Condition, ConditionType, DisruptionSafeReason
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import ClusterObserved


def disruption_safe(observed: ClusterObserved) -> Condition:
    """Return whether each partition keeps its floor when one member is disrupted."""
    kind = ConditionType.DISRUPTION_SAFE
    replicas = observed.peer.spec.store.replicas
    if replicas == 1:
        return verdict(observed.peer, kind, False, DisruptionSafeReason.SINGLE_REPLICA)
    if observed.effective.minimum_replicas == replicas:
        message = (
            f"spec.store.minimumReplicas is {replicas}, as is spec.store.replicas: "
            "updates and drains wait forever"
        )
        return verdict(observed.peer, kind, False, DisruptionSafeReason.NO_REDUNDANCY, message)
    return verdict(observed.peer, kind, True, DisruptionSafeReason.REDUNDANT)
