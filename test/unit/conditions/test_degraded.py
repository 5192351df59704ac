"""Degraded: what does not heal by itself, in words that name it."""

import pytest

from smbpctl.api.v1alpha1 import Condition, ConditionStatus, DegradedReason
from smbpctl.conditions.degraded import degraded, invalid
from smbpctl.operand.contract import Component
from smbpctl.resources.frontends import FRONT_ENDS
from test.support.observations import a_partition, a_pod, a_tier, observe
from test.support.peers import a_peer

PEER = a_peer()


def _false(kind: str, reason: str) -> Condition:
    return Condition(type=kind, status=ConditionStatus.FALSE, reason=reason, message="the words")


def test_healthy() -> None:
    """Waiting for something that comes by itself is no degradation."""
    waiting = [_false("TLSReady", "Issuing"), _false("StorageReady", "ClaimsPending")]

    condition = degraded(observe(), waiting)

    assert condition.status is ConditionStatus.FALSE


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        ("VersionSupported", "UnknownVersion", "VersionNotSupported"),
        ("StorageReady", "StaleClaim", "StaleClaim"),
        ("StorageReady", "ExpansionNotSupported", "StorageNotExpandable"),
        ("TLSReady", "SecretNotFound", "InputMissing"),
        ("TLSReady", "SecretInvalid", "InputMissing"),
        ("TLSReady", "CertificateExpired", "InputMissing"),
        ("TLSReady", "CertManagerNotInstalled", "DependencyNotInstalled"),
        ("TransactionLogReady", "SecretNotFound", "InputMissing"),
        ("TransactionLogReady", "StrimziNotInstalled", "DependencyNotInstalled"),
        ("NetworkingReady", "NameConflict", "NameConflict"),
        ("TLSReady", "InvalidSpec", "InvalidSpec"),
    ],
)
def test_conditions_that_need_a_human(kind: str, reason: str, expected: str) -> None:
    """The condition is quoted, with its type."""
    condition = degraded(observe(), [_false(kind, reason)])

    assert condition.status is ConditionStatus.TRUE
    assert condition.reason == expected
    assert condition.message == f"{kind}: the words"


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ("ImagePullBackOff", "ImagePullFailed"),
        ("CrashLoopBackOff", "CrashLooping"),
        ("CreateContainerConfigError", "ContainerConfigError"),
        ("Unschedulable", "Unschedulable"),
    ],
)
def test_waiting_reasons_are_lifted(waiting: str, expected: str) -> None:
    """A pod of the store, or of a tier, that cannot run is named with its own words."""
    pod = a_pod("the-pod", ready=False, waiting=waiting, message="its words")
    stuck = a_partition(PEER, pods=[a_pod("a"), a_pod("b"), pod])
    tiers = [a_tier(PEER, Component.API, pods=(pod,)), *(a_tier(PEER, c) for c in FRONT_ENDS[1:])]

    for observed in (observe(partitions=[stuck]), observe(tiers=tiers)):
        condition = degraded(observed, [])

        assert condition.reason == expected
        assert "the-pod" in condition.message
        assert "its words" in condition.message


def test_a_pod_that_goes_is_no_degradation() -> None:
    """It is being replaced already."""
    pod = a_pod("c", ready=False, waiting="CrashLoopBackOff", deleting=True)
    partition = a_partition(PEER, pods=[a_pod("a"), a_pod("b"), pod])

    assert degraded(observe(partitions=[partition]), []).status is ConditionStatus.FALSE


def test_a_taken_name_comes_first() -> None:
    """Nothing else can be done before it."""
    condition = degraded(observe(), [_false("TLSReady", "SecretInvalid")], "Service x is foreign")

    assert condition.reason == "NameConflict"
    assert condition.message == "Service x is foreign"


def test_an_unknown_type_says_nothing() -> None:
    """Conditions of a newer operator are left alone."""
    assert degraded(observe(), [_false("Newer", "Broken")]).status is ConditionStatus.FALSE


def test_invalid_is_true() -> None:
    """A spec that breaks a rule needs a human by definition."""
    condition = invalid(PEER, DegradedReason.INVALID_SPEC, "spec.x: no")

    assert condition.status is ConditionStatus.TRUE
    assert condition.message == "spec.x: no"
