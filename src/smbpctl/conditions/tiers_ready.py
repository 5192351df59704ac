"""StoreReady, SubscriptionsReady, ApiReady, AuthReady: every pod of the tier serves."""

from collections.abc import Mapping
from typing import Final

from smbpctl.api.v1alpha1 import Condition, ConditionType, TierReadyReason
from smbpctl.api.v1alpha1.versions import supported
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import ClusterObserved, Pod, Tier
from smbpctl.operand.contract import Component

CONDITION_OF: Final[Mapping[Component, ConditionType]] = {
    Component.STORE: ConditionType.STORE_READY,
    Component.API: ConditionType.API_READY,
    Component.SUBSCRIPTION: ConditionType.SUBSCRIPTIONS_READY,
    Component.AUTH: ConditionType.AUTH_READY,
}


def store_ready(observed: ClusterObserved) -> Condition:
    """Return whether every partition has all its members ready."""
    expected = observed.peer.spec.store.replicas
    healthy = [partition.healthy for partition in observed.partitions]
    if all(partition.exists for partition in observed.partitions):
        if all(count == expected for count in healthy):
            return _condition(observed, Component.STORE, True, TierReadyReason.ALL_READY)
        pods = [member.pod for member in observed.members if member.pod is not None]
        message = f"{sum(healthy)} of {expected * len(healthy)} members are ready"
        return _condition(
            observed,
            Component.STORE,
            False,
            TierReadyReason.PODS_NOT_READY,
            message + _first_unready(pods),
        )
    reason, message = _why_absent(observed)
    return _condition(observed, Component.STORE, False, reason, message)


def tier_ready(observed: ClusterObserved, tier: Tier) -> Condition:
    """Return whether all pods of a stateless tier are ready at the wanted revision."""
    if not tier.exists:
        reason, message = _why_absent(observed)
        if reason is TierReadyReason.NOT_CREATED:
            reason, message = TierReadyReason.WAITING_FOR_STORE, "waits for the store to be ready"
        return _condition(observed, tier.component, False, reason, message)
    if tier.ready >= tier.replicas and tier.settled:
        return _condition(observed, tier.component, True, TierReadyReason.ALL_READY)
    message = f"Deployment {tier.name}: {tier.ready} of {tier.replicas} pods are ready"
    return _condition(
        observed,
        tier.component,
        False,
        TierReadyReason.PODS_NOT_READY,
        message + _first_unready(tier.pods),
    )


def _condition(
    observed: ClusterObserved,
    component: Component,
    holds: bool,
    reason: TierReadyReason,
    message: str = "",
) -> Condition:
    return verdict(observed.peer, CONDITION_OF[component], holds, reason, message)


def _why_absent(observed: ClusterObserved) -> tuple[TierReadyReason, str]:
    """Say what stands before the first creation of a workload."""
    peer = observed.peer
    if not supported(peer.spec.version):
        return TierReadyReason.VERSION_NOT_SUPPORTED, f"spec.version {peer.spec.version} is unknown"
    if observed.missing_certificates:
        message = f"waits for Secret {', '.join(observed.missing_certificates)}"
        return TierReadyReason.WAITING_FOR_TLS, message
    if observed.missing_connection:
        message = f"waits for Secret {observed.missing_connection}"
        return TierReadyReason.WAITING_FOR_TRANSACTION_LOG, message
    if observed.stale_claims:
        message = f"PersistentVolumeClaim {', '.join(observed.stale_claims)} is in the way"
        return TierReadyReason.NOT_CREATED, message
    return TierReadyReason.NOT_CREATED, TierReadyReason.NOT_CREATED.meaning


def _first_unready(pods: tuple[Pod, ...] | list[Pod]) -> str:
    """Name the first pod that does not serve, and what it says of itself."""
    pod = next((pod for pod in pods if not pod.healthy), None)
    if pod is None:
        return ""
    state = "is being deleted" if pod.deleting else pod.waiting or "is not ready"
    detail = f" ({pod.message})" if pod.message else ""
    return f"; pod {pod.name}: {state}{detail}"
