"""The checks of leader election, for `Health`: is renewing alive, is this process of use."""

from datetime import timedelta
from typing import Protocol

from smbpctl.runtime.health import Check
from smbpctl.runtime.leader.campaign import Standing
from smbpctl.runtime.leader.settings import LeaderElection


class Candidate(Protocol):
    """What is asked: satisfied by `Elector`."""

    @property
    def settings(self) -> LeaderElection:
        """Return how the election runs."""
        ...

    @property
    def standing(self) -> Standing | None:
        """Return how it stands; None while this process takes no part."""
        ...

    @property
    def now(self) -> float:
        """Return the time on the clock that measures the lease."""
        ...


def renewing(elector: Candidate, tolerance: timedelta = timedelta(seconds=20)) -> Check:
    """Return a liveness check: fails when we believe that we lead long after the lease has ended.

    Then the thread that renews hangs, and only a restart helps. A process that does not lead
    passes, whatever the API server does.
    """

    def check() -> str | None:
        standing = elector.standing
        if standing is None or not standing.leads:
            return None
        age = timedelta(seconds=elector.now - standing.renewed)
        if age <= elector.settings.lease_duration + tolerance:
            return None
        return f"leads, but has not renewed for {round(age.total_seconds())} s"

    return check


def leader_or_standby(elector: Candidate) -> Check:
    """Return a readiness check: passes for the leader, and for who could take over at once.

    A standby passes while it knows the Lease: it has heard of it within the lease's duration.
    """

    def check() -> str | None:
        standing = elector.standing
        if standing is None:
            return "takes no part in the election"
        age = timedelta(seconds=min(elector.now - standing.heard, 1e9))
        if standing.leads or age <= elector.settings.lease_duration:
            return None
        trouble = f": {standing.trouble}" if standing.trouble else ""
        return f"neither leads nor knows who does{trouble}"

    return check
