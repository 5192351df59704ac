"""StorageReady: every claim is bound, ours, and as large as the spec asks for."""

from smbpctl.api.v1alpha1 import Condition, ConditionType, StorageReadyReason
from smbpctl.api.v1alpha1.quantity import compare_quantities
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import Claim, ClusterObserved


def storage_ready(observed: ClusterObserved) -> Condition:
    """Return the state of the claims; the first claim that is not as it should be is named."""
    size = observed.peer.spec.store.storage.size
    if observed.stale_claims:
        message = (
            f"PersistentVolumeClaim {', '.join(observed.stale_claims)} holds the data of another "
            "BigPeer of this name; delete it, or choose another metadata.name"
        )
        return _condition(observed, False, StorageReadyReason.STALE_CLAIM, message)
    checks = (
        (_deleting, StorageReadyReason.CLAIM_TERMINATING, "is being deleted"),
        (_pending, StorageReadyReason.CLAIMS_PENDING, "is not bound yet"),
        (
            _stuck,
            StorageReadyReason.EXPANSION_NOT_SUPPORTED,
            f"cannot grow to spec.store.storage.size {size}: "
            "its StorageClass does not set allowVolumeExpansion",
        ),
        (_growing, StorageReadyReason.RESIZING, f"is growing to {size}"),
    )
    for test, reason, what in checks:
        claim = next((claim for claim in observed.claims if test(claim, size)), None)
        if claim is not None:
            message = f"PersistentVolumeClaim {claim.name} {what}"
            return _condition(observed, False, reason, message)
    expected = observed.peer.spec.store.partitions * observed.peer.spec.store.replicas
    if len(observed.claims) < expected:
        message = f"{len(observed.claims)} of {expected} claims exist"
        return _condition(observed, False, StorageReadyReason.CLAIMS_PENDING, message)
    return _condition(observed, True, StorageReadyReason.ALL_BOUND)


def _condition(
    observed: ClusterObserved, holds: bool, reason: StorageReadyReason, message: str = ""
) -> Condition:
    return verdict(observed.peer, ConditionType.STORAGE_READY, holds, reason, message)


def _deleting(claim: Claim, size: str) -> bool:
    return claim.deleting


def _pending(claim: Claim, size: str) -> bool:
    return not claim.capacity


def _stuck(claim: Claim, size: str) -> bool:
    return not claim.expandable and compare_quantities(claim.requested, size) < 0


def _growing(claim: Claim, size: str) -> bool:
    return compare_quantities(claim.capacity, size) < 0
