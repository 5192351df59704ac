"""The metrics of leader election: who leads, and what an election stumbled over."""

from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge


@final
class LeaderMetrics:
    """The metrics of one election. Any thread may tell them."""

    def __init__(self, families: "LeaderFamilies", name: str) -> None:
        self._status = families.status.labels(name=name)
        self._slow_path = families.slow_path.labels(name=name)
        self._heartbeat_stops = families.heartbeat_stops.labels(name=name)

    def leading(self, leads: bool) -> None:
        """Tell whether this process leads."""
        self._status.set(float(leads))

    def slow_path(self) -> None:
        """Count a renewal that needed to read the Lease first."""
        self._slow_path.inc()

    def heartbeat_stop(self) -> None:
        """Count a time when renewing stopped because the main loop gave no sign of life."""
        self._heartbeat_stops.inc()


@final
class LeaderFamilies:
    """The families that all elections of a registry share; `name` is the Lease's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_text: str) -> Counter:
            return Counter(name, help_text, ["name"], registry=registry)

        self.status: Gauge = Gauge(
            "leader_election_master_status",
            "1 while this process leads, else 0.",
            ["name"],
            registry=registry,
        )
        self.slow_path: Counter = counter(
            "leader_election_slowpath_total", "Renewals that needed to read the Lease first."
        )
        self.heartbeat_stops: Counter = counter(
            "smbpctl_leader_heartbeat_stops_total",
            "Times when the main loop gave no sign of life and the Lease was not renewed.",
        )
