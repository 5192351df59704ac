"""Disruption budgets: one member at a time, and none where it would block drains for ever."""

from smbpctl.resources.disruption import store_disruption_budget
from test.support.peers import a_peer


def test_one_member_of_a_partition_may_go() -> None:
    """A broken member may always be evicted; a healthy one only while it is the only one away."""
    budget = store_disruption_budget(a_peer(), 0)

    assert budget is not None
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["spec"]["selector"]["matchLabels"]["smbpctl.dev/partition"] == "0"


def test_a_single_replica_has_no_budget() -> None:
    """It would block every node drain for ever."""
    assert store_disruption_budget(a_peer({"spec.store.replicas": 1}), 0) is None
