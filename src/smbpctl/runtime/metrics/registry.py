"""All metrics of one manager on one registry, and the text that is scraped."""

from collections.abc import Callable, Iterable
from typing import final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.metrics.controllers import ControllerFamilies, ControllerMetrics
from smbpctl.runtime.metrics.informers import InformerFamilies, InformerMetrics
from smbpctl.runtime.metrics.leader import LeaderFamilies, LeaderMetrics
from smbpctl.runtime.metrics.queues import QueueFamilies, QueueMetrics

MAX_HOSTS = 25
"""How many host names become label values before the rest share one."""

OTHER_HOSTS = "exceeded_cardinality_limit"

_WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@final
class _Published:
    """The registry without the `_created` series, which no dashboard of this field expects.

    The library can only leave them out for the whole process, and importing the runtime must not
    change anything global.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Yield what the registry holds, shortened."""
        for metric in self._registry.collect():
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric


@final
class Metrics:
    """The metrics of one manager, on a registry of its own unless one is given.

    Everything here, scraping included, belongs to the event loop that runs the manager: what is
    asked at scrape time reads queues and stores without locks.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry: CollectorRegistry = registry if registry is not None else CollectorRegistry()
        self._controllers = ControllerFamilies(self.registry)
        self._queues = QueueFamilies(self.registry)
        self._informers = InformerFamilies(self.registry)
        self._leaders = LeaderFamilies(self.registry)
        self._requests = Counter(
            "rest_client_requests_total",
            "HTTP requests to the API server.",
            ["code", "method", "host"],
            registry=self.registry,
        )
        self._noops = Counter(
            "smbpctl_write_noops_total",
            "Writes left out because the object already was as desired.",
            registry=self.registry,
        )
        self._waits = Histogram(
            "smbpctl_rw_wait_seconds",
            "How long keys waited for the caches to show what they had written.",
            ["outcome"],
            buckets=_WAIT_BUCKETS,
            registry=self.registry,
        )
        self._hosts: set[str] = set()
        # To look a child up by its labels costs more than to count.
        self._counters: dict[tuple[str, str, int | str], Counter] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def controller(self, name: str) -> ControllerMetrics:
        """Return the metrics of the controller `name`; its results exist at zero from now on."""
        return ControllerMetrics(self._controllers, name)

    def queue(self, name: str) -> QueueMetrics:
        """Return the metrics of the queue `name`, which is also the name of its controller."""
        return QueueMetrics(self._queues, name)

    def informer(self, gvk: GroupVersionKind) -> InformerMetrics:
        """Return the metrics of the informer of a kind."""
        return InformerMetrics(self._informers, str(gvk))

    def leader(self, name: str) -> LeaderMetrics:
        """Return the metrics of the election for the Lease `name`; it does not lead from now on."""
        return LeaderMetrics(self._leaders, name)

    def request(self, method: str, host: str, code: int | str) -> None:
        """Count an HTTP request; `code` is the status, or `<error>` when no answer came."""
        counter = self._counters.get((method, host, code))
        if counter is None:
            counter = self._counter(method, host, code)
        counter.inc()

    def _counter(self, method: str, host: str, code: int | str) -> Counter:
        if host not in self._hosts and len(self._hosts) >= MAX_HOSTS:
            return self._requests.labels(code=str(code), method=method, host=OTHER_HOSTS)
        self._hosts.add(host)
        counter = self._requests.labels(code=str(code), method=method, host=host)
        self._counters[method, host, code] = counter
        return counter

    def read_your_writes_waited(self, outcome: str, seconds: float) -> None:
        """Count a key that waited for its own writes: until `seen` by the cache, or `read` live."""
        self._waits.labels(outcome=outcome).observe(seconds)

    def garbage_collector(self, worst_pause: Callable[[], float]) -> None:
        """Ask at each scrape how long the longest collection has stopped the process, in seconds.

        The gauge exists only where the collector is the manager's to tune.
        """
        gauge = Gauge(
            "smbpctl_gc_worst_pause_seconds",
            "The longest garbage collection since the manager started.",
            registry=self.registry,
        )
        gauge.set_function(worst_pause)

    def write_noop(self) -> None:
        """Count a write that was left out because nothing would have changed."""
        self._noops.inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics as Prometheus text, and its content type."""
        return generate_latest(_Published(self.registry)), CONTENT_TYPE_PLAIN_0_0_4
