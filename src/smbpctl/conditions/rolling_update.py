"""RollingUpdateSucceeded: every pod runs the revision that the spec asks for."""

from smbpctl.api.v1alpha1 import Condition, ConditionType, RollingUpdateSucceededReason
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import ClusterObserved, Partition, Tier


def rolling_update_succeeded(
    observed: ClusterObserved,
    hindrance: RollingUpdateSucceededReason | None = None,
    message: str = "",
) -> Condition:
    """Return whether the rollout is complete; `hindrance` is what holds it up, if anything."""
    kind = ConditionType.ROLLING_UPDATE_SUCCEEDED
    if hindrance is None and not pending(observed):
        return verdict(observed.peer, kind, True, RollingUpdateSucceededReason.UP_TO_DATE)
    reason = hindrance or RollingUpdateSucceededReason.IN_PROGRESS
    return verdict(observed.peer, kind, False, reason, message)


def pending(observed: ClusterObserved) -> bool:
    """Tell whether any workload, or any pod of one, is not at the revision the spec asks for."""
    return any(_partition_pending(observed, partition) for partition in observed.partitions) or any(
        _tier_pending(observed, tier) for tier in observed.tiers
    )


def _partition_pending(observed: ClusterObserved, partition: Partition) -> bool:
    wanted = observed.store_revisions.get(partition.index)
    pods = [member.pod for member in partition.members]
    return partition.revision != wanted or any(
        pod is None or pod.revision != wanted for pod in pods
    )


def _tier_pending(observed: ClusterObserved, tier: Tier) -> bool:
    return tier.revision != observed.tier_revisions.get(tier.component) or not tier.settled
