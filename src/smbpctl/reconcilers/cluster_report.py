"""What the cluster reconciler says in status: conditions, counts, members; a pure function."""

from collections.abc import Iterable
from typing import Final

from smbpctl.api.v1alpha1 import (
    BigPeer,
    Condition,
    ConditionType,
    DegradedReason,
    ProgressingReason,
    ReadyReason,
)
from smbpctl.conditions.available import available
from smbpctl.conditions.degraded import degraded, invalid
from smbpctl.conditions.disruption_safe import disruption_safe
from smbpctl.conditions.progressing import progressing
from smbpctl.conditions.ready import ready
from smbpctl.conditions.rolling_update import rolling_update_succeeded
from smbpctl.conditions.storage_ready import storage_ready
from smbpctl.conditions.tiers_ready import store_ready, tier_ready
from smbpctl.conditions.verdict import stamped, verdict
from smbpctl.conditions.version_supported import version_supported
from smbpctl.observed import ClusterObserved, Member, Partition, Tier
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport, caught_up
from smbpctl.plans.rollout import Blocked
from smbpctl.resources import naming
from smbpctl.resources.store import FIRST_CONFIG_ID
from smbpctl.runtime.meta import Manifest

FOREIGN: Final = frozenset(
    {
        ConditionType.NETWORKING_READY,
        ConditionType.TLS_READY,
        ConditionType.TRANSACTION_LOG_READY,
    }
)
"""Conditions that the other reconcilers write."""

_TIER_FIELD: Final = {
    Component.API: "api",
    Component.SUBSCRIPTION: "subscriptions",
    Component.AUTH: "auth",
}


def foreign_conditions(peer: BigPeer) -> tuple[Condition, ...]:
    """Return the conditions that the other reconcilers wrote."""
    return tuple(c for c in peer.status.conditions if c.type in FOREIGN)


def cluster_conditions(
    observed: ClusterObserved, blocked: Blocked | None, conflict: str
) -> list[Condition]:
    """Return every condition of the cluster reconciler, the aggregates last."""
    own = [
        version_supported(observed.peer),
        store_ready(observed),
        *(tier_ready(observed, tier) for tier in observed.tiers),
        rolling_update_succeeded(
            observed,
            blocked.reason if blocked is not None else None,
            blocked.message if blocked is not None else "",
        ),
        storage_ready(observed),
        disruption_safe(observed),
    ]
    known = [*own, *foreign_conditions(observed.peer)]
    serving = available(observed, known)
    broken = degraded(observed, known, conflict)
    moving = progressing(observed, known)
    return [*own, serving, broken, moving, ready(observed, [*known, serving, broken])]


def cluster_status(
    observed: ClusterObserved, blocked: Blocked | None = None, conflict: str = ""
) -> Manifest:
    """Return the complete status that the cluster reconciler owns."""
    peer = observed.peer
    conditions = cluster_conditions(observed, blocked, conflict)
    status: Manifest = {
        "observedGeneration": _observed_generation(peer),
        "effective": observed.effective.to_manifest(),
        "targetVersion": peer.spec.version,
        "conditions": stamped(peer, conditions, observed.now),
        "store": _store(observed),
        "topology": {
            "current": {
                "id": FIRST_CONFIG_ID,
                "partitions": peer.spec.store.partitions,
                "replicas": peer.spec.store.replicas,
                "minimumReplicas": observed.effective.minimum_replicas,
            }
        },
        **{_TIER_FIELD[tier.component]: _tier(peer, tier) for tier in observed.tiers},
    }
    pods = [member.pod for member in observed.members if member.pod is not None]
    versions = [pod.version for pod in pods if _precedence(pod.version)]
    if versions:
        status["version"] = min(versions, key=_precedence)
    return status


def invalid_status(peer: BigPeer, message: str, observed: ClusterObserved) -> Manifest:
    """Return the status of a BigPeer whose spec breaks a rule: what runs is still reported."""
    status = cluster_status(observed)
    replaced = [
        invalid(peer, DegradedReason.INVALID_SPEC, message),
        verdict(peer, ConditionType.PROGRESSING, True, ProgressingReason.INVALID_SPEC, message),
        verdict(peer, ConditionType.READY, False, ReadyReason.DEGRADED, message),
    ]
    types = {condition.type for condition in replaced}
    kept = [c for c in cluster_conditions(observed, None, "") if c.type not in types]
    return {**status, "conditions": stamped(peer, [*kept, *replaced], observed.now)}


def _observed_generation(peer: BigPeer) -> int:
    """Return the lowest generation that every writer has reported on."""
    seen = {c.type: c.observed_generation or 0 for c in foreign_conditions(peer)}
    return min([peer.generation, *(seen.get(kind.value, 0) for kind in FOREIGN)])


def _precedence(version: str) -> tuple[int, ...]:
    """Return the order of a version; pre-releases count as their release. Empty for none.

    It is read from a pod's label, which is anybody's to write.
    """
    parts = version.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return ()
    return tuple(map(int, parts))


def _store(observed: ClusterObserved) -> Manifest:
    peer = observed.peer
    partitions = [_partition(observed, partition) for partition in observed.partitions]
    wanted = peer.spec.store.partitions * peer.spec.store.replicas
    ready_members = sum(partition["ready"] for partition in partitions)
    return {
        "selector": _selector(naming.selector(peer, Component.STORE)),
        "summary": f"{ready_members}/{wanted}",
        "replicas": sum(1 for member in observed.members if member.pod is not None),
        "readyReplicas": ready_members,
        "updatedReplicas": sum(partition["updated"] for partition in partitions),
        "partitions": partitions,
    }


def _partition(observed: ClusterObserved, partition: Partition) -> Manifest:
    target = observed.store_revisions.get(partition.index)
    reports = [m.report for m in observed.members if isinstance(m.report, MemberReport)]
    pods = [member.pod for member in partition.members if member.pod is not None]
    return {
        "index": partition.index,
        "ready": partition.healthy,
        "updated": sum(1 for pod in pods if pod.revision == target),
        "members": [_member(observed.peer, member, reports) for member in partition.members],
    }


def _member(peer: BigPeer, member: Member, reports: Iterable[MemberReport]) -> Manifest:
    name = naming.member_name(peer, member.partition, member.ordinal)
    if member.pod is None:
        return {"pod": name, "revision": "", "reason": "PodMissing"}
    status: Manifest = {"pod": name, "revision": member.pod.revision}
    if isinstance(member.report, MemberReport):
        status["serverId"] = member.report.server_id
        status["configId"] = member.report.config_id
        status["caughtUp"] = caught_up(member.report, list(reports))
    reason = _member_reason(member)
    return {**status, "reason": reason} if reason else status


def _member_reason(member: Member) -> str:
    if member.pod is None or member.pod.deleting:
        return "Terminating"
    if not member.pod.ready:
        return member.pod.waiting or "NotReady"
    return "" if isinstance(member.report, MemberReport) else "Unreachable"


def _tier(peer: BigPeer, tier: Tier) -> Manifest:
    return {
        "replicas": tier.total,
        "readyReplicas": tier.ready,
        "selector": _selector(naming.selector(peer, tier.component)),
    }


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
