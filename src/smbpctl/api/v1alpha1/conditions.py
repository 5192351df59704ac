"""Conditions: what can be true of a BigPeer, and the standard shape in which it is stated."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from smbpctl.api.v1alpha1.model import DescribedEnum, Model


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(DescribedEnum):
    """What can be true of a BigPeer."""

    AVAILABLE = "Available", "Every tier serves, with its transaction log and certificates."
    PROGRESSING = (
        "Progressing",
        "A condition is missing, Unknown or of an older generation, or a step is under way.",
    )
    DEGRADED = "Degraded", "Something needs a human or does not heal by itself."
    READY = (
        "Ready",
        "Available, not Degraded, everything observed at this generation, no step of it pending.",
    )
    VERSION_SUPPORTED = "VersionSupported", "This operator knows how to run spec.version."
    STORE_READY = "StoreReady", "Every partition has all its members ready."
    SUBSCRIPTIONS_READY = "SubscriptionsReady", "All subscription servers are ready."
    API_READY = "ApiReady", "All API servers are ready."
    AUTH_READY = "AuthReady", "All auth servers are ready."
    ROLLING_UPDATE_SUCCEEDED = (
        "RollingUpdateSucceeded",
        "Every pod runs the revision that the spec asks for.",
    )
    STORAGE_READY = "StorageReady", "Every claim is bound and as large as the spec asks for."
    DISRUPTION_SAFE = (
        "DisruptionSafe",
        "The store stays above its floor when one member is disrupted (a warning, never a gate).",
    )
    NETWORKING_READY = "NetworkingReady", "Every exposure is accepted and has an address."
    TLS_READY = "TLSReady", "All certificates are issued and trusted everywhere."
    TRANSACTION_LOG_READY = (
        "TransactionLogReady",
        "Kafka, topic and credentials are usable.",
    )


class Condition(Model):
    """One condition, in the standard shape of Kubernetes.

    Read leniently: types and reasons of a newer operator are kept as they are.
    """

    type: Annotated[
        str,
        Field(
            json_schema_extra={"maxLength": 316, "pattern": "^[A-Za-z][-A-Za-z0-9_./]*$"},
        ),
    ]
    """What is stated, in UpperCamelCase."""

    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""

    reason: Annotated[
        str, Field(json_schema_extra={"maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_]*)$"})
    ]
    """Machine word that says why; see the reference of reasons."""

    message: Annotated[str, Field(json_schema_extra={"maxLength": 32768})] = ""
    """Why, for people: names the blocking object and what would unblock it."""

    observed_generation: Annotated[
        int | None, Field(json_schema_extra={"format": "int64", "minimum": 0})
    ] = None
    """The `metadata.generation` the condition was derived from."""

    last_transition_time: Annotated[
        str | None, Field(json_schema_extra={"format": "date-time"})
    ] = None
    """When `status` changed last."""


def find_condition(conditions: Iterable[Condition], wanted: ConditionType) -> Condition | None:
    """Return the condition of a type, or None when it was never written."""
    return next((condition for condition in conditions if condition.type == wanted.value), None)


def with_transition_time(
    condition: Condition, previous: Condition | None, now: datetime
) -> Condition:
    """Return the condition with the time at which its status changed last.

    The time of `previous` is kept while the status is the same, so that deriving a condition again
    changes nothing. `now` must carry a time zone; whole seconds are written, as Kubernetes does.
    """
    if previous and previous.status == condition.status and previous.last_transition_time:
        stamp = previous.last_transition_time
    else:
        stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return condition.model_copy(update={"last_transition_time": stamp})
