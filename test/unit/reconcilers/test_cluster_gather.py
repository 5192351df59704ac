"""What one reading takes from cache, server and members, and the objects that follow from it."""

from datetime import timedelta

import pytest

from smbpctl.operand.members import MemberReport, Unreachable
from smbpctl.reconcilers.cluster_gather import ClusterGatherer
from smbpctl.reconcilers.kinds import CLAIM, POD, SECRET, STATEFUL_SET
from smbpctl.resources.frontends import FRONT_ENDS
from smbpctl.resources.pods import revision_of
from smbpctl.runtime.meta import Manifest, ObjectKey
from test.support.cluster_stage import ClusterStage, a_secret
from test.support.observations import NOW
from test.support.peers import UID

CLAIM_NAME = "data-demo-store-0-0"


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


def gatherer_of(stage: ClusterStage) -> ClusterGatherer:
    """Return the gatherer that `setup` made."""
    gatherer: ClusterGatherer = stage.manager.reconciler.gatherer
    return gatherer


class TestReading:
    async def test_a_running_peer(self) -> None:
        """Every part is there, at the revision that the spec asks for."""
        stage = await ClusterStage({"spec.store.partitions": 2}).bring_up()

        observed, desired = await gatherer_of(stage).gather(stage.peer)

        assert [partition.revision for partition in observed.partitions] == [
            observed.store_revisions[0],
            observed.store_revisions[1],
        ]
        assert [tier.revision for tier in observed.tiers] == [
            observed.tier_revisions[component] for component in FRONT_ENDS
        ]
        assert len(observed.claims) == 6
        assert {claim.peer_uid for claim in observed.claims} == {UID}
        assert (observed.missing_secrets, observed.stale_claims) == ((), ())
        assert observed.now == NOW
        assert revision_of(desired.stores[1]["spec"]["template"]) == observed.store_revisions[1]

    async def test_nothing_yet(self) -> None:
        """What is absent is a fact, not an error."""
        stage = ClusterStage()

        observed, desired = await gatherer_of(stage).gather(stage.peer)

        assert not any(partition.exists for partition in observed.partitions)
        assert not any(tier.exists for tier in observed.tiers)
        assert (observed.claims, stage.answers.asked) == ((), [])
        assert list(desired.tiers) == list(FRONT_ENDS)

    async def test_pods_of_another_big_peer_are_not_seen(self) -> None:
        """A pod of that name without our label is somebody else's."""
        stage = await ClusterStage().bring_up()
        stage.server.edit(
            POD,
            key("demo-store-0-1"),
            lambda pod: pod["metadata"]["labels"].update({"smbpctl.dev/bigpeer": "other"}),
        )

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert [member.pod is None for member in observed.members] == [False, True, False]

    async def test_live_reads_what_the_cache_does_not_show_yet(self) -> None:
        """Pods, workloads and claims all come from the server then."""
        stage = await ClusterStage().bring_up()
        stage.cache.freeze()
        for gvk, name in (
            (POD, "demo-store-0-0"),
            (STATEFUL_SET, "demo-store-0"),
            (CLAIM, CLAIM_NAME),
        ):
            stage.server.remove(gvk, key(name))

        cached, _ = await gatherer_of(stage).gather(stage.peer)
        live, _ = await gatherer_of(stage).gather(stage.peer, live=True)

        assert cached.members[0].pod is not None
        assert cached.partitions[0].exists
        assert live.members[0].pod is None
        assert not live.partitions[0].exists
        assert (len(cached.claims), len(live.claims)) == (3, 2)


class TestClaims:
    async def test_before_a_stateful_set_exists_claims_are_read_live(self) -> None:
        """The cache holds only claims with our label; a StatefulSet binds any of that name."""
        stage = ClusterStage()
        stage.server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": CLAIM_NAME, "namespace": "shop"},
            }
        )

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert observed.stale_claims == (CLAIM_NAME,)

    async def test_afterwards_they_are_read_from_the_cache(self) -> None:
        """At rest a pass costs the server nothing but the members' own answers."""
        stage = await ClusterStage().bring_up()
        stage.cache.freeze()
        stage.server.remove(CLAIM, key(CLAIM_NAME))

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert observed.claims[0].name == CLAIM_NAME

    async def test_a_claim_of_a_namesake_is_stale(self) -> None:
        """Same name, another UID: the data of a BigPeer that was deleted."""
        stage = await ClusterStage().bring_up()
        stage.server.edit(
            CLAIM,
            key(CLAIM_NAME),
            lambda claim: claim["metadata"]["labels"].update({"smbpctl.dev/bigpeer-uid": "former"}),
        )

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert observed.stale_claims == (CLAIM_NAME,)

    @pytest.mark.parametrize("expandable", [True, False])
    async def test_whether_they_can_grow_is_their_class(self, expandable: bool) -> None:
        """allowVolumeExpansion of the StorageClass that the claim names."""
        stage = await ClusterStage().bring_up()
        stage.expandable(expandable)

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert {claim.expandable for claim in observed.claims} == {expandable}

    async def test_template_sizes_stay_as_the_stateful_set_was_made(self) -> None:
        """The claim templates of a StatefulSet are immutable."""
        stage = await ClusterStage().bring_up()
        stage.edit({"store": {"storage": {"size": "20Gi"}}})

        _, desired = await gatherer_of(stage).gather(stage.peer)

        (template,) = desired.stores[0]["spec"]["volumeClaimTemplates"]
        assert template["spec"]["resources"]["requests"]["storage"] == "10Gi"


class TestSecrets:
    async def test_missing_ones_are_named_by_what_they_are_for(self) -> None:
        """Certificates and the log are waited for under different reasons."""
        stage = ClusterStage()
        stage.forget("demo-jwt")
        stage.forget("demo-transaction-log")

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert observed.missing_certificates == ("demo-jwt",)
        assert observed.missing_connection == "demo-transaction-log"

    @pytest.mark.parametrize(
        "secret", ["demo-ca-1", "demo-in-band", "demo-jwt", "demo-transaction-log"]
    )
    async def test_another_content_is_another_revision(self, secret: str) -> None:
        """Members read these at start; metadata of a Secret changes nothing."""
        stage = await ClusterStage().bring_up()
        before, _ = await gatherer_of(stage).gather(stage.peer)
        stage.server.edit(
            SECRET, key(secret), lambda each: each["metadata"].update(labels={"a": "b"})
        )
        labelled, _ = await gatherer_of(stage).gather(stage.peer)
        stage.server.put(a_secret(secret, tls_crt="another"))

        renewed, _ = await gatherer_of(stage).gather(stage.peer)

        assert labelled.store_revisions == before.store_revisions
        assert renewed.store_revisions != before.store_revisions
        assert renewed.tier_revisions != before.tier_revisions


class TestReports:
    async def test_every_member_with_an_address_is_asked_once(self) -> None:
        """All at once, at the port of the contract; front-ends are not asked."""
        stage = await ClusterStage().bring_up()
        stage.answers.asked.clear()

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        pods = [f"demo-store-0-{ordinal}" for ordinal in range(3)]
        assert [member.pod for member in stage.answers.asked] == [key(name) for name in pods]
        assert len(observed.members) == 3
        for member in observed.members:
            assert member.pod is not None
            assert isinstance(member.report, MemberReport)
            assert member.report.server_id == f"at-{member.pod.address}:8080"

    async def test_a_leaving_pod_and_one_without_address_are_not_asked(self) -> None:
        """The address of a pod on its way out may be another pod's in a moment."""
        stage = await ClusterStage().bring_up()

        def leave(pod: Manifest) -> None:
            pod["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"

        stage.server.edit(POD, key("demo-store-0-0"), leave)
        stage.server.edit(POD, key("demo-store-0-1"), lambda pod: pod["status"].pop("podIP"))

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert [member.report is None for member in observed.members] == [True, True, False]

    async def test_ipv6_addresses_are_bracketed(self) -> None:
        """host:port of an IPv6 address is ambiguous without."""
        stage = await ClusterStage().bring_up()
        stage.server.edit(
            POD, key("demo-store-0-0"), lambda pod: pod["status"].update(podIP="fd00::7")
        )
        stage.answers.by_address["[fd00::7]:8080"] = Unreachable("refused")

        observed, _ = await gatherer_of(stage).gather(stage.peer)

        assert observed.members[0].report == Unreachable("refused")


async def test_time_is_the_clock_s() -> None:
    """Nothing else tells what time it is."""
    stage = ClusterStage()
    stage.clock.advance(timedelta(hours=1))

    observed, _ = await gatherer_of(stage).gather(stage.peer)

    assert observed.now == NOW + timedelta(hours=1)
