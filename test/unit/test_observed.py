"""The small judgements that facts make about themselves."""

import pytest

from smbpctl.observed import Partition, Tier
from smbpctl.operand.contract import Component
from test.support.observations import a_partition, a_pod, no_partition, observe
from test.support.peers import a_peer


@pytest.mark.parametrize(
    ("ready", "deleting", "healthy"),
    [(True, False, True), (False, False, False), (True, True, False), (False, True, False)],
)
def test_a_healthy_pod_serves_and_stays(ready: bool, deleting: bool, healthy: bool) -> None:
    """A pod that is leaving is Ready for a while, and cannot be counted on."""
    assert a_pod("p", ready=ready, deleting=deleting).healthy is healthy


def test_healthy_members_of_a_partition() -> None:
    """Missing, broken and leaving ones do not count."""
    pods = [a_pod("a"), a_pod("b", ready=False), None]

    assert a_partition(a_peer(), pods=pods).healthy == 1


def test_existence_is_told_by_the_revision() -> None:
    """Every workload of ours has one."""
    assert not Partition(0, ()).exists
    assert Partition(0, (), revision="x").exists
    assert not Tier(Component.API, "demo-api").exists
    assert Tier(Component.API, "demo-api", revision="x").exists


def test_missing_secrets_are_certificates_then_the_log() -> None:
    """In the order in which they are waited for."""
    observed = observe(missing_certificates=("a", "b"), missing_connection="log")

    assert observed.missing_secrets == ("a", "b", "log")
    assert observe(missing_certificates=("a",)).missing_secrets == ("a",)
    assert observe().missing_secrets == ()


def test_members_of_all_partitions() -> None:
    """In order."""
    peer = a_peer({"spec.store.partitions": 2})
    observed = observe(peer, partitions=[no_partition(peer, 0), a_partition(peer, 1)])

    places = [(member.partition, member.ordinal) for member in observed.members]

    assert places == [(partition, ordinal) for partition in (0, 1) for ordinal in range(3)]
