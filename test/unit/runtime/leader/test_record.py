"""A Lease is read whatever people made of it, and written without losing what it carries."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from smbpctl.runtime.leader.record import Claim, LeaseRecord, micro_time, new_lease

FULL = {
    "holderIdentity": "a",
    "leaseDurationSeconds": 15,
    "leaseTransitions": 3,
    "acquireTime": "2026-01-01T00:00:00.000000Z",
    "renewTime": "2026-01-01T00:00:10.000000Z",
}


def lease(spec: Any, version: str = "7") -> dict[str, Any]:
    """Return a Lease."""
    metadata = {"name": "operator", "namespace": "system", "resourceVersion": version}
    return {**new_lease("system", "operator"), "metadata": metadata, "spec": spec}


class TestLeaseRecord:
    def test_everything_is_read(self) -> None:
        """The fields of coordination.k8s.io/v1."""
        record = LeaseRecord.of(lease(FULL))

        assert (record.holder, record.duration, record.transitions) == (
            *("a", timedelta(seconds=15)),
            3,
        )
        assert (record.acquired, record.renewed) == (FULL["acquireTime"], FULL["renewTime"])
        assert (record.version, record.order) == ("7", 7)

    @pytest.mark.parametrize(
        "spec",
        [
            None,
            [],
            {},
            {"holderIdentity": None, "leaseDurationSeconds": None, "renewTime": None},
            {"holderIdentity": 5, "leaseDurationSeconds": "15", "leaseTransitions": {}},
        ],
    )
    def test_what_is_missing_or_malformed_reads_as_empty(self, spec: Any) -> None:
        """Nothing that a person writes breaks the election."""
        record = LeaseRecord.of(lease(spec))

        assert (record.holder, record.duration, record.transitions) == ("", timedelta(0), 0)
        assert record.blank

    def test_a_version_that_is_no_number_is_the_oldest(self) -> None:
        """It never makes a known Lease look outdated."""
        assert LeaseRecord.of(lease(FULL, version="abc")).order == -1

    @pytest.mark.parametrize(
        ("changes", "released"),
        [
            ({"holderIdentity": "", "leaseDurationSeconds": 1}, True),
            ({"holderIdentity": None, "leaseDurationSeconds": 1}, True),
            ({"holderIdentity": "", "leaseDurationSeconds": 15}, False),
            ({"holderIdentity": "", "leaseDurationSeconds": None}, False),
            ({"leaseDurationSeconds": 1}, False),
        ],
    )
    def test_released_means_let_go_of(self, changes: dict[str, Any], released: bool) -> None:
        """client-go leaves no holder and one second; who just blanks the holder does not."""
        assert LeaseRecord.of(lease({**FULL, **changes})).released == released


class TestClaim:
    def test_what_else_the_lease_carries_stays(self) -> None:
        """Labels, the version that the update is based on, fields of newer servers."""
        before = lease({**FULL, "strategy": "OldestEmulationVersion"})
        claim = Claim("b", timedelta(seconds=60), 4, "then", "now")

        after = claim.onto(before)

        assert after["metadata"] == before["metadata"]
        assert after["spec"] == {
            "holderIdentity": "b",
            "leaseDurationSeconds": 60,
            "leaseTransitions": 4,
            "acquireTime": "then",
            "renewTime": "now",
            "strategy": "OldestEmulationVersion",
        }
        assert before["spec"]["holderIdentity"] == "a"


def test_times_are_utc_with_microseconds() -> None:
    """Kubernetes' MicroTime."""
    moment = datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))

    assert micro_time(moment) == "2026-01-01T01:03:04.000005Z"
    assert micro_time(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
