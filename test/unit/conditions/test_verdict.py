"""Verdicts: never mute, stamped with the generation, and stable while nothing turns."""

from datetime import timedelta

from smbpctl.api.v1alpha1 import ConditionStatus, ConditionType, StorageReadyReason
from smbpctl.conditions.verdict import has_reason, is_of, is_true, stamped, verdict
from test.support.observations import NOW
from test.support.peers import a_peer

STORAGE = ConditionType.STORAGE_READY


class TestVerdict:
    def test_no_message_means_the_reasons_own(self) -> None:
        """A condition always says why in words."""
        condition = verdict(a_peer(), STORAGE, True, StorageReadyReason.ALL_BOUND)

        assert condition.message == StorageReadyReason.ALL_BOUND.meaning
        assert condition.observed_generation == 3
        assert has_reason(condition, StorageReadyReason.ALL_BOUND)
        assert not has_reason(condition, StorageReadyReason.RESIZING)
        assert is_of(condition, STORAGE)

    def test_none_is_unknown(self) -> None:
        """What is not known is neither True nor False."""
        condition = verdict(a_peer(), STORAGE, None, StorageReadyReason.CLAIMS_PENDING)

        assert condition.status is ConditionStatus.UNKNOWN
        assert not is_true([condition], STORAGE)

    def test_absence_is_not_truth(self) -> None:
        """A condition that was never written does not hold."""
        assert not is_true([], STORAGE)


class TestStamped:
    def test_the_time_changes_only_with_the_status(self) -> None:
        """A new reason or message keeps the time; a new status takes the present one."""
        before = verdict(a_peer(), STORAGE, False, StorageReadyReason.CLAIMS_PENDING)
        (first,) = stamped(a_peer(), [before], NOW)
        peer = a_peer({"status": {"conditions": [first]}})
        later = NOW + timedelta(hours=1)

        (reworded,) = stamped(
            peer, [verdict(peer, STORAGE, False, StorageReadyReason.RESIZING)], later
        )
        (turned,) = stamped(
            peer, [verdict(peer, STORAGE, True, StorageReadyReason.ALL_BOUND)], later
        )

        assert reworded["lastTransitionTime"] == first["lastTransitionTime"]
        assert turned["lastTransitionTime"] == "2026-11-21T13:00:00Z"

    def test_the_order_is_by_type(self) -> None:
        """The same conditions give the same list, in whatever order they were derived."""
        one = verdict(a_peer(), STORAGE, True, StorageReadyReason.ALL_BOUND)
        other = verdict(a_peer(), ConditionType.API_READY, True, StorageReadyReason.ALL_BOUND)

        lists = [stamped(a_peer(), order, NOW) for order in ([one, other], [other, one])]

        assert lists[0] == lists[1]
        assert [each["type"] for each in lists[0]] == ["ApiReady", "StorageReady"]
