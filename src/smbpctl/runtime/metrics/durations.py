"""A histogram for hot paths: told at scrape time, counted for a tenth of the library's price."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import final

from prometheus_client.core import HistogramMetricFamily


@final
class Durations:
    """Counts durations in buckets; a value costs a search and two additions.

    `bounds` are the upper bounds of the buckets in seconds, ascending; what is longer than all
    of them counts beyond. All calls belong to one thread.
    """

    __slots__ = ("_bounds", "_counts", "_labels", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(map(float, bounds))
        self._labels = (*map(repr, self._bounds), "+Inf")
        self._counts = [0] * len(self._labels)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Tell what was counted so far."""
        counts = map(float, accumulate(self._counts))
        family.add_metric(labels, list(zip(self._labels, counts, strict=True)), self._sum)
