"""What a rule is."""

from dataclasses import FrozenInstanceError

import pytest

from smbpctl.api.v1alpha1.rule import Rule, TransitionRule, Violation
from smbpctl.api.v1alpha1.store import UpdateSpec


def test_defaults_of_the_two_kinds() -> None:
    """A broken statement is an invalid value; a forbidden change is forbidden."""
    rule = Rule[UpdateSpec](
        model=UpdateSpec, field="a", cel="true", message="a", holds=lambda update: bool(update)
    )
    change = TransitionRule[UpdateSpec](
        model=UpdateSpec, field="a", cel="true", message="a", holds=lambda new, old: new == old
    )

    assert rule.violation is Violation.INVALID
    assert change.violation is Violation.FORBIDDEN
    assert change.holds(UpdateSpec(), UpdateSpec())


def test_rules_are_frozen() -> None:
    """A rule is data; nothing changes it after import."""
    rule = Rule[UpdateSpec](
        model=UpdateSpec, field="a", cel="true", message="a", holds=lambda update: bool(update)
    )

    with pytest.raises(FrozenInstanceError):
        rule.field = "b"


def test_no_violation_loses_its_message() -> None:
    """The server drops the message of FieldValueDuplicate; it must not come back."""
    assert "FieldValueDuplicate" not in list(Violation)
