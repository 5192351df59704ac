"""Metric names and labels are an interface: dashboards and alerts of the field depend on them."""

import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.metrics import MAX_HOSTS, Metrics, Outcome

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")

# name: (type, labels), as in section 2 of the controller-runtime reference, and ours.
EXPECTED = {
    "controller_runtime_reconcile_total": ("counter", {"controller", "result"}),
    "controller_runtime_reconcile_errors_total": ("counter", {"controller"}),
    "controller_runtime_terminal_reconcile_errors_total": ("counter", {"controller"}),
    "controller_runtime_reconcile_panics_total": ("counter", {"controller"}),
    "controller_runtime_reconcile_timeouts_total": ("counter", {"controller"}),
    "controller_runtime_reconcile_time_seconds": ("histogram", {"controller"}),
    "controller_runtime_max_concurrent_reconciles": ("gauge", {"controller"}),
    "controller_runtime_active_workers": ("gauge", {"controller"}),
    "workqueue_depth": ("gauge", {"name", "controller", "priority"}),
    "workqueue_adds_total": ("counter", {"name", "controller"}),
    "workqueue_retries_total": ("counter", {"name", "controller"}),
    "workqueue_queue_duration_seconds": ("histogram", {"name", "controller"}),
    "workqueue_work_duration_seconds": ("histogram", {"name", "controller"}),
    "workqueue_unfinished_work_seconds": ("gauge", {"name", "controller"}),
    "workqueue_longest_running_processor_seconds": ("gauge", {"name", "controller"}),
    "rest_client_requests_total": ("counter", {"code", "method", "host"}),
    "smbpctl_informer_synced": ("gauge", {"gvk"}),
    "smbpctl_informer_objects": ("gauge", {"gvk"}),
    "smbpctl_informer_bytes": ("gauge", {"gvk"}),
    "smbpctl_informer_last_event_age_seconds": ("gauge", {"gvk"}),
    "smbpctl_informer_relists_total": ("counter", {"gvk", "reason"}),
    "smbpctl_write_noops_total": ("counter", set[str]()),
}

RECONCILE_BOUNDS = (
    ".005 .01 .025 .05 .1 .15 .2 .25 .3 .35 .4 .45 .5 .6 .7 .8 .9 1 1.25 1.5 1.75 2 2.5 3 3.5 4 "
    "4.5 5 6 7 8 9 10 15 20 25 30 40 50 60"
)


class FakeQueue:
    """A queue with two ready keys and two running ones."""

    arrivals = 7
    retries = 3

    def __len__(self) -> int:
        return 2

    def running_seconds(self) -> list[float]:
        return [1.5, 4.0]


class IdleQueue:
    """A queue to which nothing has happened."""

    arrivals = 0
    retries = 0

    def __len__(self) -> int:
        return 0

    def running_seconds(self) -> list[float]:
        return []


class FakeInformer:
    """An informer in the middle of its life."""

    def __init__(self, age: float = 12.5) -> None:
        self.synced = True
        self._age = age

    def object_count(self) -> int:
        return 40

    def byte_count(self) -> int:
        return 5000

    def last_event_age(self) -> float:
        return self._age


def in_use() -> Metrics:
    """Return metrics of which every family has a sample."""
    metrics = Metrics()
    metrics.controller("echo")
    metrics.queue("echo").watch(FakeQueue())
    informer = metrics.informer(CONFIG_MAP)
    informer.watch(FakeInformer())
    informer.relisted("expired")
    metrics.request("GET", "10.0.0.1:6443", 200)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return one sample, None when there is no such series."""
    return metrics.registry.get_sample_value(name, labels)


class TestExposition:
    def test_names_types_and_labels_are_those_of_controller_runtime(self) -> None:
        """The text holds exactly the promised families, beside those of process and Python."""
        text, content_type = in_use().exposition()

        found = {
            family.name + ("_total" if family.type == "counter" else ""): (
                family.type,
                {label for sample in family.samples for label in sample.labels} - {"le"},
            )
            for family in text_string_to_metric_families(text.decode())
            if not family.name.startswith(("process_", "python_"))
        }
        assert found == EXPECTED
        assert content_type.startswith("text/plain; version=0.0.4")

    def test_process_and_interpreter_are_described(self) -> None:
        """Each registry has the process_*, python_gc_* and python_info families of its own."""
        text = Metrics().exposition()[0].decode()

        assert "process_resident_memory_bytes " in text
        assert "python_gc_collections_total{" in text
        assert "python_info{" in text

    def test_no_created_series(self) -> None:
        """The library's own additions would double the number of counters."""
        text = in_use().exposition()[0].decode()

        assert "_created" not in text

    def test_each_manager_counts_for_itself(self) -> None:
        """Two Metrics in one process share nothing; a given registry is used as it is."""
        registry = CollectorRegistry()
        first, second = Metrics(), Metrics(registry)

        second.write_noop()

        assert value(first, "smbpctl_write_noops_total") == 0
        assert registry.get_sample_value("smbpctl_write_noops_total") == 1

    def test_buckets_are_those_of_controller_runtime(self) -> None:
        """Quantiles computed by existing dashboards need the same bounds."""
        samples = [s for family in in_use().registry.collect() for s in family.samples]

        def bounds(name: str) -> list[float]:
            return [float(s.labels["le"]) for s in samples if s.name == f"{name}_bucket"]

        reconcile = bounds("controller_runtime_reconcile_time_seconds")
        queue = bounds("workqueue_queue_duration_seconds")
        assert reconcile == [*map(float, RECONCILE_BOUNDS.split()), math.inf]
        assert queue == [*(pytest.approx(1e-8 * 10**n) for n in range(12)), math.inf]


class TestControllerMetrics:
    def test_all_results_exist_at_zero(self) -> None:
        """A rate over a counter that appears with its first event misses that event."""
        metrics = Metrics()

        metrics.controller("echo")

        for result in ("success", "error", "requeue", "requeue_after"):
            name = "controller_runtime_reconcile_total"
            assert value(metrics, name, controller="echo", result=result) == 0

    @pytest.mark.parametrize(
        ("outcome", "result", "errors", "special"),
        [
            (Outcome.SUCCESS, "success", 0, None),
            (Outcome.REQUEUE, "requeue", 0, None),
            (Outcome.REQUEUE_AFTER, "requeue_after", 0, None),
            (Outcome.ERROR, "error", 1, None),
            (Outcome.TERMINAL, "error", 1, "terminal_reconcile_errors_total"),
            (Outcome.TIMEOUT, "error", 1, "reconcile_timeouts_total"),
            (Outcome.PANIC, "error", 1, "reconcile_panics_total"),
        ],
    )
    def test_an_outcome_counts_where_controller_runtime_counts_it(
        self, outcome: Outcome, result: str, errors: int, special: str | None
    ) -> None:
        """Every error is an `error`; some have a counter of their own beside it."""
        metrics = Metrics()
        controller = metrics.controller("echo")
        controller.started()

        controller.finished(outcome.value, 0.3)

        def count(name: str, **labels: str) -> float | None:
            return value(metrics, f"controller_runtime_{name}", controller="echo", **labels)

        kinds = {
            *("terminal_reconcile_errors_total", "reconcile_timeouts_total"),
            "reconcile_panics_total",
        }
        results = ("success", "error", "requeue", "requeue_after")
        totals = {r: count("reconcile_total", result=r) for r in results}
        assert totals == {r: float(r == result) for r in results}
        assert count("reconcile_errors_total") == errors
        assert {kind: count(kind) for kind in kinds} == {k: float(k == special) for k in kinds}
        assert count("reconcile_time_seconds_sum") == 0.3
        assert count("active_workers") == 0

    def test_an_unknown_outcome_is_refused(self) -> None:
        """Label values come from a closed set."""
        controller = Metrics().controller("echo")

        with pytest.raises(ValueError, match="sideways"):
            controller.finished("sideways", 1.0)

    def test_active_workers_go_up_and_down(self) -> None:
        """A cancelled run ends without an outcome."""
        metrics = Metrics()
        controller = metrics.controller("echo")
        controller.max_concurrent(10)
        for _ in range(3):
            controller.started()

        controller.cancelled()

        def count(name: str) -> float | None:
            return value(metrics, f"controller_runtime_{name}", controller="echo")

        assert count("active_workers") == 2
        assert count("max_concurrent_reconciles") == 10
        assert count("reconcile_time_seconds_count") == 0


class TestQueueMetrics:
    def test_a_queue_is_asked_at_scrape_time(self) -> None:
        """Depth and counts are what the queue says now; the ages are their sum and maximum."""
        metrics = in_use()

        def count(name: str, **labels: str) -> float | None:
            return _of(metrics, f"workqueue_{name}", labels)

        assert count("depth", priority="") == 2
        assert count("adds_total") == 7
        assert count("retries_total") == 3
        assert count("unfinished_work_seconds") == 5.5
        assert count("longest_running_processor_seconds") == 4.0

    def test_a_queue_without_work_has_no_age(self) -> None:
        """Nothing runs, so the oldest run is of age zero; the series exist all the same."""
        metrics = Metrics()
        metrics.queue("echo").watch(IdleQueue())

        assert _of(metrics, "workqueue_longest_running_processor_seconds", {}) == 0
        assert _of(metrics, "workqueue_adds_total", {}) == 0

    def test_the_queue_watched_last_counts(self) -> None:
        """A controller that is started again in the same process brings a new queue."""
        metrics = Metrics()
        metrics.queue("echo").watch(FakeQueue())

        metrics.queue("echo").watch(IdleQueue())

        assert _of(metrics, "workqueue_depth", {"priority": ""}) == 0

    def test_durations_are_observed(self) -> None:
        """The time in line and the time of work are different histograms."""
        metrics = Metrics()
        queue = metrics.queue("echo")

        queue.taken(0.25)
        queue.done(2.0)

        assert _of(metrics, "workqueue_queue_duration_seconds_sum", {}) == 0.25
        assert _of(metrics, "workqueue_work_duration_seconds_sum", {}) == 2.0


def _of(metrics: Metrics, name: str, labels: dict[str, str]) -> float | None:
    return metrics.registry.get_sample_value(name, {"name": "echo", "controller": "echo", **labels})


class TestInformerMetrics:
    def test_an_informer_is_asked_at_scrape_time(self) -> None:
        """The kind is the only label."""
        metrics = in_use()

        def count(name: str) -> float | None:
            return value(metrics, f"smbpctl_informer_{name}", gvk="ConfigMap.v1")

        assert count("synced") == 1
        assert count("objects") == 40
        assert count("bytes") == 5000
        assert count("last_event_age_seconds") == 12.5

    def test_before_the_first_event_the_age_is_not_a_number(self) -> None:
        """An age of zero would look healthy."""
        metrics = Metrics()
        metrics.informer(CONFIG_MAP).watch(FakeInformer(age=math.nan))

        age = value(metrics, "smbpctl_informer_last_event_age_seconds", gvk="ConfigMap.v1")

        assert age is not None
        assert math.isnan(age)

    def test_relists_are_counted_by_reason(self) -> None:
        """Why the cache was read again tells an old etcd from a bad network."""
        metrics = in_use()
        name = "smbpctl_informer_relists_total"

        metrics.informer(CONFIG_MAP).relisted("expired")
        metrics.informer(CONFIG_MAP).relisted("stalled")

        assert value(metrics, name, gvk="ConfigMap.v1", reason="expired") == 2
        assert value(metrics, name, gvk="ConfigMap.v1", reason="stalled") == 1


class TestRequests:
    def test_requests_are_counted_by_code_method_and_host(self) -> None:
        """A request without an answer counts too."""
        metrics = Metrics()
        for code in (200, 200, 409, "<error>"):
            metrics.request("PATCH", "api:6443", code)

        def count(code: str) -> float | None:
            name = "rest_client_requests_total"
            return value(metrics, name, code=code, method="PATCH", host="api:6443")

        assert (count("200"), count("409"), count("<error>")) == (2, 1, 1)

    def test_the_number_of_hosts_is_bounded(self) -> None:
        """Whatever is called, the series do not grow without end; known hosts keep theirs."""
        metrics = Metrics()
        for number in range(MAX_HOSTS + 10):
            metrics.request("GET", f"host-{number}", 200)
        metrics.request("GET", "host-0", 200)

        def count(host: str) -> float | None:
            return value(metrics, "rest_client_requests_total", code="200", method="GET", host=host)

        assert count("host-0") == 2
        assert count(f"host-{MAX_HOSTS}") is None
        assert count("exceeded_cardinality_limit") == 10
