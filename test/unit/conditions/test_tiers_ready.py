"""StoreReady and the tiers: all pods serve, or the first one that does not is named."""

from smbpctl.api.v1alpha1 import Condition, ConditionStatus
from smbpctl.conditions.tiers_ready import CONDITION_OF, store_ready, tier_ready
from smbpctl.operand.contract import Component
from test.support.observations import (
    a_partition,
    a_pod,
    a_tier,
    no_partition,
    no_tier,
    observe,
)
from test.support.peers import a_peer

PEER = a_peer()


def _says(condition: Condition, reason: str, *words: str) -> None:
    assert condition.status is ConditionStatus.FALSE
    assert condition.reason == reason
    for word in words:
        assert word in condition.message


class TestStoreReady:
    def test_all_members_serve(self) -> None:
        """True only when every partition is complete."""
        assert store_ready(observe()).status is ConditionStatus.TRUE

    def test_the_first_unready_pod_is_named_with_its_reason(self) -> None:
        """What a container waits for reaches the condition."""
        pods = [
            a_pod("p0"),
            a_pod("p1", ready=False, waiting="ImagePullBackOff", message="no"),
            None,
        ]

        condition = store_ready(observe(partitions=[a_partition(PEER, pods=pods)]))

        _says(condition, "PodsNotReady", "1 of 3", "p1", "ImagePullBackOff", "no")

    def test_a_pod_on_its_way_out_does_not_count(self) -> None:
        """Ready but terminating is not serving."""
        pods = [a_pod("p0"), a_pod("p1"), a_pod("p2", deleting=True)]

        condition = store_ready(observe(partitions=[a_partition(PEER, pods=pods)]))

        _says(condition, "PodsNotReady", "2 of 3", "p2", "deleted")

    def test_what_stands_before_the_first_creation(self) -> None:
        """Version, certificates, log and claims are named in the order in which they block."""
        absent = [no_partition(PEER)]
        unknown = a_peer({"spec.version": "9.0.0"})

        version = store_ready(observe(unknown, partitions=absent))
        tls = store_ready(
            observe(partitions=absent, missing_certificates=("a", "b"), missing_connection="c")
        )
        log = store_ready(observe(partitions=absent, missing_connection="demo-transaction-log"))
        claims = store_ready(observe(partitions=absent, stale_claims=("data-0",)))
        nothing = store_ready(observe(partitions=absent))

        _says(version, "VersionNotSupported", "9.0.0")
        _says(tls, "WaitingForTLS", "Secret a, b")
        _says(log, "WaitingForTransactionLog", "demo-transaction-log")
        _says(claims, "NotCreated", "data-0")
        _says(nothing, "NotCreated")


class TestTierReady:
    def test_all_pods_serve_at_the_wanted_revision(self) -> None:
        """True when ready and rolled out."""
        tier = a_tier(PEER, Component.API)

        condition = tier_ready(observe(), tier)

        assert condition.status is ConditionStatus.TRUE
        assert condition.type == "ApiReady"

    def test_a_rollout_under_way_is_not_ready(self) -> None:
        """Enough pods serve, but not all of the wanted revision."""
        condition = tier_ready(observe(), a_tier(PEER, Component.API, settled=False))

        _says(condition, "PodsNotReady", "demo-api", "2 of 2")

    def test_an_absent_tier_waits_for_the_store(self) -> None:
        """Unless something else stands before the store itself."""
        tier = no_tier(PEER, Component.AUTH)

        _says(tier_ready(observe(), tier), "WaitingForStore")
        _says(tier_ready(observe(missing_certificates=("a",)), tier), "WaitingForTLS", "Secret a")


def test_every_component_has_a_condition_of_its_own() -> None:
    """No two tiers share one."""
    assert set(CONDITION_OF) == set(Component)
    assert len(set(CONDITION_OF.values())) == len(Component)
