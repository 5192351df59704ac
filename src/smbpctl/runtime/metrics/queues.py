"""The metrics of queues: what is counted as it happens, and what is asked at scrape time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from smbpctl.runtime.metrics.durations import Durations

MAX_PRIORITIES = 25
"""How many priorities become label values before the rest share one."""

_OTHER_PRIORITIES = "exceeded_cardinality_limit"

# The lowest is 10 ns as in client-go: twelve powers of ten end at 1000 s.
_QUEUE_BUCKETS = tuple(10.0**exponent for exponent in range(-8, 4))

_QUEUE_LABELS = ("name", "controller")


class QueueState(Protocol):
    """What a queue tells when it is asked, at scrape time; it costs nothing between scrapes."""

    def depths(self) -> Mapping[int, int]:
        """Return how many keys are ready of each priority that has any."""
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
class _Depths:
    """The depth by priority: labels are few, and one that was seen stays."""

    def __init__(self) -> None:
        # What has no priority of its own has this one: its series exists from the start.
        self._seen = {0}

    def by_label(self, depths: Mapping[int, int]) -> Mapping[str, int]:
        """Return the depth for each label that there is by now."""
        for priority in depths:
            if len(self._seen) < MAX_PRIORITIES:
                self._seen.add(priority)
        told = {str(priority): depths.get(priority, 0) for priority in sorted(self._seen)}
        others = sum(count for priority, count in depths.items() if priority not in self._seen)
        return {**told, _OTHER_PRIORITIES: others} if others else told


@final
class QueueMetrics:
    """The metrics of one queue, bound once so that taking a key pays no label look-up."""

    def __init__(self, families: "QueueFamilies", name: str) -> None:
        self._families = families
        self._name = name
        waited = families.waited.setdefault(name, Durations(_QUEUE_BUCKETS))
        worked = families.worked.setdefault(name, Durations(_QUEUE_BUCKETS))
        # Bound here, so that a key costs no further call.
        self.taken: Callable[[float], None] = waited.observe
        """Count a key handed to a worker after so many seconds of being ready."""
        self.done: Callable[[float], None] = worked.observe
        """Count a key given back after so many seconds of work."""

    def watch(self, state: QueueState) -> None:
        """Ask `state` at each scrape from now on, in place of any state watched before."""
        self._families.states[self._name] = state
        self._families.depths[self._name] = _Depths()


@final
class QueueFamilies:
    """The families that all queues of a registry share, and the collector of what is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waited: dict[str, Durations] = {}
        self.worked: dict[str, Durations] = {}
        self.states: dict[str, QueueState] = {}
        self.depths: dict[str, _Depths] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Tell what was counted, and ask every queue; called by the registry at scrape time."""
        yield from self._durations()
        yield from self._states()

    def _durations(self) -> Iterator[Metric]:
        for name, help_text, durations in (
            ("queue", "How long a key is ready before it is taken.", self.waited),
            ("work", "How long a key is worked on.", self.worked),
        ):
            family = HistogramMetricFamily(
                f"workqueue_{name}_duration_seconds", help_text, labels=_QUEUE_LABELS
            )
            for queue, histogram in durations.items():
                histogram.add_to(family, [queue, queue])
            yield family

    def _states(self) -> Iterator[Metric]:
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
            for priority, count in self.depths[name].by_label(state.depths()).items():
                depth.add_metric([name, name, priority], count)
            adds.add_metric([name, name], state.arrivals)
            retries.add_metric([name, name], state.retries)
            unfinished.add_metric([name, name], sum(running))
            longest.add_metric([name, name], max(running, default=0.0))
        yield from (depth, adds, retries, unfinished, longest)
