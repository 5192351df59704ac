"""A queue costs nothing between scrapes: it is asked when somebody looks."""

from smbpctl.runtime.metrics import Metrics
from test.support.metric_samples import FakeQueue, IdleQueue, in_use


class TestQueueMetrics:
    def test_a_queue_is_asked_at_scrape_time(self) -> None:
        """Depth and counts are what the queue says now; the ages are their sum and maximum."""
        metrics = in_use()

        def count(name: str, **labels: str) -> float | None:
            return _of(metrics, f"workqueue_{name}", labels)

        assert count("depth", priority="0") == 2
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

        assert _of(metrics, "workqueue_depth", {"priority": "0"}) == 0

    def test_durations_are_observed(self) -> None:
        """The time in line and the time of work are different histograms."""
        metrics = Metrics()
        queue = metrics.queue("echo")

        queue.taken(0.25)
        queue.done(2.0)

        assert _of(metrics, "workqueue_queue_duration_seconds_sum", {}) == 0.25
        assert _of(metrics, "workqueue_work_duration_seconds_sum", {}) == 2.0

    def test_buckets_are_cumulative_and_include_their_bound(self) -> None:
        """As Prometheus has it: a bucket counts everything up to and with its bound."""
        metrics = Metrics()
        queue = metrics.queue("echo")
        for waited in (0.01, 0.1, 0.100001, 5000.0):
            queue.taken(waited)

        def bucket(bound: str) -> float | None:
            return _of(metrics, "workqueue_queue_duration_seconds_bucket", {"le": bound})

        bounds = ("0.01", "0.1", "1.0", "1000.0", "+Inf")
        assert [bucket(bound) for bound in bounds] == [1, 2, 3, 3, 4]
        assert _of(metrics, "workqueue_queue_duration_seconds_count", {}) == 4

    def test_a_queue_made_anew_goes_on_counting(self) -> None:
        """Counters never go back while the process lives."""
        metrics = Metrics()
        metrics.queue("echo").done(1.0)

        metrics.queue("echo").done(2.0)

        assert _of(metrics, "workqueue_work_duration_seconds_sum", {}) == 3.0


def _of(metrics: Metrics, name: str, labels: dict[str, str]) -> float | None:
    return metrics.registry.get_sample_value(name, {"name": "echo", "controller": "echo", **labels})
