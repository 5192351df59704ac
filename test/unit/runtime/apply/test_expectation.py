"""Tests of expectations and of the way conflicts are told."""

from datetime import timedelta

import pytest

from smbpctl.runtime.apply.expectation import (
    Absent,
    ApplyConflict,
    Existing,
    FieldConflict,
    ObjectTerminating,
    StaleView,
    is_uid_mismatch,
    translate_conflict,
)
from smbpctl.runtime.errors import Conflict, Invalid, StatusCause


def refused(*messages: tuple[str, str]) -> Conflict:
    """A conflict as the server answers it."""
    causes = [StatusCause("FieldManagerConflict", words, field) for words, field in messages]
    retry_after = timedelta(seconds=3)
    return Conflict("no", code=409, reason="Conflict", causes=causes, retry_after=retry_after)


@pytest.mark.parametrize("kind", [Existing, Absent])
def test_an_expectation_needs_a_uid(kind: type[Existing] | type[Absent]) -> None:
    """An empty UID would be no precondition at all."""
    with pytest.raises(ValueError, match="uid"):
        kind("")


def test_a_conflict_names_managers_and_fields() -> None:
    """People must learn who to talk to, and about what."""
    error = refused(
        ('conflict with "kubectl-edit" using apps/v1', ".spec.replicas"),
        ('conflict with "a b" with subresource "scale" using v1 at 2025', ".spec.x"),
    )

    translated = translate_conflict(error, "Deployment default/web")

    assert isinstance(translated, ApplyConflict)
    assert translated.conflicts == (
        FieldConflict("kubectl-edit", ".spec.replicas"),
        FieldConflict("a b", ".spec.x"),
    )
    assert str(translated) == (
        "apply Deployment default/web: .spec.replicas belongs to kubectl-edit,"
        " .spec.x belongs to a b"
    )
    assert (translated.code, translated.retry_after) == (409, timedelta(seconds=3))


def test_a_message_without_a_name_is_still_a_conflict() -> None:
    """The words of the server may change; the reason of the cause is its contract."""
    translated = translate_conflict(refused(("taken", ".a")), "x")

    assert isinstance(translated, ApplyConflict)
    assert translated.conflicts == (FieldConflict("an unnamed manager", ".a"),)


def test_other_conflicts_stay_what_they_are() -> None:
    """A broken precondition is no quarrel over fields."""
    error = Conflict("uid mismatch", code=409, causes=[StatusCause("Other", "x", "y")])

    assert translate_conflict(error, "x") is error


def test_waiting_and_staleness_are_conflicts() -> None:
    """Both are retried quietly, and say what they met."""
    assert isinstance(ObjectTerminating("Pod a/b"), Conflict)
    assert "Pod a/b" in str(ObjectTerminating("Pod a/b"))
    assert isinstance(StaleView("Pod a/b"), Conflict)
    assert "Pod a/b" in str(StaleView("Pod a/b"))


@pytest.mark.parametrize(
    ("fields", "mismatch"),
    [(["metadata.uid"], True), (["spec", "metadata.uid"], True), ([], False)],
)
def test_a_uid_that_cannot_be_changed_is_another_object(
    fields: list[str], *, mismatch: bool
) -> None:
    """That is how a server answers an apply with the UID of a predecessor."""
    causes = [StatusCause("FieldValueInvalid", "field is immutable", field) for field in fields]

    assert is_uid_mismatch(Invalid("no", code=422, causes=causes)) is mismatch
