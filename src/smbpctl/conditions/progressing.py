"""Progressing: a writer has not reported on this generation, or a step is under way."""

from collections.abc import Iterable
from typing import Final

from smbpctl.api.v1alpha1 import (
    Condition,
    ConditionStatus,
    ConditionType,
    ProgressingReason,
    RollingUpdateSucceededReason,
    StorageReadyReason,
    find_condition,
)
from smbpctl.conditions.verdict import has_reason, is_of, verdict
from smbpctl.observed import ClusterObserved

INPUTS: Final = (
    ConditionType.VERSION_SUPPORTED,
    ConditionType.TLS_READY,
    ConditionType.TRANSACTION_LOG_READY,
    ConditionType.STORE_READY,
    ConditionType.API_READY,
    ConditionType.SUBSCRIPTIONS_READY,
    ConditionType.AUTH_READY,
    ConditionType.ROLLING_UPDATE_SUCCEEDED,
    ConditionType.STORAGE_READY,
    ConditionType.NETWORKING_READY,
)
"""The conditions behind the aggregates, in the order in which they block one another."""


def observed_everywhere(observed: ClusterObserved, conditions: Iterable[Condition]) -> str:
    """Return the first input that is missing, Unknown or of an older generation; "" if none is."""
    known = tuple(conditions)
    for kind in INPUTS:
        condition = find_condition(known, kind)
        if condition is None:
            return f"{kind.value} is not reported yet"
        if condition.status is ConditionStatus.UNKNOWN:
            return f"{kind.value} is not known: {condition.message}"
        if (condition.observed_generation or 0) < observed.peer.generation:
            return f"{kind.value} is not reported for generation {observed.peer.generation} yet"
    return ""


def progressing(observed: ClusterObserved, conditions: Iterable[Condition]) -> Condition:
    """Return whether something is under way; the message names the first thing waited for."""
    known = tuple(conditions)
    kind = ConditionType.PROGRESSING
    missing = observed_everywhere(observed, known)
    if missing:
        reason = ProgressingReason.WAITING_FOR_CONDITION
        return verdict(observed.peer, kind, True, reason, missing)
    for wanted in INPUTS:
        condition = find_condition(known, wanted)
        if condition is not None and condition.status is not ConditionStatus.TRUE:
            reason = _reason(observed, condition)
            message = f"{condition.type}: {condition.message}"
            return verdict(observed.peer, kind, True, reason, message)
    return verdict(observed.peer, kind, False, ProgressingReason.COMPLETE)


def _reason(observed: ClusterObserved, condition: Condition) -> ProgressingReason:
    if has_reason(condition, RollingUpdateSucceededReason.INVALID_SPEC):
        return ProgressingReason.INVALID_SPEC
    if has_reason(condition, StorageReadyReason.RESIZING):
        return ProgressingReason.STORAGE_GROWING
    stores = all(partition.exists for partition in observed.partitions)
    if not stores or not all(tier.exists for tier in observed.tiers):
        return ProgressingReason.CREATING
    if is_of(condition, ConditionType.ROLLING_UPDATE_SUCCEEDED):
        return ProgressingReason.ROLLING
    return ProgressingReason.BLOCKED
