"""Ready: available, not degraded, everything observed at this generation, no step pending."""

from collections.abc import Iterable

from smbpctl.api.v1alpha1 import Condition, ConditionType, ReadyReason, find_condition
from smbpctl.conditions.progressing import observed_everywhere
from smbpctl.conditions.rolling_update import pending
from smbpctl.conditions.verdict import is_true, verdict
from smbpctl.observed import ClusterObserved


def ready(observed: ClusterObserved, conditions: Iterable[Condition]) -> Condition:
    """Return whether all is as the spec asks; `conditions` include Available and Degraded."""
    known = tuple(conditions)
    kind = ConditionType.READY
    if not is_true(known, ConditionType.AVAILABLE):
        message = _message(known, ConditionType.AVAILABLE)
        return verdict(observed.peer, kind, False, ReadyReason.NOT_AVAILABLE, message)
    if is_true(known, ConditionType.DEGRADED):
        message = _message(known, ConditionType.DEGRADED)
        return verdict(observed.peer, kind, False, ReadyReason.DEGRADED, message)
    missing = observed_everywhere(observed, known)
    if missing:
        return verdict(observed.peer, kind, False, ReadyReason.NOT_OBSERVED, missing)
    if pending(observed):
        message = _message(known, ConditionType.ROLLING_UPDATE_SUCCEEDED)
        return verdict(observed.peer, kind, False, ReadyReason.STEP_PENDING, message)
    return verdict(observed.peer, kind, True, ReadyReason.READY)


def _message(conditions: tuple[Condition, ...], kind: ConditionType) -> str:
    condition = find_condition(conditions, kind)
    return condition.message if condition is not None else ""
