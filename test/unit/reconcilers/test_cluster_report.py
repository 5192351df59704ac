"""The status of the cluster reconciler, from facts alone."""

from dataclasses import replace

import pytest

from smbpctl.api.v1alpha1 import (
    BigPeer,
    BigPeerStatus,
    Condition,
    ConditionStatus,
    ConditionType,
)
from smbpctl.observed import ClusterObserved
from smbpctl.operand.contract import Component
from smbpctl.operand.members import Backfill, Unreachable
from smbpctl.plans.rollout import Blocked, Predicate
from smbpctl.reconcilers.cluster_report import (
    FOREIGN,
    cluster_conditions,
    cluster_status,
    foreign_conditions,
    invalid_status,
)
from smbpctl.runtime.meta import Manifest
from test.support.cluster_stage import is_true
from test.support.observations import (
    NEW,
    OLD,
    a_partition,
    a_pod,
    a_report,
    a_tier,
    no_partition,
    observe,
)
from test.support.peers import a_peer

OWN = {
    "Available",
    "Progressing",
    "Degraded",
    "Ready",
    "VersionSupported",
    "StoreReady",
    "SubscriptionsReady",
    "ApiReady",
    "AuthReady",
    "RollingUpdateSucceeded",
    "StorageReady",
    "DisruptionSafe",
}


def reported(*conditions: Manifest, edits: Manifest | None = None) -> BigPeer:
    """Return a BigPeer on which conditions are reported already."""
    return a_peer({**(edits or {}), "status": {"conditions": list(conditions)}})


def all_well(edits: Manifest | None = None) -> BigPeer:
    """Return a BigPeer with which the other reconcilers are content."""
    return reported(*(is_true(kind) for kind in sorted(FOREIGN)), edits=edits)


def by_type(status: Manifest) -> dict[str, Manifest]:
    """Return the conditions of a status by type."""
    return {each["type"]: each for each in status["conditions"]}


class TestConditions:
    def test_every_type_of_ours_once_and_none_of_others(self) -> None:
        """Conditions are a list-map: a type that two writers claim would flap."""
        status = cluster_status(observe(all_well()))

        types = [each["type"] for each in status["conditions"]]
        assert types == sorted(OWN)

    def test_foreign_ones_are_those_the_others_wrote(self) -> None:
        """Only what is there: a writer that has said nothing yet is missing."""
        peer = reported(is_true(ConditionType.TLS_READY), is_true(ConditionType.READY))

        assert [each.type for each in foreign_conditions(peer)] == ["TLSReady"]

    def test_the_aggregates_know_the_conditions_of_others(self) -> None:
        """Ready while all are content, not while one is missing."""
        well = cluster_conditions(observe(all_well()), None, "")
        alone = cluster_conditions(observe(reported()), None, "")

        statuses = [{c.type: c.status for c in each}["Ready"] for each in (well, alone)]
        assert statuses == [ConditionStatus.TRUE, ConditionStatus.FALSE]

    def test_what_blocks_the_rollout_is_told(self) -> None:
        """Reason and message are those of the plan."""
        blocked = Blocked(Predicate.REDUNDANCY, "partition 0 has 2")
        observed = observe(all_well(), partitions=[a_partition(all_well(), revision=OLD)])

        told = by_type(cluster_status(observed, blocked))["RollingUpdateSucceeded"]

        assert told["reason"] == "WaitingForRedundancy"
        assert told["message"] == "partition 0 has 2"

    def test_a_conflict_degrades(self) -> None:
        """And Ready says so too."""
        conditions = by_type(cluster_status(observe(all_well()), conflict="ConfigMap a is taken"))

        assert conditions["Degraded"]["message"] == "ConfigMap a is taken"
        assert conditions["Ready"]["reason"] == "Degraded"

    @pytest.mark.parametrize("conflict", ["", "taken"])
    def test_deriving_again_changes_nothing(self, conflict: str) -> None:
        """A status that is fed back gives itself, whatever time it is by then."""
        first = cluster_status(observe(all_well()), conflict=conflict)
        kept = [is_true(kind) for kind in sorted(FOREIGN)]
        again = reported(*first["conditions"], *kept)

        later = observe(again).now.replace(year=2030)

        assert cluster_status(observe(again, now=later), conflict=conflict) == first


class TestStatus:
    def test_it_is_a_status_the_api_can_read(self) -> None:
        """Every name in it is a field of the schema, with nothing dropped."""
        status = cluster_status(observe(all_well()))

        read = BigPeerStatus.model_validate(status, extra="forbid")

        assert read.to_manifest() == {"certificates": [], "endpoints": [], **status}

    def test_effective_defaults_are_shown(self) -> None:
        """What is computed is never stored in the spec, so this is where people see it."""
        status = cluster_status(observe(a_peer()))

        assert status["effective"] == {
            "minimumReplicas": 2,
            "topic": {"name": "shop.demo.transactions"},
            "imagePrefix": "registry.test",
        }

    @pytest.mark.parametrize(
        ("generations", "observed"), [((3, 3, 3), 3), ((3, 1, 2), 1), ((9, 9, 9), 3)]
    )
    def test_observed_generation_is_the_minimum(
        self, generations: tuple[int, ...], observed: int
    ) -> None:
        """Over all writers and ourselves."""
        pairs = zip(sorted(FOREIGN), generations, strict=True)
        peer = reported(*(is_true(kind, generation) for kind, generation in pairs))

        assert cluster_status(observe(peer))["observedGeneration"] == observed

    def test_a_silent_writer_has_observed_nothing(self) -> None:
        """Zero, until all four have looked."""
        peer = reported(is_true(ConditionType.TLS_READY))

        assert cluster_status(observe(peer))["observedGeneration"] == 0

    def test_counts_of_the_store(self) -> None:
        """Wanted is what the spec asks for, also while members are missing."""
        peer = a_peer({"spec.store.partitions": 2})
        pods = [a_pod("demo-store-0-0"), a_pod("demo-store-0-1", OLD, ready=False), None]
        observed = observe(
            peer, partitions=[a_partition(peer, 0, pods=pods), no_partition(peer, 1)]
        )

        store = cluster_status(observed)["store"]

        assert store["summary"] == "1/6"
        assert [store[n] for n in ("replicas", "readyReplicas", "updatedReplicas")] == [2, 1, 1]
        assert [partition["ready"] for partition in store["partitions"]] == [1, 0]
        assert store["selector"] == (
            "app.kubernetes.io/component=store,app.kubernetes.io/instance=demo"
        )

    def test_tiers(self) -> None:
        """The scale subresource reads replicas and selector from here."""
        peer = a_peer()
        tiers = [
            a_tier(peer, Component.API, total=3, ready=1),
            a_tier(peer, Component.SUBSCRIPTION),
            a_tier(peer, Component.AUTH),
        ]

        status = cluster_status(observe(peer, tiers=tiers))

        assert status["api"]["replicas"] == 3
        assert status["api"]["readyReplicas"] == 1
        assert status["subscriptions"]["selector"] == (
            "app.kubernetes.io/component=subscription,app.kubernetes.io/instance=demo"
        )
        assert status["auth"]["replicas"] == 2

    def test_the_version_is_the_lowest_that_runs(self) -> None:
        """Compared as numbers; the target is what the spec asks for."""
        peer = a_peer()
        versions = ("1.63.2", "1.9.10", "1.63.2-rc.1")
        pods = [a_pod(f"demo-store-0-{n}", version=v) for n, v in enumerate(versions)]

        status = cluster_status(observe(peer, partitions=[a_partition(peer, pods=pods)]))

        assert (status["version"], status["targetVersion"]) == ("1.9.10", "1.63.2")

    def test_without_pods_there_is_no_version(self) -> None:
        """An empty one would be a lie."""
        peer = a_peer()

        assert "version" not in cluster_status(observe(peer, partitions=[no_partition(peer)]))

    @pytest.mark.parametrize("label", ["latest", "1.63", "1.x.2"])
    def test_a_version_label_that_somebody_edited_is_no_version(self, label: str) -> None:
        """Labels of pods are anybody's to write: the status must survive them."""
        peer = a_peer()
        pods = [a_pod("demo-store-0-0", version=label), a_pod("demo-store-0-1"), None]

        status = cluster_status(observe(peer, partitions=[a_partition(peer, pods=pods)]))

        assert status["version"] == "1.63.2"


class TestMembers:
    @pytest.mark.parametrize(
        ("differs", "reason"),
        [
            ({}, None),
            ({"deleting": True}, "Terminating"),
            ({"ready": False}, "NotReady"),
            ({"ready": False, "waiting": "ImagePullBackOff"}, "ImagePullBackOff"),
        ],
    )
    def test_why_a_member_does_not_count(self, differs: Manifest, reason: str | None) -> None:
        """The most telling word there is."""
        peer = a_peer({"spec.store.replicas": 1})
        pods = [a_pod("demo-store-0-0", **differs)]

        member = self.first(observe(peer, partitions=[a_partition(peer, pods=pods)]))

        assert member.get("reason") == reason

    def first(self, observed: ClusterObserved) -> Manifest:
        """Return the status of the first member."""
        member: Manifest = cluster_status(observed)["store"]["partitions"][0]["members"][0]
        return member

    def test_what_a_member_says_of_itself(self) -> None:
        """Identity, configuration and whether it has caught up, but never a changing number."""
        peer = a_peer()
        reports = [a_report(), a_report(ust=0), a_report(backfill=Backfill.RUNNING)]

        observed = observe(peer, partitions=[a_partition(peer, reports=reports)])

        members = cluster_status(observed)["store"]["partitions"][0]["members"]
        assert [member["caughtUp"] for member in members] == [True, False, False]
        assert members[0] == {
            "pod": "demo-store-0-0",
            "revision": NEW,
            "serverId": "server",
            "configId": 1,
            "caughtUp": True,
        }

    def test_silence_is_unreachable(self) -> None:
        """Ready for Kubernetes, unknown to us."""
        peer = a_peer({"spec.store.replicas": 1})
        reports = [Unreachable("refused")]

        member = self.first(observe(peer, partitions=[a_partition(peer, reports=reports)]))

        assert member == {"pod": "demo-store-0-0", "revision": NEW, "reason": "Unreachable"}

    def test_a_missing_pod_keeps_its_place(self) -> None:
        """The slot is there, whoever fills it."""
        peer = a_peer({"spec.store.replicas": 1})

        member = self.first(observe(peer, partitions=[no_partition(peer)]))

        assert member == {"pod": "demo-store-0-0", "revision": "", "reason": "PodMissing"}


class TestInvalid:
    def test_three_conditions_tell_and_the_rest_is_as_it_is(self) -> None:
        """What runs is still reported, at this generation."""
        peer = all_well()
        observed = observe(peer)
        message = "BigPeer shop/demo: spec.tls.secrets: is required"

        usual, told = cluster_status(observed), invalid_status(peer, message, observed)

        differing = {
            kind for kind, condition in by_type(told).items() if condition != by_type(usual)[kind]
        }
        assert differing == {"Degraded", "Progressing", "Ready"}
        assert {by_type(told)[kind]["message"] for kind in differing} == {message}
        assert {name: told[name] for name in told if name != "conditions"} == {
            name: usual[name] for name in usual if name != "conditions"
        }

    def test_each_type_once(self) -> None:
        """The three replace those of the usual report."""
        status = invalid_status(a_peer(), "x", observe())

        assert sorted(each["type"] for each in status["conditions"]) == sorted(OWN)


def test_a_condition_of_an_older_generation_is_not_ready_yet() -> None:
    """All is well but for one writer that has not looked at the newest spec."""
    kinds = sorted(FOREIGN)
    peer = reported(*(is_true(kind) for kind in kinds[1:]), is_true(kinds[0], 2))
    observed = replace(observe(peer))

    conditions = {c.type: c for c in cluster_conditions(observed, None, "")}

    assert isinstance(conditions["Ready"], Condition)
    assert conditions["Ready"].status is ConditionStatus.FALSE
    assert conditions["Available"].status is ConditionStatus.TRUE
    assert kinds[0] in conditions["Progressing"].message
