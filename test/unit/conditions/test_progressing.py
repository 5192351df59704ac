"""Progressing: somebody has not reported yet, or something is under way."""

from smbpctl.api.v1alpha1 import Condition, ConditionStatus, ConditionType
from smbpctl.conditions.progressing import INPUTS, observed_everywhere, progressing
from smbpctl.operand.contract import Component
from test.support.observations import no_tier, observe
from test.support.peers import a_peer

PEER = a_peer()


def all_true(**differs: Condition) -> list[Condition]:
    """Return every input, True at this generation, but for what is given by type."""
    conditions = {
        kind.value: Condition(
            type=kind.value, status=ConditionStatus.TRUE, reason="Fine", observed_generation=3
        )
        for kind in INPUTS
    }
    return list({**conditions, **differs}.values())


def _false(kind: ConditionType, reason: str) -> Condition:
    return Condition(
        type=kind.value,
        status=ConditionStatus.FALSE,
        reason=reason,
        message="its words",
        observed_generation=3,
    )


def test_complete() -> None:
    """All inputs True at this generation."""
    condition = progressing(observe(), all_true())

    assert condition.status is ConditionStatus.FALSE
    assert observed_everywhere(observe(), all_true()) == ""


def test_a_writer_that_is_silent_is_waited_for() -> None:
    """Missing, Unknown and older all count as not reported, and are told apart."""
    missing = all_true()[:-1]
    unknown = all_true(
        TLSReady=Condition(type="TLSReady", status=ConditionStatus.UNKNOWN, reason="NotObserved")
    )
    older = all_true(
        TLSReady=Condition(
            type="TLSReady", status=ConditionStatus.TRUE, reason="Issued", observed_generation=2
        )
    )

    for conditions, words in (
        (missing, "NetworkingReady is not reported yet"),
        (unknown, "TLSReady is not known"),
        (older, "TLSReady is not reported for generation 3"),
    ):
        condition = progressing(observe(), conditions)

        assert condition.status is ConditionStatus.TRUE
        assert condition.reason == "WaitingForCondition"
        assert words in condition.message


def test_the_first_obstacle_in_the_order_of_bring_up_is_named() -> None:
    """Certificates before the store before the front-ends."""
    conditions = all_true(
        AuthReady=_false(ConditionType.AUTH_READY, "WaitingForStore"),
        TLSReady=_false(ConditionType.TLS_READY, "SecretNotFound"),
    )

    condition = progressing(observe(), conditions)

    assert condition.message == "TLSReady: its words"


def test_what_kind_of_step_is_under_way() -> None:
    """Creation, rollout, growth and mere waiting are told apart."""
    rolling = all_true(
        RollingUpdateSucceeded=_false(ConditionType.ROLLING_UPDATE_SUCCEEDED, "InProgress")
    )
    growing = all_true(StorageReady=_false(ConditionType.STORAGE_READY, "Resizing"))
    waiting = all_true(NetworkingReady=_false(ConditionType.NETWORKING_READY, "AddressPending"))
    absent = observe(tiers=[no_tier(PEER, Component.API)])

    assert progressing(observe(), rolling).reason == "Rolling"
    assert progressing(observe(), growing).reason == "StorageGrowing"
    assert progressing(observe(), waiting).reason == "Blocked"
    assert progressing(absent, rolling).reason == "Creating"


def test_an_invalid_spec_waits_for_an_edit() -> None:
    """Nothing moves until somebody edits it."""
    conditions = all_true(TLSReady=_false(ConditionType.TLS_READY, "InvalidSpec"))

    assert progressing(observe(), conditions).reason == "InvalidSpec"
