"""The fence around this process's writes: open for as long as nobody else can be the leader."""

from dataclasses import dataclass
from datetime import timedelta
from typing import final

from smbpctl.runtime.clock import Stopwatch, boottime
from smbpctl.runtime.errors import LeadershipLost


@final
@dataclass(frozen=True, slots=True)
class _Grant:
    deadline: float
    term: int


@final
class LeaseFence:
    """Satisfies `client.Fence`: writes pass while the Lease is ours, by our own clock.

    Any thread may ask, and none ever waits: the elector replaces one immutable value. It needs no
    running elector to close: the deadline of the last renewal does. What has passed may still
    arrive late (the process is stopped after the check, a proxy stalls), so writes that must not
    come late carry the UID and the resourceVersion they mean.
    """

    __slots__ = ("_grant", "_now", "_what")

    def __init__(self, what: str, now: Stopwatch = boottime) -> None:
        """Make a fence that is closed; `what` names the Lease in errors."""
        self._what = what
        self._now = now
        self._grant: _Grant | None = None

    def open(self, deadline: float, term: int) -> None:
        """Let writes pass until `deadline`, as `now` counts; the elector's business alone."""
        self._grant = _Grant(deadline, term)

    def close(self) -> None:
        """Let nothing pass any more; harmless when closed."""
        self._grant = None

    @property
    def term(self) -> int | None:
        """Return the term (the Lease's `leaseTransitions`) in which this process leads, or None.

        It is the one that was granted last, even when its time is over.
        """
        grant = self._grant
        return None if grant is None else grant.term

    def check(self) -> None:
        """Raise LeadershipLost unless this process leads now."""
        grant = self._grant
        if grant is None:
            raise LeadershipLost(f"this process does not hold {self._what}")
        if self._now() >= grant.deadline:
            raise LeadershipLost(f"{self._what} was not renewed in time")

    def allowance(self) -> timedelta:
        """Return how long a write that begins now may last; zero or less means that none may."""
        grant = self._grant
        return timedelta(seconds=0 if grant is None else grant.deadline - self._now())
