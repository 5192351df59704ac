"""The rollout: which templates may be written now, and which single pod goes next.

Under `OnDelete` a pod that is lost for any reason comes back at the StatefulSet's newest
template, so the gate is on writing the template: a partition receives it in its turn, when every
predicate holds. Healing comes before anything risky, one pod at a time in the whole BigPeer,
front-ends follow the store one after another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, final

from smbpctl.api.v1alpha1 import RollingUpdateSucceededReason as Reason
from smbpctl.api.v1alpha1.versions import supported
from smbpctl.observed import ClusterObserved, Member, Partition, Pod, Tier
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport, Unreachable, caught_up


class Predicate(StrEnum):
    """What must hold before a step that could hurt; named when it blocks."""

    VERSION_SUPPORTED = "version_supported"
    SECRETS_PRESENT = "secrets_present"
    CLAIMS_OURS = "claims_ours"
    REDUNDANCY = "redundancy"
    SPARE_MEMBER = "spare_member"
    NO_DISRUPTION = "no_disruption"
    MEMBERS_CAUGHT_UP = "members_caught_up"
    SETTLED = "settled"
    EVICTION_ALLOWED = "eviction_allowed"


_REASON: Final[Mapping[Predicate, Reason]] = {
    Predicate.VERSION_SUPPORTED: Reason.VERSION_NOT_SUPPORTED,
    Predicate.SECRETS_PRESENT: Reason.IN_PROGRESS,
    Predicate.CLAIMS_OURS: Reason.IN_PROGRESS,
    Predicate.REDUNDANCY: Reason.WAITING_FOR_REDUNDANCY,
    Predicate.SPARE_MEMBER: Reason.NO_REDUNDANCY,
    Predicate.NO_DISRUPTION: Reason.IN_PROGRESS,
    Predicate.MEMBERS_CAUGHT_UP: Reason.WAITING_FOR_MEMBERS,
    Predicate.SETTLED: Reason.SETTLING,
    Predicate.EVICTION_ALLOWED: Reason.EVICTION_BLOCKED,
}


@final
@dataclass(frozen=True, slots=True)
class Blocked:
    """A predicate that does not hold, the object it is about and what would unblock it.

    `retry_in` is set where only time can unblock it.
    """

    predicate: Predicate
    message: str
    retry_in: timedelta | None = None

    @property
    def reason(self) -> Reason:
        """Return the reason under which the condition shows it."""
        return _REASON[self.predicate]


@final
@dataclass(frozen=True, slots=True)
class Disruption:
    """The one pod to take away now.

    A healing disruption deletes a pod that does not serve; any other goes by the Eviction API,
    which may refuse it.
    """

    pod: Pod
    partition: int
    healing: bool


@final
@dataclass(frozen=True, slots=True)
class Rollout:
    """The next safe step: objects that may be written in full, and at most one disruption.

    Objects of the store and tiers that are not open keep the template they have.
    """

    open_partitions: frozenset[int]
    open_tiers: frozenset[Component]
    disruption: Disruption | None = None
    blocked: Blocked | None = None
    complete: bool = False


def plan_rollout(observed: ClusterObserved) -> Rollout:
    """Return the next step of the rollout. Pure: the same facts, the same step."""
    blocked = _precondition(observed)
    if blocked is not None:
        return Rollout(frozenset(), frozenset(), blocked=blocked)

    stale = _stale_partitions(observed)
    steady = {
        partition.index
        for partition in observed.partitions
        if _at_target(observed, partition)
        or (not partition.exists and partition.index not in stale)
    }
    outdated = [partition for partition in observed.partitions if _outdated(observed, partition)]
    if outdated:
        turn = min(outdated, key=lambda partition: _turn(observed, partition))
        return _store_step(observed, frozenset(steady), turn)

    if stale:
        return Rollout(frozenset(steady), frozenset(), blocked=_foreign_claims(observed))
    return _front_end_step(observed, frozenset(steady))


def eviction_refused(rollout: Rollout, step: Disruption, message: str) -> Rollout:
    """Return the rollout as it stands when a disruption budget refused the eviction."""
    blocked = Blocked(
        Predicate.EVICTION_ALLOWED, f"pod {step.pod.name} may not be evicted now: {message}"
    )
    return replace(rollout, disruption=None, blocked=blocked)


def _precondition(observed: ClusterObserved) -> Blocked | None:
    version = observed.peer.spec.version
    if not supported(version):
        return Blocked(
            Predicate.VERSION_SUPPORTED, f"spec.version {version} is not a supported release"
        )
    if observed.missing_secrets:
        names = ", ".join(observed.missing_secrets)
        return Blocked(Predicate.SECRETS_PRESENT, f"waits for Secret {names}")
    return None


def _stale_partitions(observed: ClusterObserved) -> frozenset[int]:
    """Return the partitions whose StatefulSet is absent and would bind claims of somebody else."""
    absent = {partition.index for partition in observed.partitions if not partition.exists}
    return frozenset(
        claim.partition
        for claim in observed.claims
        if claim.partition in absent and (claim.deleting or claim.name in observed.stale_claims)
    )


def _foreign_claims(observed: ClusterObserved) -> Blocked:
    names = ", ".join(observed.stale_claims) or "a claim that is being deleted"
    return Blocked(
        Predicate.CLAIMS_OURS,
        f"PersistentVolumeClaim {names} exists and holds the data of another BigPeer of this "
        "name; delete it, or choose another metadata.name",
    )


def _at_target(observed: ClusterObserved, partition: Partition) -> bool:
    return partition.exists and partition.revision == observed.store_revisions[partition.index]


def _old_pods(observed: ClusterObserved, partition: Partition) -> list[Pod]:
    target = observed.store_revisions[partition.index]
    pods = (member.pod for member in partition.members)
    return [pod for pod in pods if pod is not None and pod.revision != target]


def _outdated(observed: ClusterObserved, partition: Partition) -> bool:
    return partition.exists and (
        not _at_target(observed, partition) or bool(_old_pods(observed, partition))
    )


def _broken(pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if not pod.ready and not pod.deleting]


def _turn(observed: ClusterObserved, partition: Partition) -> tuple[bool, bool, int]:
    """Order partitions: those that need healing, then the one under way, then by index.

    Healing first: while a member anywhere is broken nothing risky may happen, so a partition that
    waits to be healed would otherwise hold up the one under way, and that one the healing.
    """
    old = _old_pods(observed, partition)
    return (not _broken(old), not _at_target(observed, partition), partition.index)


def _store_step(observed: ClusterObserved, steady: frozenset[int], partition: Partition) -> Rollout:
    old = _old_pods(observed, partition)
    broken = _broken(old)
    closed = Rollout(steady, _free_tiers(observed))
    if not _at_target(observed, partition):
        blocked = None if broken else _risk(observed, partition, candidate=None)
        if blocked is not None:
            return replace(closed, blocked=blocked)
        return replace(closed, open_partitions=steady | {partition.index})
    if broken:
        return _heal(observed, closed, partition, broken[0])
    candidate = next((pod for pod in old if not pod.deleting), None)
    blocked = _risk(observed, partition, candidate)
    if blocked is not None or candidate is None:
        return replace(closed, blocked=blocked)
    return replace(closed, disruption=Disruption(candidate, partition.index, healing=False))


def _heal(observed: ClusterObserved, closed: Rollout, partition: Partition, pod: Pod) -> Rollout:
    """Replace a broken pod of an old revision, unless its partition is already losing one."""
    leaving = next((m.pod for m in partition.members if m.pod and m.pod.deleting), None)
    if leaving is not None:
        message = f"waits for pod {leaving.name} to go"
        return replace(closed, blocked=Blocked(Predicate.NO_DISRUPTION, message))
    return replace(closed, disruption=Disruption(pod, partition.index, healing=True))


def _risk(observed: ClusterObserved, partition: Partition, candidate: Pod | None) -> Blocked | None:
    """Return the first predicate that forbids taking a healthy pod of `partition` now."""
    return (
        _no_disruption(observed)
        or _redundancy(observed, partition)
        or _members_caught_up(observed)
        or _settled(observed, candidate)
    )


def _no_disruption(observed: ClusterObserved) -> Blocked | None:
    """One disruption at a time: whatever the reason, a member that is away is that one."""
    for member in observed.members:
        name = f"{member.partition}/{member.ordinal}"
        if member.pod is None:
            return Blocked(Predicate.NO_DISRUPTION, f"waits for the pod of member {name}")
        if not member.pod.healthy:
            detail = f" ({member.pod.waiting})" if member.pod.waiting else ""
            message = f"waits for pod {member.pod.name} to be Ready{detail}"
            return Blocked(Predicate.NO_DISRUPTION, message)
    return None


def _redundancy(observed: ClusterObserved, partition: Partition) -> Blocked | None:
    replicas = observed.peer.spec.store.replicas
    minimum = observed.effective.minimum_replicas
    if replicas == 1 or partition.healthy - 1 >= minimum:
        return None
    if minimum == replicas:
        message = "spec.store.minimumReplicas equals spec.store.replicas: no member can be spared"
        return Blocked(Predicate.SPARE_MEMBER, message)
    return Blocked(
        Predicate.REDUNDANCY,
        f"partition {partition.index} has {partition.healthy} healthy members and "
        f"spec.store.minimumReplicas asks for {minimum}: none may be taken away",
    )


def _members_caught_up(observed: ClusterObserved) -> Blocked | None:
    reports = [member.report for member in observed.members]
    known = [report for report in reports if isinstance(report, MemberReport)]
    for member in observed.members:
        name = member.pod.name if member.pod is not None else "a member"
        if not isinstance(member.report, MemberReport):
            message = f"store member {name} does not answer: {_silence(member)}"
            return Blocked(Predicate.MEMBERS_CAUGHT_UP, message)
        if not caught_up(member.report, known):
            message = f"store member {name} has not caught up with its peers"
            return Blocked(Predicate.MEMBERS_CAUGHT_UP, message)
    return None


def _silence(member: Member) -> str:
    return member.report.reason if isinstance(member.report, Unreachable) else "not asked yet"


def _settled(observed: ClusterObserved, candidate: Pod | None) -> Blocked | None:
    """Let the newest pod serve for a while before the next goes."""
    settle = timedelta(seconds=observed.peer.spec.update.settle_seconds)
    pods = [member.pod for member in observed.members if member.pod is not None]
    newest = max(
        (pod for pod in pods if pod.ready_since is not None and pod is not candidate),
        key=lambda pod: pod.ready_since or observed.now,
        default=None,
    )
    if newest is None or newest.ready_since is None:
        return None
    remaining = newest.ready_since + settle - observed.now
    if remaining <= timedelta(0):
        return None
    message = f"lets pod {newest.name} settle for spec.update.settleSeconds"
    return Blocked(Predicate.SETTLED, message, retry_in=remaining)


def _free_tiers(observed: ClusterObserved) -> frozenset[Component]:
    """Return the tiers whose Deployment may be written whatever the rollout does.

    Those that keep their revision, and those that do not exist although the store serves.
    """
    minimum = observed.effective.minimum_replicas
    serves = all(partition.healthy >= minimum for partition in observed.partitions)
    return frozenset(
        tier.component
        for tier in observed.tiers
        if (tier.revision == observed.tier_revisions[tier.component] if tier.exists else serves)
    )


def _front_end_step(observed: ClusterObserved, partitions: frozenset[int]) -> Rollout:
    """Open the tiers one after another once the whole store serves at its target revision."""
    opened = _free_tiers(observed)
    unhealthy = _no_disruption(observed)
    if unhealthy is not None:
        return Rollout(partitions, opened, blocked=unhealthy)
    for tier in observed.tiers:
        opened |= {tier.component}
        if not _tier_done(observed, tier):
            message = f"waits for Deployment {tier.name} to roll out"
            blocked = Blocked(Predicate.NO_DISRUPTION, message)
            return Rollout(partitions, opened, blocked=blocked)
    return Rollout(partitions, opened, complete=True)


def _tier_done(observed: ClusterObserved, tier: Tier) -> bool:
    return tier.revision == observed.tier_revisions[tier.component] and tier.settled
