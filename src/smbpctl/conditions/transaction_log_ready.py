"""TransactionLogReady: Kafka, topic, user and credentials are usable and published."""

from collections.abc import Mapping
from typing import Final

from smbpctl.api.v1alpha1 import Condition, ConditionType, TransactionLogReadyReason
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import LogObserved, LogPart

_REASON_OF: Final[Mapping[str, TransactionLogReadyReason]] = {
    "Kafka": TransactionLogReadyReason.KAFKA_NOT_READY,
    "KafkaTopic": TransactionLogReadyReason.TOPIC_NOT_READY,
    "KafkaUser": TransactionLogReadyReason.USER_NOT_READY,
}


def transaction_log_ready(observed: LogObserved) -> Condition:
    """Return whether the log is usable; the first part that is not is named."""
    kind = ConditionType.TRANSACTION_LOG_READY
    if not observed.installed:
        message = (
            "spec.transactionLog.type is Strimzi, and kafka.strimzi.io is not served here: "
            "install Strimzi, or use type External"
        )
        reason = TransactionLogReadyReason.STRIMZI_NOT_INSTALLED
        return verdict(observed.peer, kind, False, reason, message)
    for part in observed.parts:
        found = _finding(observed, part)
        if found is not None:
            return verdict(observed.peer, kind, False, *found)
    for problem in observed.problems:
        reason = (
            TransactionLogReadyReason.SECRET_INVALID
            if problem.present
            else TransactionLogReadyReason.SECRET_NOT_FOUND
        )
        message = (
            f"Secret {observed.peer.namespace}/{problem.secret} ({problem.field}) {problem.what}"
        )
        return verdict(observed.peer, kind, False, reason, message)
    return verdict(observed.peer, kind, True, TransactionLogReadyReason.READY)


def _finding(observed: LogObserved, part: LogPart) -> tuple[TransactionLogReadyReason, str] | None:
    name = f"{part.kind} {observed.peer.namespace}/{part.name}"
    if part.paused:
        message = f"{name} is paused or unmanaged in Strimzi: {part.message or part.reason}"
        return TransactionLogReadyReason.RECONCILIATION_PAUSED, message
    if part.ready:
        return None
    detail = ": ".join(text for text in (part.reason, part.message) if text)
    return _REASON_OF[part.kind], f"{name}: {detail or 'waits for Strimzi'}"
