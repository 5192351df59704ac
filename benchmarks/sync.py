"""Benchmark `sync`: the initial list of many custom resources from a real API server."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from benchmarks.comparison import Comparison, Measure, Reading, Variant, interleaved, say
from benchmarks.objects import WRITERS, Filled, fill, install, remove
from benchmarks.options import Options
from benchmarks.server import Server, api_server
from benchmarks.subjects.outcome import Task

OURS: Final = Variant("ours-full", "our cache, full")
VARIANTS: Final = (
    OURS,
    Variant("ours-full-gzip", "our cache, full, with gzip"),
    Variant("ours-metadata", "our cache, metadata only"),
    Variant("kubernetes-asyncio", "kubernetes_asyncio, a dict"),
    Variant("kubernetes-asyncio-gzip", "kubernetes_asyncio, with gzip"),
    Variant("plain", "aiohttp and json, a dict"),
)
MEASURES: Final = (
    Measure("cpu_microseconds", "CPU μs/object", lambda reading: reading.cpu_microseconds),
    Measure("rss_per_object", "RSS bytes/object", lambda reading: reading.rss_per_object),
    Measure("peak_megabytes", "peak MB", lambda reading: reading.peak_megabytes),
    Measure(
        "wall_seconds", "wall s", lambda reading: reading.wall_seconds, decimals=2, compared=False
    ),
)


def run(options: Options) -> Comparison:
    """Fill a server, measure every variant in turn, and compare what they saw."""
    with api_server(options.kubeconfig) as server:
        asyncio.run(install(server.access))
        try:
            return _measured(server, options)
        finally:
            if not server.disposable:
                asyncio.run(remove(server.access))


def unseen(readings: Sequence[tuple[Variant, Sequence[Reading]]], objects: int) -> list[str]:
    """Return a complaint for each variant that did not see exactly the objects there are."""
    digests = {reading.digest for _, series in readings for reading in series}
    complaints = [
        f"{variant.title} saw {reading.amount:,} of {objects:,} objects"
        for variant, series in readings
        for reading in series
        if reading.amount != objects
    ]
    if not complaints and len(digests) > 1:
        complaints.append("the variants saw different versions of the objects")
    return complaints


def _measured(server: Server, options: Options) -> Comparison:
    say(f"creating {options.objects:,} objects")
    filled = asyncio.run(fill(server.access, options.objects))
    say(_told(filled))
    readings = interleaved(VARIANTS, options.rounds, Task(options.objects, server.access))
    complaints = unseen(readings, options.objects)
    seen = f"Every variant saw all {options.objects:,} objects, in the same versions."
    return Comparison(
        name="sync",
        title=f"initial list of {options.objects:,} custom resources",
        baseline=OURS,
        measures=MEASURES,
        readings=readings,
        remarks=[*(complaints or [seen]), _told(filled)],
        complete=not complaints,
        facts=asdict(filled),
    )


def _told(filled: Filled) -> str:
    writes = 2 * filled.objects
    return (
        f"Objects of {filled.wire_bytes:,.0f} bytes in a list, {filled.managed_bytes:,.0f} of them "
        f"managedFields; written by two field managers, {WRITERS} at a time, "
        f"{writes / filled.wall_seconds:,.0f} writes/s, "
        f"{filled.cpu_seconds * 1e6 / writes:,.0f} μs of our CPU each."
    )
