"""The cheap histogram tells what the library's would."""

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import HistogramMetricFamily

from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.metrics.durations import Durations

BOUNDS = (0.005, 0.01, 1, 5, 60)


def test_it_agrees_with_the_library() -> None:
    """Bucket by bucket, in sum and in count, bounds included."""
    chance = seeded_random(1)
    values = [*BOUNDS, 0.0, 1e9, *(chance.uniform(0, 80) for _ in range(500))]
    registry = CollectorRegistry()
    reference = Histogram("t", "t", ["c"], buckets=BOUNDS, registry=registry)
    ours, family = Durations(BOUNDS), HistogramMetricFamily("t", "t", labels=["c"])

    for value in values:
        reference.labels("a").observe(value)
        ours.observe(value)
    ours.add_to(family, ["a"])

    told = {(s.name, s.labels.get("le")): s.value for s in family.samples}
    expected = {
        (s.name, s.labels.get("le")): s.value
        for metric in registry.collect()
        for s in metric.samples
        if not s.name.endswith("_created")
    }
    assert told == expected


def test_before_the_first_value_everything_is_zero() -> None:
    """Series exist from the start."""
    family = HistogramMetricFamily("t", "t", labels=["c"])

    Durations(BOUNDS).add_to(family, ["a"])

    assert {sample.value for sample in family.samples} == {0.0}
