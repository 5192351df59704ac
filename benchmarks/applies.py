"""Benchmark `applies`: what a write costs the client."""

from typing import Final

from benchmarks.comparison import Comparison, Measure, Variant, interleaved
from benchmarks.run import Run
from benchmarks.scenes import Replay
from benchmarks.subjects.applies import IN_FLIGHT
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("ours-applies", "smbpctl.runtime")
VARIANTS: Final = (
    OURS,
    Variant("ours-applies-uvloop", "smbpctl.runtime on uvloop"),
    Variant("kubernetes-asyncio-patches", "kubernetes_asyncio, patch_namespaced_custom_object"),
)
MEASURES: Final = (
    Measure("cpu_microseconds", "CPU μs/apply", lambda reading: reading.cpu_microseconds),
    Measure("per_cpu_second", "applies/CPU s", lambda reading: reading.per_cpu_second),
    Measure("per_second", "applies/s", lambda reading: reading.per_second, compared=False),
)
_APPLIES: Final = 5_000
_OBJECTS: Final = 2_000


def run(run: Run) -> Comparison:
    """Apply objects to the replay server, which answers with the object."""
    applies = run.options.scaled(_APPLIES)
    series = interleaved(
        VARIANTS,
        run.options.rounds,
        Task(applies),
        programs=run.programs,
        scene=lambda: Replay(run.options.scaled(_OBJECTS)),
    )
    return Comparison(
        name="applies",
        title=f"applies with {IN_FLIGHT} in flight",
        baseline=OURS,
        measures=MEASURES,
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[f"{applies:,} applies of whole objects, each answered with the object."],
    )
