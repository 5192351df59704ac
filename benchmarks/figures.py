"""The statistics: medians with their range, and ratios formed within each round."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity measured once a round: its median, and how far the rounds lie apart."""

    median: float
    lowest: float
    highest: float


def figure(values: Sequence[float]) -> Figure:
    """Return median and range of at least one value; raise ValueError without any."""
    if not values:
        raise ValueError("there are no values")
    return Figure(median(values), min(values), max(values))


def ratio(values: Sequence[float], baseline: Sequence[float]) -> Figure | None:
    """Return how many times the baseline each value is, the two of a round compared.

    Formed within rounds, because what disturbs a machine lasts longer than a round and then
    disturbs both alike. None when a value of the baseline is not positive: there is nothing to
    compare with, such as memory that did not grow. Raises ValueError when the numbers of rounds
    differ.
    """
    if any(below <= 0 for below in baseline):
        return None
    return figure([above / below for above, below in zip(values, baseline, strict=True)])
