"""Facts of one pass, built in a few words: a healthy BigPeer, and what differs from it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smbpctl.api.v1alpha1 import BigPeer, effective
from smbpctl.observed import Claim, ClusterObserved, Member, Partition, Pod, Tier
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport, Unreachable
from smbpctl.resources import naming
from smbpctl.resources.frontends import FRONT_ENDS, tier_of
from test.support.peers import UID, a_peer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLD, NEW = "old", "new"


def a_pod(name: str, revision: str = NEW, **differs: object) -> Pod:
    """Return a pod that has been serving for an hour."""
    pod = Pod(
        name=name,
        uid=f"uid-{name}",
        component=Component.STORE,
        revision=revision,
        version="1.63.2",
        ready=True,
        deleting=False,
        address="10.0.0.1",
        ready_since=NOW - timedelta(hours=1),
    )
    return replace(pod, **differs)  # type: ignore[arg-type]


def a_report(ust: int = 5000, **differs: object) -> MemberReport:
    """Return the report of a member that is as far as the log."""
    report = MemberReport("server", 1, None, ust, 1)
    return replace(report, **differs)  # type: ignore[arg-type]


def a_partition(
    peer: BigPeer,
    index: int = 0,
    *,
    revision: str = NEW,
    pods: Sequence[Pod | None] | None = None,
    reports: Sequence[MemberReport | Unreachable | None] | None = None,
) -> Partition:
    """Return a partition whose members all serve at `revision`, unless pods are given."""
    count = peer.spec.store.replicas
    given = pods or [a_pod(naming.member_name(peer, index, i), revision) for i in range(count)]
    told = reports or [a_report()] * count
    members = tuple(
        Member(index, ordinal, pod, report if pod is not None else None)
        for ordinal, (pod, report) in enumerate(zip(given, told, strict=True))
    )
    size = peer.spec.store.storage.size
    return Partition(index, members, revision=revision, claim_size=size, replicas=count)


def no_partition(peer: BigPeer, index: int = 0) -> Partition:
    """Return a partition of which nothing exists yet."""
    count = peer.spec.store.replicas
    return Partition(index, tuple(Member(index, ordinal) for ordinal in range(count)))


def a_tier(peer: BigPeer, component: Component, *, revision: str = NEW, **differs: object) -> Tier:
    """Return a tier all of whose pods serve at `revision`."""
    count = tier_of(peer, component).replicas
    tier = Tier(
        component,
        naming.name_of(peer, component),
        revision=revision,
        replicas=count,
        ready=count,
        updated=count,
        available=count,
        total=count,
        settled=True,
    )
    return replace(tier, **differs)  # type: ignore[arg-type]


def no_tier(peer: BigPeer, component: Component) -> Tier:
    """Return a tier whose Deployment does not exist."""
    return Tier(component, naming.name_of(peer, component))


def a_claim(peer: BigPeer, ordinal: int = 0, partition: int = 0, **differs: object) -> Claim:
    """Return a bound claim of the size that the spec asks for."""
    size = peer.spec.store.storage.size
    claim = Claim(
        name=naming.claim_name(peer, partition, ordinal),
        uid=f"claim-{partition}-{ordinal}",
        partition=partition,
        peer_uid=UID,
        owned=False,
        requested=size,
        capacity=size,
        deleting=False,
        expandable=True,
    )
    return replace(claim, **differs)  # type: ignore[arg-type]


def observe(
    peer: BigPeer | None = None,
    *,
    partitions: Sequence[Partition] | None = None,
    tiers: Sequence[Tier] | None = None,
    claims: Sequence[Claim] | None = None,
    **differs: object,
) -> ClusterObserved:
    """Return the facts of a BigPeer where all is as the spec asks, but for what is given."""
    subject = peer or a_peer()
    indices = range(subject.spec.store.partitions)
    replicas = range(subject.spec.store.replicas)
    observed = ClusterObserved(
        peer=subject,
        effective=effective(subject, image_prefix="registry.test"),
        now=NOW,
        partitions=tuple(partitions or (a_partition(subject, index) for index in indices)),
        tiers=tuple(tiers or (a_tier(subject, component) for component in FRONT_ENDS)),
        claims=tuple(
            claims
            if claims is not None
            else (a_claim(subject, ordinal, index) for index in indices for ordinal in replicas)
        ),
        store_revisions=dict.fromkeys(indices, NEW),
        tier_revisions=dict.fromkeys(FRONT_ENDS, NEW),
    )
    return replace(observed, **differs)  # type: ignore[arg-type]
