"""TransactionLogReady: the first part that is not usable, in Strimzi's own words."""

import pytest

from smbpctl.api.v1alpha1 import Condition, ConditionStatus, effective
from smbpctl.conditions.transaction_log_ready import (
    transaction_log_ready,
)
from smbpctl.observed import LogObserved, LogPart, SecretProblem
from test.support.peers import a_strimzi_peer

PEER = a_strimzi_peer()


def _ready(*parts: LogPart, problems: tuple[SecretProblem, ...] = ()) -> Condition:
    return transaction_log_ready(LogObserved(PEER, effective(PEER), parts=parts, problems=problems))


def test_ready() -> None:
    """All parts ready and no problem with any Secret."""
    assert _ready(LogPart("Kafka", "demo-log", ready=True)).status is ConditionStatus.TRUE


def test_an_absent_strimzi_is_named_with_the_field() -> None:
    """And with the way out."""
    condition = transaction_log_ready(LogObserved(PEER, effective(PEER), installed=False))

    assert condition.reason == "StrimziNotInstalled"
    assert "spec.transactionLog.type" in condition.message
    assert "External" in condition.message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("Kafka", "KafkaNotReady"),
        ("KafkaTopic", "TopicNotReady"),
        ("KafkaUser", "UserNotReady"),
    ],
)
def test_each_kind_has_its_reason(kind: str, reason: str) -> None:
    """Strimzi's reason and message are quoted after the object's name."""
    condition = _ready(LogPart(kind, "demo", ready=False, reason="Timeout", message="no broker"))

    assert condition.reason == reason
    assert condition.message == f"{kind} shop/demo: Timeout: no broker"


def test_a_pause_is_shown_even_when_all_is_ready() -> None:
    """Nothing that we change would have any effect."""
    condition = _ready(LogPart("Kafka", "demo", ready=True, reason="Paused", paused=True))

    assert condition.reason == "ReconciliationPaused"


def test_silence_is_waited_for() -> None:
    """Before Strimzi says anything the message still says something."""
    assert "waits for Strimzi" in _ready(LogPart("Kafka", "demo", ready=False)).message


@pytest.mark.parametrize(
    ("present", "reason"), [(True, "SecretInvalid"), (False, "SecretNotFound")]
)
def test_a_secret_is_named_with_its_field(present: bool, reason: str) -> None:
    """A Secret that is missing and one that lacks a key are told apart."""
    problem = SecretProblem("kafka-ca", "spec.x", "is not right", present)

    condition = _ready(problems=(problem,))

    assert condition.reason == reason
    assert condition.message == "Secret shop/kafka-ca (spec.x) is not right"
