"""How a verdict becomes a condition, and how conditions keep their transition times."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from smbpctl.api.v1alpha1 import (
    BigPeer,
    Condition,
    ConditionStatus,
    ConditionType,
    DescribedEnum,
    find_condition,
    with_transition_time,
)
from smbpctl.runtime.meta import Manifest


def verdict(
    peer: BigPeer, kind: ConditionType, holds: bool | None, reason: DescribedEnum, message: str = ""
) -> Condition:
    """Return the condition of a type at the BigPeer's generation; None stands for Unknown.

    The message defaults to the meaning of the reason, so that no condition is ever mute.
    """
    status = {
        True: ConditionStatus.TRUE,
        False: ConditionStatus.FALSE,
        None: ConditionStatus.UNKNOWN,
    }[holds]
    return Condition(
        type=kind.value,
        status=status,
        reason=reason.value,
        message=message or reason.meaning,
        observed_generation=peer.generation,
    )


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Tell whether a condition of this type is present and True."""
    found = find_condition(conditions, kind)
    return found is not None and found.status is ConditionStatus.TRUE


def has_reason(condition: Condition, reason: DescribedEnum) -> bool:
    """Tell whether a condition carries this reason."""
    return condition.reason == reason


def is_of(condition: Condition, kind: str) -> bool:
    """Tell whether a condition is of this type."""
    return condition.type == kind


def stamped(peer: BigPeer, conditions: Sequence[Condition], now: datetime) -> list[Manifest]:
    """Return conditions as they are applied: sorted by type, transition times kept.

    A transition time changes only with the condition's status, so that an unchanged verdict gives
    an unchanged manifest, and nothing is written.
    """
    previous = {condition.type: condition for condition in peer.status.conditions}
    kept = (
        with_transition_time(condition, previous.get(condition.type), now)
        for condition in conditions
    )
    return [condition.to_manifest() for condition in sorted(kept, key=lambda c: c.type)]
