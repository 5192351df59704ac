"""Degraded: something needs a human, or does not heal by itself."""

from collections.abc import Iterable, Mapping
from typing import Final

from smbpctl.api.v1alpha1 import (
    BigPeer,
    Condition,
    ConditionStatus,
    ConditionType,
    DegradedReason,
    StorageReadyReason,
    TLSReadyReason,
    TransactionLogReadyReason,
    VersionSupportedReason,
)
from smbpctl.conditions.verdict import has_reason, verdict
from smbpctl.observed import ClusterObserved, Pod

_POD_REASON: Final[Mapping[str, DegradedReason]] = {
    "ImagePullBackOff": DegradedReason.IMAGE_PULL_FAILED,
    "ErrImagePull": DegradedReason.IMAGE_PULL_FAILED,
    "InvalidImageName": DegradedReason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": DegradedReason.IMAGE_PULL_FAILED,
    "CrashLoopBackOff": DegradedReason.CRASH_LOOPING,
    "CreateContainerConfigError": DegradedReason.CONTAINER_CONFIG_ERROR,
    "CreateContainerError": DegradedReason.CONTAINER_CONFIG_ERROR,
    "RunContainerError": DegradedReason.CONTAINER_CONFIG_ERROR,
    "Unschedulable": DegradedReason.UNSCHEDULABLE,
}

_CONDITION_REASON: Final[Mapping[tuple[str, str], DegradedReason]] = {
    (
        ConditionType.VERSION_SUPPORTED,
        VersionSupportedReason.UNKNOWN_VERSION,
    ): DegradedReason.VERSION_NOT_SUPPORTED,
    (ConditionType.STORAGE_READY, StorageReadyReason.STALE_CLAIM): DegradedReason.STALE_CLAIM,
    (
        ConditionType.STORAGE_READY,
        StorageReadyReason.EXPANSION_NOT_SUPPORTED,
    ): DegradedReason.STORAGE_NOT_EXPANDABLE,
    (ConditionType.TLS_READY, TLSReadyReason.SECRET_NOT_FOUND): DegradedReason.INPUT_MISSING,
    (ConditionType.TLS_READY, TLSReadyReason.SECRET_INVALID): DegradedReason.INPUT_MISSING,
    (ConditionType.TLS_READY, TLSReadyReason.CERTIFICATE_EXPIRED): DegradedReason.INPUT_MISSING,
    (ConditionType.TLS_READY, TLSReadyReason.ISSUANCE_FAILED): DegradedReason.INPUT_MISSING,
    (
        ConditionType.TLS_READY,
        TLSReadyReason.CERT_MANAGER_NOT_INSTALLED,
    ): DegradedReason.DEPENDENCY_NOT_INSTALLED,
    (
        ConditionType.TRANSACTION_LOG_READY,
        TransactionLogReadyReason.SECRET_NOT_FOUND,
    ): DegradedReason.INPUT_MISSING,
    (
        ConditionType.TRANSACTION_LOG_READY,
        TransactionLogReadyReason.SECRET_INVALID,
    ): DegradedReason.INPUT_MISSING,
    (
        ConditionType.TRANSACTION_LOG_READY,
        TransactionLogReadyReason.STRIMZI_NOT_INSTALLED,
    ): DegradedReason.DEPENDENCY_NOT_INSTALLED,
}


def degraded(
    observed: ClusterObserved, conditions: Iterable[Condition], conflict: str = ""
) -> Condition:
    """Return the first thing that does not heal by itself: a name, an input, a container, a claim.

    `conflict` is what stands in the way of a name that the BigPeer needs, if anything.
    """
    if conflict:
        reason = DegradedReason.NAME_CONFLICT
        return verdict(observed.peer, ConditionType.DEGRADED, True, reason, conflict)
    for condition in conditions:
        cause = _needs_human(condition)
        if cause is not None:
            message = f"{condition.type}: {condition.message}"
            return verdict(observed.peer, ConditionType.DEGRADED, True, cause, message)
    for pod in _pods(observed):
        waits_for = _POD_REASON.get(pod.waiting)
        if waits_for is not None and not pod.deleting:
            detail = f" ({pod.message})" if pod.message else ""
            message = f"pod {pod.name}: {pod.waiting}{detail}"
            return verdict(observed.peer, ConditionType.DEGRADED, True, waits_for, message)
    return verdict(observed.peer, ConditionType.DEGRADED, False, DegradedReason.HEALTHY)


def invalid(peer: BigPeer, reason: DegradedReason, message: str) -> Condition:
    """Return Degraded for a BigPeer that cannot be acted upon at all until somebody edits it."""
    return verdict(peer, ConditionType.DEGRADED, True, reason, message)


def _needs_human(condition: Condition) -> DegradedReason | None:
    if condition.status is ConditionStatus.TRUE:
        return None
    if has_reason(condition, DegradedReason.NAME_CONFLICT):
        return DegradedReason.NAME_CONFLICT
    if has_reason(condition, DegradedReason.INVALID_SPEC):
        return DegradedReason.INVALID_SPEC
    return _CONDITION_REASON.get((condition.type, condition.reason))


def _pods(observed: ClusterObserved) -> list[Pod]:
    members = [member.pod for member in observed.members if member.pod is not None]
    return [*members, *(pod for tier in observed.tiers for pod in tier.pods)]
