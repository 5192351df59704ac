"""The rollout: one pod at a time, healing before risk, front-ends after the store."""

from datetime import timedelta

import pytest

from smbpctl.observed import Pod
from smbpctl.operand.contract import Component
from smbpctl.operand.members import Backfill, Unreachable
from smbpctl.plans.rollout import Blocked, Predicate, eviction_refused, plan_rollout
from smbpctl.resources.frontends import FRONT_ENDS
from test.support.observations import (
    NEW,
    NOW,
    OLD,
    a_claim,
    a_partition,
    a_pod,
    a_report,
    a_tier,
    no_partition,
    no_tier,
    observe,
)
from test.support.peers import a_peer

PEER = a_peer()
TWO = a_peer({"spec.store.partitions": 2})


def _pods(*revisions: str, **third: object) -> list[Pod | None]:
    """Return three members of these revisions; `third` differs in the last one."""
    made: list[Pod | None] = [
        a_pod(f"demo-store-0-{ordinal}", revision) for ordinal, revision in enumerate(revisions)
    ]
    if third:
        made[-1] = a_pod(f"demo-store-0-{len(revisions) - 1}", revisions[-1], **third)
    return made


class TestConverged:
    def test_nothing_is_to_do(self) -> None:
        """At the target everything is open, nothing is disrupted, and the plan says so."""
        plan = plan_rollout(observe())

        assert plan.complete
        assert plan.disruption is None
        assert plan.blocked is None
        assert plan.open_partitions == {0}
        assert plan.open_tiers == set(FRONT_ENDS)


class TestPreconditions:
    def test_an_unknown_version_rolls_nothing(self) -> None:
        """Not even objects at their target are written: what to write is not known."""
        peer = a_peer({"spec.version": "9.0.0"})

        plan = plan_rollout(observe(peer, partitions=[a_partition(peer, revision=OLD)]))

        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.VERSION_SUPPORTED
        assert not plan.open_partitions
        assert not plan.open_tiers
        assert plan.disruption is None

    def test_missing_secrets_hold_everything(self) -> None:
        """Without the contents of its Secrets the revision of a pod cannot be known."""
        plan = plan_rollout(observe(missing_certificates=("demo-ca",)))

        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.SECRETS_PRESENT
        assert "demo-ca" in plan.blocked.message
        assert not plan.open_partitions
        assert not plan.open_tiers


class TestBringUp:
    def test_the_store_comes_first(self) -> None:
        """Before a store serves there are no front-ends."""
        tiers = [no_tier(PEER, component) for component in FRONT_ENDS]

        plan = plan_rollout(observe(partitions=[no_partition(PEER)], tiers=tiers, claims=[]))

        assert plan.open_partitions == {0}
        assert plan.open_tiers == set()
        assert not plan.complete

    def test_all_partitions_start_at_once(self) -> None:
        """There is nothing to disrupt yet."""
        partitions = [no_partition(TWO, 0), no_partition(TWO, 1)]

        plan = plan_rollout(observe(TWO, partitions=partitions))

        assert plan.open_partitions == {0, 1}

    def test_a_lost_front_end_returns_while_the_store_is_degraded(self) -> None:
        """A Deployment that somebody deletes is restored as long as the floor holds."""
        pods = _pods(NEW, NEW, NEW, ready=False)
        tiers = [no_tier(PEER, each) for each in FRONT_ENDS]

        plan = plan_rollout(observe(partitions=[a_partition(PEER, pods=pods)], tiers=tiers))

        assert plan.open_tiers == set(FRONT_ENDS)

    def test_foreign_claims_are_not_bound(self) -> None:
        """A StatefulSet is not created over claims of another BigPeer."""
        plan = plan_rollout(
            observe(
                partitions=[no_partition(PEER)],
                claims=[a_claim(PEER, peer_uid="another")],
                stale_claims=("data-demo-store-0-0",),
            )
        )

        assert plan.open_partitions == set()
        assert plan.blocked is not None
        assert "data-demo-store-0-0" in plan.blocked.message


class TestTemplateGate:
    def test_the_template_is_written_before_any_pod_goes(self) -> None:
        """A pod lost by itself returns at the newest template: writing it is the risky step."""
        plan = plan_rollout(observe(partitions=[a_partition(PEER, revision=OLD)]))

        assert plan.open_partitions == {0}
        assert plan.disruption is None

    def test_partitions_take_turns(self) -> None:
        """The second template waits until the first partition is through."""
        partitions = [a_partition(TWO, 0, revision=OLD), a_partition(TWO, 1, revision=OLD)]

        first = plan_rollout(observe(TWO, partitions=partitions))
        half = [a_partition(TWO, 0, pods=_pods(NEW, OLD, OLD)), partitions[1]]
        second = plan_rollout(observe(TWO, partitions=half))

        assert first.open_partitions == {0}
        assert second.open_partitions == {0}
        assert second.disruption is not None
        assert second.disruption.partition == 0

    @pytest.mark.parametrize("third", [{"ready": False}, {"deleting": True}])
    def test_no_template_while_a_member_is_away(self, third: dict[str, object]) -> None:
        """A member of the other partition that is away is the one disruption there may be."""
        pods = [a_pod(f"demo-store-1-{i}", NEW) for i in range(2)]
        away = a_pod("demo-store-1-2", NEW, **third)
        partitions = [a_partition(TWO, 0, revision=OLD), a_partition(TWO, 1, pods=[*pods, away])]

        plan = plan_rollout(observe(TWO, partitions=partitions))

        assert plan.open_partitions == {1}
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.NO_DISRUPTION
        assert "demo-store-1-2" in plan.blocked.message


class TestDisruption:
    def test_the_lowest_old_ordinal_goes_next(self) -> None:
        """One pod, by eviction."""
        partition = a_partition(PEER, pods=_pods(NEW, OLD, OLD))

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.disruption is not None
        assert plan.disruption.pod.name == "demo-store-0-1"
        assert not plan.disruption.healing

    @pytest.mark.parametrize("third", [{"ready": False}, {"deleting": True}])
    def test_never_a_second_one(self, third: dict[str, object]) -> None:
        """While a replaced member is away the next one stays."""
        pods = [a_pod("demo-store-0-0", OLD), a_pod("demo-store-0-1", OLD)]
        partition = a_partition(PEER, pods=[*pods, a_pod("demo-store-0-2", NEW, **third)])

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.NO_DISRUPTION

    def test_never_below_the_floor(self) -> None:
        """With minimumReplicas equal to replicas no member may be spared, ever."""
        peer = a_peer({"spec.store.minimumReplicas": 3})

        plan = plan_rollout(
            observe(peer, partitions=[a_partition(peer, pods=_pods(NEW, OLD, OLD))])
        )

        assert plan.disruption is None
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.SPARE_MEMBER
        assert "spec.store.minimumReplicas" in plan.blocked.message

    def test_a_single_replica_is_replaced(self) -> None:
        """With one replica there is no way without an interruption."""
        peer = a_peer({"spec.store.replicas": 1})
        partition = a_partition(peer, pods=[a_pod("demo-store-0-0", OLD)])

        plan = plan_rollout(observe(peer, partitions=[partition]))

        assert plan.disruption is not None

    def test_members_that_lag_are_waited_for(self) -> None:
        """Ready is not enough: a member must have committed what the others have."""
        partition = a_partition(
            PEER, pods=_pods(NEW, OLD, OLD), reports=[a_report(3), a_report(), a_report()]
        )

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.MEMBERS_CAUGHT_UP
        assert "demo-store-0-0" in plan.blocked.message

    @pytest.mark.parametrize(
        "report", [Unreachable("refused"), None, a_report(backfill=Backfill.RUNNING)]
    )
    def test_unknown_is_never_healthy(self, report: object) -> None:
        """A member that does not answer, was not asked or is backfilling holds the rollout."""
        reports = [report, a_report(), a_report()]
        partition = a_partition(PEER, pods=_pods(NEW, OLD, OLD), reports=reports)  # type: ignore[arg-type]

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.MEMBERS_CAUGHT_UP

    def test_the_newest_member_settles_first(self) -> None:
        """The next pod goes settleSeconds after the last one became ready; the plan says when."""
        fresh = a_pod("demo-store-0-0", NEW, ready_since=NOW - timedelta(seconds=4))
        partition = a_partition(PEER, pods=[fresh, *_pods(OLD, OLD, OLD)[1:]])

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert plan.blocked.predicate is Predicate.SETTLED
        assert plan.blocked.retry_in == timedelta(seconds=6)


class TestHealing:
    def test_a_broken_old_pod_is_deleted_without_asking(self) -> None:
        """It serves nobody: neither floor nor budget nor catching up may keep it."""
        pods = _pods(NEW, NEW, OLD, ready=False, waiting="ImagePullBackOff")
        reports = [a_report(), a_report(), Unreachable("down")]

        plan = plan_rollout(observe(partitions=[a_partition(PEER, pods=pods, reports=reports)]))

        assert plan.disruption is not None
        assert plan.disruption.healing
        assert plan.disruption.pod.name == "demo-store-0-2"

    def test_a_fix_is_written_while_pods_are_broken(self) -> None:
        """Reverting a bad spec must un-stick the rollout without a human."""
        pods = _pods(OLD, OLD, OLD, ready=False)

        plan = plan_rollout(observe(partitions=[a_partition(PEER, revision=OLD, pods=pods)]))

        assert plan.open_partitions == {0}

    def test_one_broken_pod_at_a_time(self) -> None:
        """The next waits until the last one is gone."""
        pods = [
            a_pod("demo-store-0-0", OLD, deleting=True),
            a_pod("demo-store-0-1", OLD, ready=False),
            a_pod("demo-store-0-2", NEW),
        ]

        plan = plan_rollout(observe(partitions=[a_partition(PEER, pods=pods)]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert "demo-store-0-0" in plan.blocked.message

    def test_a_broken_pod_of_the_target_is_left_alone(self) -> None:
        """Deleting it would not make it better: it is young, or the target is bad."""
        pods = _pods(NEW, NEW, NEW, ready=False, waiting="CrashLoopBackOff")

        plan = plan_rollout(observe(partitions=[a_partition(PEER, pods=pods)]))

        assert plan.disruption is None
        assert plan.blocked is not None
        assert "CrashLoopBackOff" in plan.blocked.message

    def test_the_partition_that_needs_healing_goes_first(self) -> None:
        """Healing is before risk, whatever the order of partitions."""
        broken = [*_pods(OLD, OLD), a_pod("demo-store-1-2", OLD, ready=False)]
        partitions = [
            a_partition(TWO, 0, revision=OLD),
            a_partition(TWO, 1, revision=OLD, pods=broken),
        ]

        plan = plan_rollout(observe(TWO, partitions=partitions))

        assert plan.open_partitions == {1}


class TestFrontEnds:
    def test_they_keep_their_template_while_the_store_rolls(self) -> None:
        """A Deployment at another revision is not open before the store is through."""
        tiers = [a_tier(PEER, component, revision=OLD) for component in FRONT_ENDS]
        partition = a_partition(PEER, pods=_pods(NEW, NEW, OLD))

        plan = plan_rollout(observe(partitions=[partition], tiers=tiers))

        assert plan.open_tiers == set()

    def test_one_after_another(self) -> None:
        """The second tier waits for the first."""
        rolling = a_tier(PEER, Component.API, settled=False)
        tiers = [rolling, *(a_tier(PEER, each, revision=OLD) for each in FRONT_ENDS[1:])]

        plan = plan_rollout(observe(tiers=tiers))

        assert plan.open_tiers == {Component.API}
        assert plan.blocked is not None
        assert "demo-api" in plan.blocked.message

    def test_replicas_may_change_at_any_time(self) -> None:
        """A tier whose pods stay as they are is open while the store rolls."""
        partition = a_partition(PEER, pods=_pods(NEW, NEW, OLD))

        plan = plan_rollout(observe(partitions=[partition]))

        assert plan.open_tiers == set(FRONT_ENDS)


def test_a_refused_eviction_blocks() -> None:
    """A disruption budget's word is passed on, and the pod is named."""
    plan = plan_rollout(observe(partitions=[a_partition(PEER, pods=_pods(NEW, NEW, OLD))]))
    assert plan.disruption is not None

    refused = eviction_refused(plan, plan.disruption, "needs 3 healthy pods")

    assert refused.disruption is None
    assert refused.blocked is not None
    assert refused.blocked.predicate is Predicate.EVICTION_ALLOWED
    assert "demo-store-0-2" in refused.blocked.message
    assert "needs 3 healthy pods" in refused.blocked.message


@pytest.mark.parametrize("predicate", Predicate)
def test_every_predicate_has_a_reason(predicate: Predicate) -> None:
    """What blocks a rollout can always be shown in the condition."""
    assert Blocked(predicate, "why").reason.value
