"""Benchmarks `stall` and `resync`: a manager with many objects in its cache."""

from typing import Final

from benchmarks.comparison import Comparison, Measure, Variant, extra, interleaved
from benchmarks.run import Run
from benchmarks.scenes import Replay, last
from benchmarks.subjects.outcome import Task

STALL: Final = Variant("ours-stall", "smbpctl.runtime")
RESYNC: Final = Variant("ours-resync", "smbpctl.runtime")
_OBJECTS: Final = 50_000
_ROUNDS: Final = 3
_ROUNDS_OF_STALLS: Final = 2


def stall(run: Run) -> Comparison:
    """Probe the event loop through sync, events, a relist and a resync."""
    objects = run.options.scaled(_OBJECTS)
    series = interleaved(
        (STALL, Variant("ours-stall-uvloop", "smbpctl.runtime on uvloop")),
        run.options.some_rounds(_ROUNDS_OF_STALLS),
        Task(objects, events=run.options.scaled(4_000), last=last(objects)),
        programs=run.programs,
        scene=lambda: Replay(objects, 2_000, relist=True),
    )
    phases = ("sync", "events", "relist", "resync", "calm")
    return Comparison(
        name="stall",
        title=f"the longest time without a turn of the event loop, {objects:,} objects cached",
        baseline=STALL,
        measures=(
            extra("stall_ms", "worst ms", decimals=1),
            *(extra(f"stall_{each}_ms", each, decimals=1, compared=False) for each in phases),
        ),
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[
            "Seen by a task that wants to run every millisecond; what the operating system takes "
            "away counts as well. Events come at 2,000/s."
        ],
    )


def resync(run: Run) -> Comparison:
    """Tell every object again although nothing changed."""
    objects = run.options.scaled(_OBJECTS)
    series = interleaved(
        (RESYNC,),
        run.options.some_rounds(_ROUNDS),
        Task(objects),
        programs=run.programs,
        scene=lambda: Replay(objects),
    )
    requests = sum(
        reading.extras["requests_when_ready"]
        for _, readings in series.readings
        for reading in readings
    )
    return Comparison(
        name="resync",
        title=f"a resync of {objects:,} objects without effect",
        baseline=RESYNC,
        measures=(
            Measure("cpu_microseconds", "CPU μs/object", lambda reading: reading.cpu_microseconds),
            extra("requests_when_ready", "requests", compared=False),
        ),
        readings=series.readings,
        absent=series.absent,
        remarks=[f"The server counted {requests:,.0f} requests meanwhile."],
        complete=requests == 0 and not series.failed,
        facts={"requests": requests},
    )
