"""What probes say of an election."""

from dataclasses import dataclass
from datetime import timedelta
from math import inf

from smbpctl.runtime.leader import LeaderElection, leader_or_standby, renewing
from smbpctl.runtime.leader.campaign import Standing

SETTINGS = LeaderElection(lease_name="operator", namespace="system")
TOLERANCE = timedelta(seconds=20)


@dataclass
class FakeElector:
    """An elector as probes see it, at second 1000."""

    standing: Standing | None
    settings: LeaderElection = SETTINGS
    now: float = 1000.0


class TestRenewing:
    def test_a_leader_that_renews_passes(self) -> None:
        """Until the lease has been over for the tolerance."""
        check = renewing(FakeElector(Standing(leads=True, renewed=965.0)), TOLERANCE)

        assert check() is None

    def test_a_leader_that_has_not_renewed_for_long_fails(self) -> None:
        """The thread that should have noticed hangs."""
        check = renewing(FakeElector(Standing(leads=True, renewed=964.0)), TOLERANCE)

        assert check() == "leads, but has not renewed for 36 s"

    def test_who_does_not_lead_passes(self) -> None:
        """A restart would help nobody."""
        standby = renewing(FakeElector(Standing(renewed=-inf)), TOLERANCE)
        outsider = renewing(FakeElector(None), TOLERANCE)

        assert (standby(), outsider()) == (None, None)


class TestLeaderOrStandby:
    def test_a_leader_is_ready(self) -> None:
        """Whenever it last heard of the Lease."""
        assert leader_or_standby(FakeElector(Standing(leads=True)))() is None

    def test_a_standby_that_knows_the_lease_is_ready(self) -> None:
        """It could take over: a rolling update may go on."""
        assert leader_or_standby(FakeElector(Standing(holder="a", heard=985.0)))() is None

    def test_a_standby_that_does_not_know_the_lease_is_not(self) -> None:
        """It says what keeps it from knowing."""
        never = leader_or_standby(FakeElector(Standing(trouble="forbidden")))
        no_more = leader_or_standby(FakeElector(Standing(holder="a", heard=984.0)))

        assert never() == "neither leads nor knows who does: forbidden"
        assert no_more() == "neither leads nor knows who does"

    def test_who_takes_no_part_is_not(self) -> None:
        """Before it stands, and after it has lost."""
        assert leader_or_standby(FakeElector(None))() == "takes no part in the election"
