"""Runs are counted where controller-runtime counts them."""

import pytest

from smbpctl.runtime.metrics import Metrics, Outcome
from test.support.metric_samples import value


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

        controller.finished(outcome, 0.3)

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
