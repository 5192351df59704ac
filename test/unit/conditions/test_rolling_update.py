"""RollingUpdateSucceeded: every pod runs what the spec asks for."""

import pytest

from smbpctl.api.v1alpha1 import ConditionStatus, RollingUpdateSucceededReason
from smbpctl.conditions.rolling_update import pending, rolling_update_succeeded
from smbpctl.observed import ClusterObserved
from smbpctl.operand.contract import Component
from smbpctl.resources.frontends import FRONT_ENDS
from test.support.observations import (
    NEW,
    OLD,
    a_partition,
    a_pod,
    a_tier,
    no_partition,
    observe,
)
from test.support.peers import a_peer

PEER = a_peer()
OTHERS = [a_tier(PEER, component) for component in FRONT_ENDS[1:]]


def test_true_at_the_target() -> None:
    """Nothing is pending."""
    condition = rolling_update_succeeded(observe())

    assert condition.status is ConditionStatus.TRUE
    assert not pending(observe())


@pytest.mark.parametrize(
    "observed",
    [
        observe(partitions=[a_partition(PEER, revision=OLD)]),
        observe(partitions=[a_partition(PEER, pods=[a_pod("a"), a_pod("b"), a_pod("c", OLD)])]),
        observe(partitions=[a_partition(PEER, pods=[a_pod("a"), a_pod("b"), None])]),
        observe(partitions=[no_partition(PEER)]),
        observe(tiers=[a_tier(PEER, Component.API, revision=OLD), *OTHERS]),
        observe(tiers=[a_tier(PEER, Component.API, settled=False), *OTHERS]),
    ],
)
def test_false_while_anything_is_at_another_revision(observed: ClusterObserved) -> None:
    """A template, a pod, a missing pod or a Deployment that is not through."""
    condition = rolling_update_succeeded(observed)

    assert pending(observed)
    assert condition.status is ConditionStatus.FALSE
    assert condition.reason == RollingUpdateSucceededReason.IN_PROGRESS


def test_the_hindrance_is_shown() -> None:
    """What blocks the rollout is its reason and message, even at the target."""
    hindrance = RollingUpdateSucceededReason.VERSION_NOT_SUPPORTED

    condition = rolling_update_succeeded(observe(), hindrance, "spec.version 9 is unknown")

    assert condition.status is ConditionStatus.FALSE
    assert condition.reason == hindrance
    assert condition.message == "spec.version 9 is unknown"


def test_a_pod_of_the_target_counts_by_its_own_label() -> None:
    """The template's revision alone proves nothing: OnDelete pods keep theirs."""
    partition = a_partition(PEER, revision=NEW, pods=[a_pod(n, OLD) for n in "abc"])

    assert pending(observe(partitions=[partition]))
