"""The three durations must leave room for each other."""

from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.leader import LeaderElection

SECOND = timedelta(seconds=1)


def election(**changes: Any) -> LeaderElection:
    """Return settings that are right but for the changes."""
    return LeaderElection(**{"lease_name": "operator", "namespace": "system", **changes})


class TestLeaderElection:
    def test_the_defaults_are_those_of_client_go(self) -> None:
        """Who embeds the runtime finds the durations that everybody knows."""
        made = election()

        durations = (made.lease_duration, made.renew_deadline, made.retry_period)
        assert durations == (15 * SECOND, 10 * SECOND, 2 * SECOND)
        assert made.release_on_stop

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"lease_duration": 10 * SECOND}, "must exceed renew_deadline"),
            ({"renew_deadline": 2.4 * SECOND}, "must exceed 1.2 times retry_period"),
            ({"retry_period": timedelta(0)}, "must be positive"),
            ({"retry_period": -SECOND}, "must be positive"),
            ({"lease_duration": 15.5 * SECOND}, "no whole number of seconds"),
            ({"lease_duration": timedelta(0)}, "no whole number of seconds"),
            ({"lease_name": ""}, "name and the namespace"),
            ({"namespace": ""}, "name and the namespace"),
        ],
    )
    def test_what_cannot_work_is_refused(self, changes: dict[str, Any], message: str) -> None:
        """Lease > renew deadline > 1.2 x retry, and a lease that others can be told of."""
        with pytest.raises(ValueError, match=message):
            election(**changes)

    def test_requests_take_half_the_renew_deadline(self) -> None:
        """Two tries fit into it; a second is the least that makes sense."""
        short = election(
            lease_duration=3 * SECOND, renew_deadline=1.5 * SECOND, retry_period=0.5 * SECOND
        )

        assert election().call_timeout == 5 * SECOND
        assert short.call_timeout == SECOND

    def test_the_margin_grows_with_the_lease(self) -> None:
        """Clocks of different pace drift apart the longer, the longer nobody looks."""
        long = election(lease_duration=60 * SECOND, renew_deadline=40 * SECOND)

        assert election().fence_margin == SECOND
        assert long.fence_margin == 3 * SECOND
