"""Benchmarks `sync20k`, `lists20k` and `sync50k`: the start of a manager on a real API server.

From the start until every object was reconciled once by a controller that does nothing.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.comparison import Comparison, Measure, Reading, Series, Variant, interleaved
from benchmarks.run import Run
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("ours", "smbpctl.runtime")
METADATA: Final = Variant("ours-metadata", "smbpctl.runtime, metadata only")
MANAGERS: Final = (
    OURS,
    METADATA,
    Variant("controller-runtime-unstructured", "controller-runtime, unstructured"),
    Variant("controller-runtime-typed", "controller-runtime, Go structs"),
    Variant("controller-runtime-metadata", "controller-runtime, metadata only"),
    Variant("kube-rs", "kube-rs, DynamicObject"),
    Variant("kube-rs-typed", "kube-rs, Rust structs"),
    Variant("kube-rs-metadata", "kube-rs, metadata only"),
)
LIBRARIES: Final = (
    Variant("kopf", "kopf, on.event, no cache"),
    Variant("kubernetes-asyncio-list-gzip", "kubernetes_asyncio, a list into a dict"),
    Variant("lightkube", "lightkube, a list into a dict"),
    Variant("cloudcoil", "cloudcoil, a list into a dict"),
    Variant("plain-list", "aiohttp and json, a list into a dict"),
)
MEASURES: Final = (
    Measure("cpu_microseconds", "CPU μs/object", lambda reading: reading.cpu_microseconds),
    Measure("rss_per_object", "RSS bytes/object", lambda reading: reading.rss_per_object),
    Measure("peak_megabytes", "peak MB", lambda reading: reading.peak_megabytes),
    Measure(
        "wall_seconds", "wall s", lambda reading: reading.wall_seconds, decimals=2, compared=False
    ),
)
_FEW: Final = 20_000
_MANY: Final = 50_000
_SOME_ROUNDS: Final = 3


def few(run: Run) -> Comparison:
    """Sync 20,000 objects with managers that have a cache."""
    return _synced(run, "sync20k", _FEW, MANAGERS, run.options.rounds)


def lists(run: Run) -> Comparison:
    """Sync 20,000 objects, beside libraries that have less to offer."""
    rounds = run.options.some_rounds(_SOME_ROUNDS)
    return _synced(run, "lists20k", _FEW, (OURS, *LIBRARIES), rounds)


def many(run: Run) -> Comparison:
    """Sync 50,000 objects with managers that have a cache."""
    rounds = run.options.some_rounds(_SOME_ROUNDS)
    return _synced(run, "sync50k", _MANY, MANAGERS, rounds)


def unseen(readings: Sequence[tuple[Variant, Sequence[Reading]]], objects: int) -> list[str]:
    """Return a complaint for each variant that did not see exactly the objects there are."""
    # A subject that keeps nothing cannot tell versions.
    digests = {reading.digest for _, series in readings for reading in series if reading.digest}
    complaints = [
        f"{variant.title} saw {reading.amount:,} of {objects:,} objects"
        for variant, series in readings
        for reading in series
        if reading.amount != objects
    ]
    if not complaints and len(digests) > 1:
        complaints.append("the variants saw different versions of the objects")
    return complaints


def _synced(run: Run, name: str, full: int, variants: Sequence[Variant], rounds: int) -> Comparison:
    objects = run.options.scaled(full)
    task = Task(objects, run.server(objects))
    series: Series = interleaved(variants, rounds, task, programs=run.programs)
    complaints = unseen(series.readings, objects)
    seen = f"Every variant saw all {objects:,} objects, in the same versions."
    return Comparison(
        name=name,
        title=f"start of a manager with {objects:,} custom resources",
        baseline=OURS,
        measures=MEASURES,
        readings=series.readings,
        absent=series.absent,
        remarks=[*(complaints or [seen]), run.told()],
        complete=not complaints and not series.failed,
        facts=run.facts(),
    )
