"""DisruptionSafe: a warning when no member can be spared."""

from smbpctl.conditions.disruption_safe import disruption_safe
from test.support.observations import observe
from test.support.peers import a_peer


def test_three_replicas_are_safe() -> None:
    """One of three may be disrupted by default."""
    assert disruption_safe(observe()).reason == "Redundant"


def test_one_replica_is_not() -> None:
    """Every update interrupts it."""
    assert disruption_safe(observe(a_peer({"spec.store.replicas": 1}))).reason == "SingleReplica"


def test_no_redundancy_names_the_fields() -> None:
    """Both numbers are the user's to change."""
    condition = disruption_safe(observe(a_peer({"spec.store.minimumReplicas": 3})))

    assert condition.reason == "NoRedundancy"
    assert "spec.store.minimumReplicas" in condition.message
    assert "spec.store.replicas" in condition.message
