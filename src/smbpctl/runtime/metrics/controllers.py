"""The metrics of controllers: runs, how they ended, how long they took."""

from collections.abc import Iterator
from enum import StrEnum
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from smbpctl.runtime.metrics.durations import Durations

_RECONCILE_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)


class Outcome(StrEnum):
    """How one reconcile ended, as far as metrics tell ends apart."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    REQUEUE = "requeue"
    ERROR = "error"
    TERMINAL = "terminal"
    TIMEOUT = "timeout"
    PANIC = "panic"


@final
class ErrorClass(StrEnum):
    """What kind of error a reconcile ended in, as far as its retry differs."""

    CONFLICT = "conflict"
    THROTTLED = "throttled"
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    UNKNOWN_OUTCOME = "unknown_outcome"
    TERMINAL = "terminal"
    TIMEOUT = "timeout"
    PANIC = "panic"
    ERROR = "error"


# What controller-runtime counts as result `error` is split further by counters of its own.
_SUCCESS = Outcome.SUCCESS
_OTHER_RESULTS = (Outcome.ERROR, Outcome.REQUEUE, Outcome.REQUEUE_AFTER)


@final
class ControllerMetrics:
    """The metrics of one controller. What every run counts is told at scrape time only."""

    def __init__(self, families: "ControllerFamilies", name: str) -> None:
        self._errors = families.errors.labels(controller=name)
        self._kinds_of_error = {
            Outcome.TERMINAL: families.terminal.labels(controller=name),
            Outcome.TIMEOUT: families.timeouts.labels(controller=name),
            Outcome.PANIC: families.panics.labels(controller=name),
        }
        self._classes = {
            each.value: families.classes.labels(controller=name, error_class=each.value)
            for each in ErrorClass
        }
        self._max_concurrent = families.max_concurrent.labels(controller=name)
        self._stuck = families.stuck.labels(controller=name)
        self._hot_loops = families.hot_loops.labels(controller=name)
        self._runs = families.runs.setdefault(name, _Runs())

    def max_concurrent(self, workers: int) -> None:
        """Tell how many keys the controller may run at once."""
        self._max_concurrent.set(workers)

    def started(self) -> None:
        """Count a run that begins; exactly one of `finished` and `cancelled` follows it."""
        self._runs.active += 1

    def finished(self, outcome: Outcome, seconds: float) -> None:
        """Count a run that ended.

        Terminal errors, timeouts and panics count as errors too, as in controller-runtime.
        """
        runs = self._runs
        runs.active -= 1
        runs.time.observe(seconds)
        if outcome is _SUCCESS:
            runs.successes += 1
            return
        kind_of_error = self._kinds_of_error.get(outcome)
        if kind_of_error is not None:
            kind_of_error.inc()
            outcome = Outcome.ERROR
        if outcome is Outcome.ERROR:
            self._errors.inc()
        runs.others[outcome] += 1

    def cancelled(self) -> None:
        """Take back `started` for a run that was cancelled: it has no outcome."""
        self._runs.active -= 1

    def failed(self, error_class: str) -> None:
        """Count an error; `error_class` is the value of an `ErrorClass`, else KeyError."""
        self._classes[error_class].inc()

    def stuck(self, runs: int) -> None:
        """Tell how many runs last far longer than they should."""
        self._stuck.set(runs)

    def hot_loop(self) -> None:
        """Count a key that was found to read and write the same again and again."""
        self._hot_loops.inc()


@final
class _Runs:
    """What every run counts: plain numbers, because there are many runs and few scrapes."""

    __slots__ = ("active", "others", "successes", "time")

    def __init__(self) -> None:
        self.active = 0
        # Apart, because most are: to hash a member of an enum costs more than all else here.
        self.successes = 0
        self.others: dict[Outcome, int] = dict.fromkeys(_OTHER_RESULTS, 0)
        self.time = Durations(_RECONCILE_BUCKETS)


@final
class ControllerFamilies:
    """The families that all controllers of a registry share, and the collector of their runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_text: str) -> Counter:
            name = f"controller_runtime_{name}"
            return Counter(name, help_text, ["controller"], registry=registry)

        self.runs: dict[str, _Runs] = {}
        registry.register(self)
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
        self.max_concurrent: Gauge = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciles that may run at once.",
            ["controller"],
            registry=registry,
        )
        self.classes: Counter = Counter(
            "smbpctl_reconcile_errors_total",
            "Errors of reconciles by class; conflicts are in here, though they are no errors.",
            ["controller", "error_class"],
            registry=registry,
        )
        self.stuck: Gauge = Gauge(
            "smbpctl_stuck_reconciles",
            "Reconciles that last far longer than they should.",
            ["controller"],
            registry=registry,
        )
        self.hot_loops: Counter = Counter(
            "smbpctl_hot_loops_total",
            "Keys found to read and write the same again and again.",
            ["controller"],
            registry=registry,
        )

    def collect(self) -> Iterator[Metric]:
        """Tell of all runs so far; called by the registry at scrape time."""
        total = CounterMetricFamily(
            "controller_runtime_reconcile_total",
            "Reconciles by how they ended.",
            labels=["controller", "result"],
        )
        active = GaugeMetricFamily(
            "controller_runtime_active_workers", "Reconciles that run now.", labels=["controller"]
        )
        time = HistogramMetricFamily(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconcile.",
            labels=["controller"],
        )
        for name, runs in self.runs.items():
            active.add_metric([name], runs.active)
            runs.time.add_to(time, [name])
            for result, count in {_SUCCESS: runs.successes, **runs.others}.items():
                total.add_metric([name, result.value], count)
        yield from (total, active, time)
