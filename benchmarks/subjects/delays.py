"""How long events took from the server's send until a reconcile began, and their percentiles."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

SENT: Final = "benchmarks.smbpctl.dev/sent"
"""The label with the moment of sending, in nanoseconds of the machine's monotonic clock."""


def now() -> int:
    """Return the moment on the clock that all processes of the machine share."""
    return time.monotonic_ns()


def percentiles(delays: Sequence[int]) -> dict[str, float]:
    """Return median, 99th percentile and maximum of some nanoseconds, in microseconds.

    Raises ValueError when there are none: then no event was reconciled.
    """
    if not delays:
        raise ValueError("no event was reconciled")
    ordered = sorted(delays)
    shares: Mapping[str, float] = {"p50_us": 0.5, "p99_us": 0.99, "max_us": 1.0}
    return {name: ordered[int(at * (len(ordered) - 1))] / 1e3 for name, at in shares.items()}
