"""Benchmarks `updates`, `flood` and `latency-*`: events that change objects known already."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, final

from benchmarks.comparison import Comparison, Measure, Variant, extra, interleaved
from benchmarks.run import Run
from benchmarks.scenes import Replay, Updates, last
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("ours", "smbpctl.runtime")
UVLOOP: Final = Variant("ours-uvloop", "smbpctl.runtime on uvloop")
CONTROLLER_RUNTIME: Final = Variant(
    "controller-runtime-unstructured", "controller-runtime, unstructured"
)
KUBE_RS: Final = Variant("kube-rs", "kube-rs, DynamicObject")
_SLOW: Final = 0.1
CPU: Final = Measure("cpu_microseconds", "CPU μs/event", lambda reading: reading.cpu_microseconds)
PER_SECOND: Final = Measure("per_second", "events/s", lambda reading: reading.per_second)
_OBJECTS: Final = 2_000


def updates(run: Run) -> Comparison:
    """Write 300 updates a second to a real API server."""
    objects, events, rate = run.options.scaled(_OBJECTS), run.options.scaled(900), 300
    access = run.server(objects)
    series = interleaved(
        (OURS, UVLOOP, CONTROLLER_RUNTIME, KUBE_RS, Variant("kopf", "kopf, on.event")),
        run.options.rounds,
        Task(objects, access, events=events, last=last(objects)),
        programs=run.programs,
        scene=lambda: Updates(access, rate),
    )
    return Comparison(
        name="updates",
        title=f"an update at {rate}/s until it is reconciled by a controller that does nothing",
        baseline=OURS,
        measures=(CPU,),
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[f"{events:,} updates of {objects:,} objects on a real API server."],
    )


def flood(run: Run) -> Comparison:
    """Send changes from the replay server as fast as they are taken."""
    objects, events = run.options.scaled(_OBJECTS), run.options.scaled(30_000)
    variants = (
        OURS,
        UVLOOP,
        CONTROLLER_RUNTIME,
        KUBE_RS,
        Variant("kopf", "kopf, on.event", share=_SLOW),
        Variant("kubernetes-asyncio-watch", "kubernetes_asyncio, its Watch into a dict", share=0.5),
        Variant("lightkube", "lightkube, its watch into a dict", share=0.5),
        Variant("cloudcoil", "cloudcoil, its watch into a dict", share=_SLOW),
    )
    series = interleaved(
        variants,
        run.options.rounds,
        Task(objects, events=events, last=last(objects)),
        programs=run.programs,
        scene=lambda: Replay(objects),
    )
    return Comparison(
        name="flood",
        title="events flat out until they are reconciled by a controller that does nothing",
        baseline=OURS,
        measures=(CPU, PER_SECOND),
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[
            f"{events:,} changes of {objects:,} objects from the replay server, a part of them "
            "for what would take minutes. Queues merge changes of one object that wait."
        ],
    )


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """A rate at which events come, how many, and in how many rounds at most."""

    rate: int
    events: int
    rounds: int


PACES: Final = (Pace(200, 400, 3), Pace(2_000, 4_000, 5), Pace(10_000, 20_000, 3))


def latencies() -> Sequence[tuple[str, partial[Comparison]]]:
    """Return the benchmark of each rate with its name."""
    return [(f"latency-{pace.rate}", partial(latency, pace=pace)) for pace in PACES]


def latency(run: Run, *, pace: Pace) -> Comparison:
    """Send changes at a steady rate and measure how long each takes to its reconcile."""
    objects, events = run.options.scaled(_OBJECTS), run.options.scaled(pace.events)
    series = interleaved(
        (OURS, UVLOOP, CONTROLLER_RUNTIME, KUBE_RS),
        run.options.some_rounds(pace.rounds),
        Task(objects, events=events, last=last(objects), stamped=True),
        programs=run.programs,
        scene=lambda: Replay(objects, pace.rate),
    )
    return Comparison(
        name=f"latency-{pace.rate}",
        title=f"from the server's send to the start of a reconcile, at {pace.rate:,} events/s",
        baseline=OURS,
        measures=(
            extra("p50_us", "median μs"),
            extra("p99_us", "99th percentile μs"),
            extra("max_us", "longest μs", compared=False),
            CPU,
        ),
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[f"{events:,} changes of {objects:,} objects from the replay server."],
    )
