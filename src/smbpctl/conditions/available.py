"""Available: every tier serves, with its transaction log and its certificates."""

from collections.abc import Iterable, Mapping
from typing import Final

from smbpctl.api.v1alpha1 import (
    AvailableReason,
    Condition,
    ConditionStatus,
    ConditionType,
    find_condition,
)
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import ClusterObserved
from smbpctl.operand.contract import Component

_TIER_REASON: Final[Mapping[Component, AvailableReason]] = {
    Component.API: AvailableReason.API_NOT_READY,
    Component.SUBSCRIPTION: AvailableReason.SUBSCRIPTIONS_NOT_READY,
    Component.AUTH: AvailableReason.AUTH_NOT_READY,
}


def available(observed: ClusterObserved, conditions: Iterable[Condition]) -> Condition:
    """Return whether the BigPeer serves; the message names the first thing that keeps it from it.

    A partition serves while it has `minimumReplicas` healthy members, a stateless tier while one
    pod is available: an orderly rollout does not make the BigPeer unavailable.
    """
    known = tuple(conditions)
    found = (
        _dependency(known, ConditionType.TLS_READY, AvailableReason.TLS_NOT_READY)
        or _dependency(
            known, ConditionType.TRANSACTION_LOG_READY, AvailableReason.TRANSACTION_LOG_NOT_READY
        )
        or _store(observed, known)
        or _tiers(observed, known)
    )
    if found is None:
        kind, reason = ConditionType.AVAILABLE, AvailableReason.SERVING
        return verdict(observed.peer, kind, True, reason)
    return verdict(observed.peer, ConditionType.AVAILABLE, False, *found)


def _dependency(
    conditions: tuple[Condition, ...], kind: ConditionType, reason: AvailableReason
) -> tuple[AvailableReason, str] | None:
    condition = find_condition(conditions, kind)
    if condition is None:
        return AvailableReason.NOT_OBSERVED, f"{kind.value} is not reported yet"
    if condition.status is ConditionStatus.TRUE:
        return None
    return reason, f"{kind.value}: {condition.message}"


def _store(
    observed: ClusterObserved, conditions: tuple[Condition, ...]
) -> tuple[AvailableReason, str] | None:
    minimum = observed.effective.minimum_replicas
    for partition in observed.partitions:
        if partition.healthy < minimum:
            detail = _detail(conditions, ConditionType.STORE_READY)
            message = (
                f"partition {partition.index} has {partition.healthy} healthy members "
                f"of at least {minimum}{detail}"
            )
            return AvailableReason.STORE_NOT_READY, message
    return None


def _tiers(
    observed: ClusterObserved, conditions: tuple[Condition, ...]
) -> tuple[AvailableReason, str] | None:
    kinds = {
        Component.API: ConditionType.API_READY,
        Component.SUBSCRIPTION: ConditionType.SUBSCRIPTIONS_READY,
        Component.AUTH: ConditionType.AUTH_READY,
    }
    for tier in observed.tiers:
        if not tier.available:
            detail = _detail(conditions, kinds[tier.component])
            return _TIER_REASON[tier.component], f"{tier.name} has no available pod{detail}"
    return None


def _detail(conditions: tuple[Condition, ...], kind: ConditionType) -> str:
    condition = find_condition(conditions, kind)
    return f" ({condition.message})" if condition is not None and condition.message else ""
