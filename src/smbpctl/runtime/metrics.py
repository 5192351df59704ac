"""Every Prometheus metric of the runtime; the only module that knows the metrics library.

Names and labels are those of controller-runtime, so that existing dashboards and alerts work, plus
a few of our own under `smbpctl_`. Label values come from closed sets (controller, kind, verb,
code), never from object names.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol, final

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from smbpctl.runtime.meta import GroupVersionKind

MAX_HOSTS = 25
"""How many host names become label values before the rest share one."""

OTHER_HOSTS = "exceeded_cardinality_limit"

_RECONCILE_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)
# The lowest is 10 ns as in client-go: twelve powers of ten end at 1000 s.
_QUEUE_BUCKETS = tuple(10.0**exponent for exponent in range(-8, 4))

_QUEUE_LABELS = ("name", "controller")


class Outcome(StrEnum):
    """How one reconcile ended, as far as metrics tell ends apart."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    REQUEUE = "requeue"
    ERROR = "error"
    TERMINAL = "terminal"
    TIMEOUT = "timeout"
    PANIC = "panic"


# What controller-runtime counts as result `error` is split further by counters of its own.
_RESULTS = (Outcome.SUCCESS, Outcome.ERROR, Outcome.REQUEUE, Outcome.REQUEUE_AFTER)


@final
class ControllerMetrics:
    """The metrics of one controller, bound once so that a reconcile pays no label look-up."""

    def __init__(self, families: "_ControllerFamilies", name: str) -> None:
        self._results = {
            outcome: families.total.labels(controller=name, result=outcome.value)
            for outcome in _RESULTS
        }
        self._errors = families.errors.labels(controller=name)
        self._kinds_of_error = {
            Outcome.TERMINAL: families.terminal.labels(controller=name),
            Outcome.TIMEOUT: families.timeouts.labels(controller=name),
            Outcome.PANIC: families.panics.labels(controller=name),
        }
        self._time = families.time.labels(controller=name)
        self._active = families.active.labels(controller=name)
        self._max_concurrent = families.max_concurrent.labels(controller=name)

    def max_concurrent(self, workers: int) -> None:
        """Tell how many keys the controller may run at once."""
        self._max_concurrent.set(workers)

    def started(self) -> None:
        """Count a run that begins; exactly one of `finished` and `cancelled` follows it."""
        self._active.inc()

    def finished(self, outcome: str, seconds: float) -> None:
        """Count a run that ended; `outcome` is the value of an `Outcome`, else ValueError.

        Terminal errors, timeouts and panics count as errors too, as in controller-runtime.
        """
        ended = Outcome(outcome)
        self._active.dec()
        self._time.observe(seconds)
        result = self._results.get(ended)
        if result is None:
            result = self._results[Outcome.ERROR]
            self._kinds_of_error[ended].inc()
        result.inc()
        if ended not in (Outcome.SUCCESS, Outcome.REQUEUE, Outcome.REQUEUE_AFTER):
            self._errors.inc()

    def cancelled(self) -> None:
        """Take back `started` for a run that was cancelled: it has no outcome."""
        self._active.dec()


@final
class _ControllerFamilies:
    """The families that all controllers of a registry share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_text: str, *labels: str) -> Counter:
            labels = ("controller", *labels)
            return Counter(f"controller_runtime_{name}", help_text, labels, registry=registry)

        def gauge(name: str, help_text: str) -> Gauge:
            labels = ("controller",)
            return Gauge(f"controller_runtime_{name}", help_text, labels, registry=registry)

        self.total: Counter = counter("reconcile_total", "Reconciles by how they ended.", "result")
        self.errors: Counter = counter(
            "reconcile_errors_total", "Reconciles that ended in an error."
        )
        self.terminal: Counter = counter(
            "terminal_reconcile_errors_total", "Reconciles that ended in a terminal error."
        )
        self.panics: Counter = counter(
            "reconcile_panics_total", "Reconciles that hit a programming error."
        )
        self.timeouts: Counter = counter(
            "reconcile_timeouts_total", "Reconciles that took too long."
        )
        self.time: Histogram = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconcile.",
            ["controller"],
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )
        self.active: Gauge = gauge("active_workers", "Reconciles that run now.")
        self.max_concurrent: Gauge = gauge(
            "max_concurrent_reconciles", "Reconciles that may run at once."
        )


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

    def __init__(self, families: "_QueueFamilies", name: str) -> None:
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
class _QueueFamilies:
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


class InformerStatus(Protocol):
    """What an informer tells when it is asked, at scrape time."""

    @property
    def synced(self) -> bool:
        """Tell whether the first list is complete."""
        ...

    def object_count(self) -> int:
        """Return how many objects the store holds."""
        ...

    def byte_count(self) -> int:
        """Return the size of the stored JSON in bytes."""
        ...

    def last_event_age(self) -> float:
        """Return the seconds since the server was last heard of; NaN before the first time."""
        ...


@final
class InformerMetrics:
    """The metrics of one informer; all but the relists are asked for at scrape time."""

    def __init__(self, families: "_InformerFamilies", kind: str) -> None:
        self._families = families
        self._kind = kind

    def watch(self, status: InformerStatus) -> None:
        """Ask `status` at each scrape from now on, in place of any status watched before."""
        families, kind = self._families, self._kind
        families.synced.labels(gvk=kind).set_function(lambda: float(status.synced))
        families.objects.labels(gvk=kind).set_function(lambda: float(status.object_count()))
        families.bytes.labels(gvk=kind).set_function(lambda: float(status.byte_count()))
        families.last_event_age.labels(gvk=kind).set_function(status.last_event_age)

    def relisted(self, reason: str) -> None:
        """Count a complete list other than the first; `reason` is from a closed set of words."""
        self._families.relists.labels(gvk=self._kind, reason=reason).inc()


@final
class _InformerFamilies:
    """The families that all informers of a registry share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str) -> Gauge:
            return Gauge(f"smbpctl_informer_{name}", help_text, ["gvk"], registry=registry)

        self.synced: Gauge = gauge(
            "synced", "1 when the first list of the kind is complete, else 0."
        )
        self.objects: Gauge = gauge("objects", "Objects of the kind in the cache.")
        self.bytes: Gauge = gauge("bytes", "Size of the cached JSON of the kind.")
        self.last_event_age: Gauge = gauge(
            "last_event_age_seconds", "Time since the server was last heard of for the kind."
        )
        self.relists: Counter = Counter(
            "smbpctl_informer_relists_total",
            "Complete lists of the kind other than the first.",
            ["gvk", "reason"],
            registry=registry,
        )


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
        self._controllers = _ControllerFamilies(self.registry)
        self._queues = _QueueFamilies(self.registry)
        self._informers = _InformerFamilies(self.registry)
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
        self._hosts: set[str] = set()
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

    def request(self, method: str, host: str, code: int | str) -> None:
        """Count an HTTP request; `code` is the status, or `<error>` when no answer came."""
        if host not in self._hosts:
            if len(self._hosts) < MAX_HOSTS:
                self._hosts.add(host)
            else:
                host = OTHER_HOSTS
        self._requests.labels(code=str(code), method=method, host=host).inc()

    def write_noop(self) -> None:
        """Count a write that was left out because nothing would have changed."""
        self._noops.inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics as Prometheus text, and its content type."""
        return generate_latest(_Published(self.registry)), CONTENT_TYPE_PLAIN_0_0_4
