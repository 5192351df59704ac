"""The fence closes by the clock alone."""

from datetime import timedelta

import pytest

from smbpctl.runtime.client.guards import Fence
from smbpctl.runtime.errors import LeadershipLost
from smbpctl.runtime.leader import LeaseFence


class Watch:
    """A stopwatch that the test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def closed(fence: LeaseFence) -> bool:
    """Tell whether the fence lets nothing pass."""
    try:
        fence.check()
    except LeadershipLost:
        return True
    return False


class TestLeaseFence:
    def test_it_is_what_the_client_asks(self) -> None:
        """The Protocol of the client's guards."""
        fence: Fence = LeaseFence("Lease a/b", Watch())

        assert fence.allowance() == timedelta(0)

    def test_closed_at_first(self) -> None:
        """Who was never elected writes nothing."""
        fence = LeaseFence("Lease a/b", Watch())

        with pytest.raises(LeadershipLost, match="does not hold Lease a/b"):
            fence.check()
        assert fence.term is None

    def test_open_until_the_deadline_and_not_at_it(self) -> None:
        """Nobody needs to close it."""
        watch = Watch()
        fence = LeaseFence("Lease a/b", watch)
        fence.open(110.0, term=3)
        seen: list[bool] = []

        for seconds in (100.0, 109.999, 110.0, 200.0):
            watch.seconds = seconds
            seen.append(closed(fence))

        assert seen == [False, False, True, True]
        assert fence.term == 3
        with pytest.raises(LeadershipLost, match="Lease a/b was not renewed in time"):
            fence.check()

    def test_the_allowance_is_what_is_left(self) -> None:
        """A write that begins now is over before the lease is."""
        watch = Watch()
        fence = LeaseFence("Lease a/b", watch)
        fence.open(110.0, term=3)
        before = fence.allowance()
        watch.seconds = 112.5

        assert (before, fence.allowance()) == (timedelta(seconds=10), timedelta(seconds=-2.5))

    def test_closing_is_at_once_and_harmless_when_repeated(self) -> None:
        """A term that was lost lets nothing pass, whatever its last renewal would allow."""
        fence = LeaseFence("Lease a/b", Watch())
        fence.open(110.0, term=3)

        fence.close()
        fence.close()

        assert closed(fence)
        assert fence.allowance() == timedelta(0)
