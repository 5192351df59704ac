"""Benchmark `queue`: keys through the work queue and through `asyncio.Queue`."""

from typing import Final

from benchmarks.comparison import Comparison, Measure, Variant, interleaved
from benchmarks.run import Run
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("work-queue", "work queue")
VARIANTS: Final = (
    OURS,
    Variant("work-queue-metrics", "work queue with its metrics"),
    Variant("asyncio-queue", "asyncio.Queue"),
)
MEASURES: Final = (
    Measure("cpu_microseconds", "CPU μs/key", lambda r: r.cpu_microseconds, decimals=2),
    Measure("per_second", "keys/s", lambda r: r.per_second, compared=False),
)
_KEYS: Final = 200_000


def run(run: Run) -> Comparison:
    """Measure add, get and done of one worker with 1,000 keys queued at a time."""
    task = Task(run.options.scaled(_KEYS))
    series = interleaved(VARIANTS, run.options.rounds, task, programs=run.programs)
    return Comparison(
        name="queue",
        title="add, get and done, per key",
        baseline=OURS,
        measures=MEASURES,
        readings=series.readings,
        remarks=["asyncio.Queue neither merges equal keys nor keeps a key from running twice."],
    )
