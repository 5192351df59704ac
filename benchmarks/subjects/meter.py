"""Measures what a block of code costs this process: CPU, time, memory kept and memory at most."""

import ctypes
import gc
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, final

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_CLEAR_PEAK = "5"
_KIB = 1024


@final
@dataclass(frozen=True, slots=True)
class Cost:
    """What a block cost.

    `rss_bytes` is what it still holds at its end, garbage collected and free memory given back
    to the system; `peak_bytes` the most it held. Both come on top of what was held before.
    """

    cpu_seconds: float
    wall_seconds: float
    rss_bytes: int
    peak_bytes: int


@final
class Meter:
    """A context manager that measures one block; `cost` is known after it."""

    def __init__(self) -> None:
        self.cost: Cost | None = None
        self._rss = 0
        self._cpu = self._wall = 0.0

    def __enter__(self) -> Self:
        self._rss = settled_rss()
        with suppress(OSError):  # Linux alone can forget the peak of the start-up
            _CLEAR.write_text(_CLEAR_PEAK)
        self._wall = time.perf_counter()
        self._cpu = _cpu()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cpu = _cpu() - self._cpu
        wall = time.perf_counter() - self._wall
        peak = _peak()
        self.cost = Cost(cpu, wall, settled_rss() - self._rss, peak - self._rss)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def settled_rss() -> int:
    """Return the memory held when garbage is collected and free memory given back."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc gives back on request
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


def _peak() -> int:
    # Not ru_maxrss where there is better: Linux lets it begin at the peak of the parent process.
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * _KIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
