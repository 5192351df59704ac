"""The metrics of queues: what is counted as it happens, and what is asked at scrape time."""

from collections.abc import Iterator, Sequence
from typing import Protocol, final

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

# The lowest is 10 ns as in client-go: twelve powers of ten end at 1000 s.
_QUEUE_BUCKETS = tuple(10.0**exponent for exponent in range(-8, 4))

_QUEUE_LABELS = ("name", "controller")


class QueueState(Protocol):
    """What a queue tells when it is asked, at scrape time; it costs nothing between scrapes."""

    def __len__(self) -> int:
        """Return how many keys are ready."""
        ...

    @property
    def arrivals(self) -> int:
        """Return how many times a key became ready; never decreases."""
        ...

    @property
    def retries(self) -> int:
        """Return how many times a key was added with a delay; never decreases."""
        ...

    def running_seconds(self) -> Sequence[float]:
        """Return for each key taken and not done how long ago it was taken, in seconds."""
        ...


@final
class QueueMetrics:
    """The metrics of one queue, bound once so that taking a key pays no label look-up."""

    def __init__(self, families: "QueueFamilies", name: str) -> None:
        self._families = families
        self._name = name
        self._waited = families.waited.labels(name=name, controller=name)
        self._worked = families.worked.labels(name=name, controller=name)

    def watch(self, state: QueueState) -> None:
        """Ask `state` at each scrape from now on, in place of any state watched before."""
        self._families.states[self._name] = state

    def taken(self, waited: float) -> None:
        """Count a key handed to a worker after `waited` seconds of being ready."""
        self._waited.observe(waited)

    def done(self, worked: float) -> None:
        """Count a key given back after `worked` seconds."""
        self._worked.observe(worked)


@final
class QueueFamilies:
    """The families that all queues of a registry share, and the collector of what is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, help_text: str) -> Histogram:
            return Histogram(
                f"workqueue_{name}_duration_seconds",
                help_text,
                _QUEUE_LABELS,
                buckets=_QUEUE_BUCKETS,
                registry=registry,
            )

        self.waited: Histogram = histogram("queue", "How long a key is ready before it is taken.")
        self.worked: Histogram = histogram("work", "How long a key is worked on.")
        self.states: dict[str, QueueState] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Ask every queue; called by the registry at scrape time."""

        def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
            labels = (*_QUEUE_LABELS, *labels)
            return GaugeMetricFamily(f"workqueue_{name}", help_text, labels=labels)

        def counter(name: str, help_text: str) -> CounterMetricFamily:
            return CounterMetricFamily(f"workqueue_{name}", help_text, labels=_QUEUE_LABELS)

        depth = gauge("depth", "Keys that are ready.", "priority")
        adds = counter("adds_total", "How often a key became ready.")
        retries = counter("retries_total", "How often a key was added with a delay.")
        unfinished = gauge("unfinished_work_seconds", "Total age of the runs that are not done.")
        longest = gauge("longest_running_processor_seconds", "Age of the oldest run not done.")
        for name, state in self.states.items():
            running = state.running_seconds()
            # One level of priority only: the label is empty, as on the plain queue upstream.
            depth.add_metric([name, name, ""], len(state))
            adds.add_metric([name, name], state.arrivals)
            retries.add_metric([name, name], state.retries)
            unfinished.add_metric([name, name], sum(running))
            longest.add_metric([name, name], max(running, default=0.0))
        yield from (depth, adds, retries, unfinished, longest)
