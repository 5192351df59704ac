"""Metric names and labels are an interface: dashboards and alerts of the field depend on them."""

import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from smbpctl.runtime.metrics import MAX_HOSTS, Metrics
from test.support.metric_samples import in_use, value

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
    "smbpctl_reconcile_errors_total": ("counter", {"controller", "error_class"}),
    "smbpctl_stuck_reconciles": ("gauge", {"controller"}),
    "smbpctl_hot_loops_total": ("counter", {"controller"}),
    "smbpctl_informer_synced": ("gauge", {"gvk"}),
    "smbpctl_informer_objects": ("gauge", {"gvk"}),
    "smbpctl_informer_bytes": ("gauge", {"gvk"}),
    "smbpctl_informer_memory_bytes": ("gauge", {"gvk"}),
    "smbpctl_informer_state": ("gauge", {"gvk", "state"}),
    "smbpctl_informer_last_event_age_seconds": ("gauge", {"gvk"}),
    "smbpctl_informer_relists_total": ("counter", {"gvk", "reason"}),
    "leader_election_master_status": ("gauge", {"name"}),
    "leader_election_slowpath_total": ("counter", {"name"}),
    "smbpctl_leader_heartbeat_stops_total": ("counter", {"name"}),
    "smbpctl_rw_wait_seconds": ("histogram", {"outcome"}),
    "smbpctl_write_noops_total": ("counter", set[str]()),
}

RECONCILE_BOUNDS = (
    ".005 .01 .025 .05 .1 .15 .2 .25 .3 .35 .4 .45 .5 .6 .7 .8 .9 1 1.25 1.5 1.75 2 2.5 3 3.5 4 "
    "4.5 5 6 7 8 9 10 15 20 25 30 40 50 60"
)


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
