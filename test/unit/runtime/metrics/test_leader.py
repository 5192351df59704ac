"""Who leads is a gauge; what an election stumbles over is counted."""

from smbpctl.runtime.metrics import Metrics


class TestLeaderMetrics:
    def test_every_series_exists_at_zero(self) -> None:
        """An alert on "nobody leads" needs the zero of those who do not."""
        metrics = Metrics()

        metrics.leader("echo")

        assert _of(metrics, "leader_election_master_status") == 0
        assert _of(metrics, "leader_election_slowpath_total") == 0
        assert _of(metrics, "smbpctl_leader_heartbeat_stops_total") == 0

    def test_leading_goes_up_and_down(self) -> None:
        """1 while this process leads."""
        metrics = Metrics()
        leader = metrics.leader("echo")

        leader.leading(True)
        led = _of(metrics, "leader_election_master_status")
        leader.leading(False)

        assert (led, _of(metrics, "leader_election_master_status")) == (1, 0)

    def test_troubles_are_counted_apart(self) -> None:
        """A slow renewal is the server's trouble, a missing sign of life is ours."""
        metrics = Metrics()
        leader = metrics.leader("echo")

        leader.slow_path()
        leader.slow_path()
        leader.heartbeat_stop()

        assert _of(metrics, "leader_election_slowpath_total") == 2
        assert _of(metrics, "smbpctl_leader_heartbeat_stops_total") == 1


def _of(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"name": "echo"})
