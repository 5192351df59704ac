"""Every rollout ends, and on its way no partition is ever below its floor by our doing.

A small world plays the StatefulSet controller and the nodes: it applies what the plan opens, takes
away what the plan disrupts, and lets members come back, lag and settle in any order Hypothesis
likes. The plan sees only facts.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from smbpctl.api.v1alpha1 import BigPeer, effective
from smbpctl.observed import ClusterObserved, Member, Partition, Pod, Tier
from smbpctl.plans.rollout import Rollout, plan_rollout
from smbpctl.resources.frontends import FRONT_ENDS
from test.support.observations import NEW, NOW, OLD, a_pod, a_report, a_tier, observe
from test.support.peers import a_peer

SETTLE = timedelta(seconds=10)


@dataclass
class World:
    """The workloads of one BigPeer, moved by the plan and by chance."""

    peer: BigPeer
    now: datetime
    templates: list[str]
    pods: list[list[Pod | None]]
    lagging: set[tuple[int, int]]
    tiers: list[Tier]

    @classmethod
    def serving(cls, partitions: int, replicas: int, broken: frozenset[int]) -> "World":
        """Return a world at the old revision; pods in `broken` (counted through) do not serve."""
        peer = a_peer({"spec.store.partitions": partitions, "spec.store.replicas": replicas})
        pods: list[list[Pod | None]] = [
            [
                a_pod(f"demo-store-{p}-{o}", OLD, ready=p * replicas + o not in broken)
                for o in range(replicas)
            ]
            for p in range(partitions)
        ]
        tiers = [a_tier(peer, component, revision=OLD) for component in FRONT_ENDS]
        return cls(peer, NOW, [OLD] * partitions, pods, set(), tiers)

    def observed(self) -> ClusterObserved:
        """Return what a reading of this moment gives."""
        partitions = [
            Partition(
                index,
                tuple(
                    Member(index, o, pod, self._report(index, o) if pod is not None else None)
                    for o, pod in enumerate(row)
                ),
                revision=self.templates[index],
                claim_size="10Gi",
                replicas=len(row),
            )
            for index, row in enumerate(self.pods)
        ]
        return replace(observe(self.peer, partitions=partitions, tiers=self.tiers), now=self.now)

    def _report(self, partition: int, ordinal: int) -> object:
        return a_report(3 if (partition, ordinal) in self.lagging else 5000)

    def obey(self, plan: Rollout) -> None:
        """Apply what the plan opens and take away what it disrupts."""
        for index in plan.open_partitions:
            self.templates[index] = NEW
        self.tiers = [
            replace(tier, revision=NEW) if tier.component in plan.open_tiers else tier
            for tier in self.tiers
        ]
        if plan.disruption is not None:
            self._replace(plan.disruption.pod.name)

    def _replace(self, name: str) -> None:
        for index, row in enumerate(self.pods):
            for ordinal, pod in enumerate(row):
                if pod is not None and pod.name == name:
                    fresh = a_pod(name, self.templates[index], ready=False, ready_since=None)
                    row[ordinal] = replace(fresh, uid=f"{pod.uid}+")
                    self.lagging.add((index, ordinal))

    def advance(self, *, ready: bool, catch_up: bool, seconds: int) -> None:
        """Let time pass; pods of the new revision come up, members catch up."""
        self.now += timedelta(seconds=seconds)
        for row in self.pods:
            for ordinal, pod in enumerate(row):
                if ready and pod is not None and not pod.ready and pod.revision == NEW:
                    row[ordinal] = replace(pod, ready=True, ready_since=self.now)
        if catch_up:
            self.lagging.clear()

    def done(self) -> bool:
        """Tell whether every pod and tier runs the new revision and serves."""
        pods = [pod for row in self.pods for pod in row]
        return all(p is not None and p.revision == NEW and p.ready for p in pods) and all(
            tier.revision == NEW for tier in self.tiers
        )


@given(
    partitions=st.integers(1, 3),
    replicas=st.integers(1, 4),
    broken=st.frozensets(st.integers(0, 11), max_size=3),
    steps=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.integers(0, 15)), min_size=0, max_size=40
    ),
)
@settings(max_examples=150, deadline=None)
def test_a_rollout_is_safe_and_ends(
    partitions: int,
    replicas: int,
    broken: frozenset[int],
    steps: list[tuple[bool, bool, int]],
) -> None:
    """Safety at every step; after chance is over, the end within a bounded number of steps."""
    world = World.serving(partitions, replicas, broken)
    floor = effective(world.peer).minimum_replicas

    def step(*, ready: bool, catch_up: bool, seconds: int) -> None:
        observed = world.observed()
        plan = plan_rollout(observed)
        _check(world, observed, plan, floor)
        world.obey(plan)
        world.advance(ready=ready, catch_up=catch_up, seconds=seconds)

    for ready, catch_up, seconds in steps:
        step(ready=ready, catch_up=catch_up, seconds=seconds)
    for _ in range(6 * partitions * replicas + 10):
        step(ready=True, catch_up=True, seconds=15)

    assert world.done()
    assert plan_rollout(world.observed()).complete


def _check(world: World, observed: ClusterObserved, plan: Rollout, floor: int) -> None:
    """What must hold of every single plan."""
    if plan.disruption is None:
        return
    partition = observed.partitions[plan.disruption.partition]
    pod = plan.disruption.pod
    assert pod.revision != NEW, "a pod at the target is never taken away"
    assert partition.revision == NEW, "no pod goes before its template is written"
    if plan.disruption.healing:
        assert not pod.ready
        return
    away = [m for m in observed.members if m.pod is None or not m.pod.healthy]
    assert away == [], "one disruption at a time in the whole BigPeer"
    if world.peer.spec.store.replicas > 1:
        assert partition.healthy - 1 >= floor, "never below the floor"
    assert not world.lagging, "nobody goes while somebody lags"
    newest = max(m.pod.ready_since for m in observed.members if m.pod and m.pod.ready_since)
    assert observed.now - newest >= SETTLE, "the newest member has settled"
