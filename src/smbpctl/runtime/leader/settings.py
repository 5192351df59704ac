"""How an election runs: which Lease, and the three durations that everything follows from."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

JITTER: Final = 1.2
"""The most by which a candidate's wait between two tries is stretched; a leader's never is."""

_SECOND: Final = timedelta(seconds=1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElection:
    """One Lease, and how it is held. The meaning of each duration is client-go's.

    Others take over a whole `lease_duration` after they saw the Lease change for the last time. A
    leader that could not renew for `renew_deadline` gives up by itself. `retry_period` lies
    between two tries. `release_on_stop` hands over at once when the process stops, after all its
    work has ended. Raise ValueError unless lease > renew deadline > 1.2 x retry, or when the
    lease is no whole number of seconds, which is all that a Lease can tell others.
    """

    lease_name: str
    namespace: str
    lease_duration: timedelta = timedelta(seconds=15)
    renew_deadline: timedelta = timedelta(seconds=10)
    retry_period: timedelta = timedelta(seconds=2)
    release_on_stop: bool = True

    def __post_init__(self) -> None:
        if not self.lease_name or not self.namespace:
            raise ValueError("leader election needs the name and the namespace of a Lease")
        if self.lease_duration % _SECOND or self.lease_duration < _SECOND:
            raise ValueError(f"lease_duration {self.lease_duration} is no whole number of seconds")
        if self.lease_duration <= self.renew_deadline:
            raise ValueError(
                f"lease_duration {self.lease_duration} must exceed "
                f"renew_deadline {self.renew_deadline}"
            )
        if self.renew_deadline <= self.retry_period * JITTER:
            raise ValueError(
                f"renew_deadline {self.renew_deadline} must exceed {JITTER} times "
                f"retry_period {self.retry_period}"
            )
        if self.retry_period <= timedelta(0):
            raise ValueError("retry_period must be positive")

    @property
    def call_timeout(self) -> timedelta:
        """Return how long one request about the Lease may take."""
        return max(_SECOND, self.renew_deadline / 2)

    @property
    def fence_margin(self) -> timedelta:
        """Return by how much our writes stop before the lease is over.

        It covers clocks of different pace, 2.5 % either side, and the way from the last check to
        the server. Where clocks stand does not matter.
        """
        return max(_SECOND, self.lease_duration / 20)
