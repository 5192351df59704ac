"""Conditions: lookup and transition times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from smbpctl.api.v1alpha1.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    find_condition,
    with_transition_time,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_condition(
    status: ConditionStatus = ConditionStatus.TRUE, since: str | None = None
) -> Condition:
    """A condition of type Ready."""
    return Condition(type="Ready", status=status, reason="Test", last_transition_time=since)


class TestFindCondition:
    def test_by_type(self) -> None:
        """The condition of the wanted type is found among others."""
        other = Condition(type="Other", status=ConditionStatus.TRUE, reason="Test")

        assert find_condition([other, a_condition()], ConditionType.READY) == a_condition()

    def test_never_written(self) -> None:
        """A type that nobody wrote is None."""
        assert find_condition([a_condition()], ConditionType.DEGRADED) is None


class TestWithTransitionTime:
    def test_first_time(self) -> None:
        """A condition that is new has changed now."""
        stamped = with_transition_time(a_condition(), None, NOON)

        assert stamped.last_transition_time == "2026-01-01T12:00:00Z"

    def test_same_status_keeps_the_time(self) -> None:
        """Reason and message may change without the status changing."""
        previous = a_condition(since="2025-01-01T00:00:00Z")
        desired = a_condition().model_copy(update={"reason": "Another"})

        stamped = with_transition_time(desired, previous, NOON)

        assert stamped.last_transition_time == "2025-01-01T00:00:00Z"
        assert stamped.reason == "Another"

    def test_other_status_takes_now(self) -> None:
        """Another status is a transition."""
        previous = a_condition(ConditionStatus.UNKNOWN, since="2025-01-01T00:00:00Z")

        stamped = with_transition_time(a_condition(), previous, NOON)

        assert stamped.last_transition_time == "2026-01-01T12:00:00Z"

    def test_previous_without_a_time(self) -> None:
        """A condition somebody wrote without a time gets one."""
        assert with_transition_time(a_condition(), a_condition(), NOON).last_transition_time

    def test_time_is_written_in_utc_and_whole_seconds(self) -> None:
        """Kubernetes keeps UTC and no fractions."""
        local = NOON.astimezone(timezone(timedelta(hours=5))) + timedelta(microseconds=9)

        stamped = with_transition_time(a_condition(), None, local)

        assert stamped.last_transition_time == "2026-01-01T12:00:00Z"


class TestCondition:
    @pytest.mark.parametrize("word", ["SomethingNew", "example.com/Foreign"])
    def test_foreign_words_are_read(self, word: str) -> None:
        """A condition of another writer or a newer operator is kept as it is."""
        manifest = {"type": word, "status": "True", "reason": "NewReason"}

        assert Condition.model_validate(manifest).type == word

    def test_shape(self) -> None:
        """A condition has the names of the standard shape."""
        condition = Condition(
            type=ConditionType.READY.value,
            status=ConditionStatus.FALSE,
            reason="Test",
            message="m",
            observed_generation=2,
            last_transition_time="2026-01-01T00:00:00Z",
        )

        assert condition.to_manifest() == {
            "type": "Ready",
            "status": "False",
            "reason": "Test",
            "message": "m",
            "observedGeneration": 2,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
