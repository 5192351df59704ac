"""Benchmark `reads`: an object from our cache, and a deep copy from a cache of dicts."""

from typing import Final

from benchmarks.comparison import Comparison, Measure, Variant, interleaved
from benchmarks.run import Run
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("cache-get", "Cache.get: a private copy")
VARIANTS: Final = (
    OURS,
    Variant("deepcopy", "copy.deepcopy of a dict"),
    Variant("cache-meta", "Cache.meta: immutable metadata"),
)
MEASURES: Final = (
    Measure("cpu_microseconds", "CPU μs/read", lambda r: r.cpu_microseconds, decimals=2),
    Measure("per_second", "reads/s", lambda r: r.per_second, compared=False),
)
_READS: Final = 50_000


def run(run: Run) -> Comparison:
    """Measure reading 1,000 objects of a ConfigMap's size over and over."""
    task = Task(run.options.scaled(_READS))
    series = interleaved(VARIANTS, run.options.rounds, task, programs=run.programs)
    return Comparison(
        name="reads",
        title="reading one object that may be changed",
        baseline=OURS,
        measures=MEASURES,
        readings=series.readings,
        remarks=["A read that shares the dict instead of copying it costs nothing and is unsafe."],
    )
