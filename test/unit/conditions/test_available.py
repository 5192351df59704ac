"""Available: every tier serves, with its log and certificates; the first obstacle is named."""

import pytest

from smbpctl.api.v1alpha1 import Condition, ConditionStatus, ConditionType
from smbpctl.conditions.available import available
from smbpctl.operand.contract import Component
from smbpctl.resources.frontends import FRONT_ENDS
from test.support.observations import a_partition, a_pod, a_tier, observe
from test.support.peers import a_peer

PEER = a_peer()


def _condition(kind: ConditionType, status: ConditionStatus, message: str = "why") -> Condition:
    return Condition(type=kind.value, status=status, reason="Some", message=message)


TLS = _condition(ConditionType.TLS_READY, ConditionStatus.TRUE)
LOG = _condition(ConditionType.TRANSACTION_LOG_READY, ConditionStatus.TRUE)


def test_everything_serves() -> None:
    """True with all tiers, log and certificates."""
    assert available(observe(), [TLS, LOG]).status is ConditionStatus.TRUE


def test_an_orderly_rollout_keeps_it() -> None:
    """One of three members away leaves the floor; one pod of a tier is enough."""
    pods = [a_pod("a"), a_pod("b"), a_pod("c", ready=False)]
    tiers = [a_tier(PEER, component, ready=1, available=1) for component in FRONT_ENDS]

    condition = available(
        observe(partitions=[a_partition(PEER, pods=pods)], tiers=tiers), [TLS, LOG]
    )

    assert condition.status is ConditionStatus.TRUE


def test_below_the_floor_it_is_false() -> None:
    """Two of three members away, with a floor of two."""
    pods = [a_pod("a"), a_pod("b", ready=False), None]

    condition = available(observe(partitions=[a_partition(PEER, pods=pods)]), [TLS, LOG])

    assert condition.reason == "StoreNotReady"
    assert "partition 0" in condition.message
    assert "at least 2" in condition.message


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (Component.API, "ApiNotReady"),
        (Component.SUBSCRIPTION, "SubscriptionsNotReady"),
        (Component.AUTH, "AuthNotReady"),
    ],
)
def test_a_tier_without_a_pod_is_named(component: Component, reason: str) -> None:
    """Each tier has its own reason."""
    tiers = [a_tier(PEER, each, available=2 * (each is not component)) for each in FRONT_ENDS]

    condition = available(observe(tiers=tiers), [TLS, LOG])

    assert condition.reason == reason
    assert f"demo-{component.value}" in condition.message


def test_dependencies_come_first_and_are_quoted() -> None:
    """The first thing in the order of bring-up is what people should look at."""
    broken_tls = _condition(ConditionType.TLS_READY, ConditionStatus.FALSE, "Secret x is missing")
    broken_log = _condition(ConditionType.TRANSACTION_LOG_READY, ConditionStatus.FALSE)

    both = available(observe(), [broken_tls, broken_log])
    log = available(observe(), [TLS, broken_log])
    silent = available(observe(), [LOG])

    assert both.reason == "TLSNotReady"
    assert "Secret x is missing" in both.message
    assert log.reason == "TransactionLogNotReady"
    assert silent.reason == "NotObserved"
    assert "TLSReady" in silent.message
