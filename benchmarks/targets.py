"""What was promised: each target beside the figure that decides it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from benchmarks.figures import Figure, figure, ratio

Report: TypeAlias = Mapping[str, Any]
Reports: TypeAlias = Mapping[str, Report]

_CPU, _RSS = "cpu_microseconds", "rss_per_object"
_CR: Final = "controller-runtime-unstructured"
_CR_TYPED: Final = "controller-runtime-typed"
_CR_METADATA: Final = "controller-runtime-metadata"


@final
@dataclass(frozen=True, slots=True)
class Target:
    """A promise about one figure of one benchmark.

    `of` returns the figure from the benchmark's report, None when it was not measured; `most` or
    `least` is what it may be, in `unit`.
    """

    job: str
    about: str
    benchmark: str
    of: Callable[[Report], Figure | None]
    most: float | None = None
    least: float | None = None
    unit: str = "of it"
    decimals: int = 2

    def found(self, reports: Reports) -> Figure | None:
        """Return the figure, if it was measured."""
        report = reports.get(self.benchmark)
        return None if report is None else self.of(report)

    def met(self, found: Figure) -> bool:
        """Tell whether the median keeps the promise."""
        return (self.most is None or found.median <= self.most) and (
            self.least is None or found.median >= self.least
        )

    def promised(self) -> str:
        """Return the limit in words."""
        if self.least is not None:
            return f"≥ {self.least:g} {self.unit}"
        return f"≤ {self.most:g} {self.unit}"


def times(measure: str, ours: str, theirs: str) -> Callable[[Report], Figure | None]:
    """Return how many times as much ours takes as theirs, the two of a round compared."""

    def of(report: Report) -> Figure | None:
        above, below = _values(report, ours, measure), _values(report, theirs, measure)
        if not above or not below:
            return None
        rounds = min(len(above), len(below))
        return ratio(above[:rounds], below[:rounds])

    return of


def value(measure: str, ours: str) -> Callable[[Report], Figure | None]:
    """Return the figure itself."""

    def of(report: Report) -> Figure | None:
        values = _values(report, ours, measure)
        return figure(values) if values else None

    return of


def _values(report: Report, program: str, measure: str) -> Sequence[float]:
    for variant in report["variants"]:
        if variant["name"] == program:
            values: Sequence[float] = variant["values"].get(measure, ())
            return values
    return ()


def _of_sync(benchmark: str, count: str) -> Sequence[Target]:
    job = f"initial sync of {count}"

    def target(about: str, measure: str, theirs: str, most: float, ours: str = "ours") -> Target:
        return Target(job, about, benchmark, times(measure, ours, theirs), most=round(most, 3))

    metadata = "ours-metadata"
    return (
        target("CPU, of controller-runtime unstructured", _CPU, _CR, 1 / 5),
        target("CPU, of kube-rs DynamicObject", _CPU, "kube-rs", 2 / 3),
        target("RSS, of controller-runtime unstructured", _RSS, _CR, 1 / 6),
        target("RSS, of kube-rs DynamicObject", _RSS, "kube-rs", 1 / 8),
        target("RSS, of controller-runtime with Go structs", _RSS, _CR_TYPED, 1),
        target("metadata only: CPU, of controller-runtime's", _CPU, _CR_METADATA, 4 / 5, metadata),
        target("metadata only: RSS, of controller-runtime's", _RSS, _CR_METADATA, 1 / 3, metadata),
    )


TARGETS: Final[Sequence[Target]] = (
    *_of_sync("sync20k", "20,000"),
    Target(
        "initial sync of 20,000", "CPU, of kopf", "lists20k", times(_CPU, "ours", "kopf"), most=0.1
    ),
    Target(
        "initial sync of 20,000",
        "RSS, of a cache of dicts",
        "lists20k",
        times(_RSS, "ours", "kubernetes-asyncio-list-gzip"),
        most=0.25,
    ),
    *_of_sync("sync50k", "50,000"),
    Target(
        *("updates at 300/s", "CPU, of controller-runtime unstructured", "updates"),
        of=times(_CPU, "ours", _CR),
        most=0.5,
    ),
    Target(
        *("updates at 300/s", "CPU, of kopf", "updates"), of=times(_CPU, "ours", "kopf"), most=0.25
    ),
    Target(
        *("events flat out", "events/s, of kopf", "flood"),
        of=times("per_second", "ours", "kopf"),
        least=20,
    ),
    Target(
        *("events flat out", "events/s, of kubernetes_asyncio's Watch", "flood"),
        of=times("per_second", "ours", "kubernetes-asyncio-watch"),
        least=4,
    ),
    Target(
        *("delay at 2,000 events/s", "99th percentile", "latency-2000"),
        of=value("p99_us", "ours"),
        most=1000,
        unit="μs",
        decimals=0,
    ),
    Target(
        *("50,000 objects cached", "longest stall of the loop", "stall"),
        of=value("stall_ms", "ours-stall"),
        most=25,
        unit="ms",
        decimals=1,
    ),
    Target(
        *("16 applies in flight", "applies/CPU s, of kubernetes_asyncio", "applies"),
        of=times("per_cpu_second", "ours-applies", "kubernetes-asyncio-patches"),
        least=3,
    ),
    Target(
        *("resync of 50,000", "requests", "resync"),
        of=value("requests_when_ready", "ours-resync"),
        most=0,
        unit="requests",
        decimals=0,
    ),
    Target(
        *("resync of 50,000", "CPU", "resync"),
        of=value(_CPU, "ours-resync"),
        most=60,
        unit="μs/object",
        decimals=1,
    ),
    Target(
        *("empty manager", "RSS, with ten watches and a Lease", "idle"),
        of=value("rss_mb", "ours-empty"),
        most=60,
        unit="MB",
        decimals=1,
    ),
    Target(
        *("empty manager", "import, in a pod", "import"),
        of=value("import_ms", "ours-import"),
        most=250,
        unit="ms",
        decimals=0,
    ),
    Target(
        *("empty manager", "idle CPU, ten watches and a Lease", "idle"),
        of=value("core_percent", "ours-empty"),
        most=0.3,
        unit="% of a core",
        decimals=3,
    ),
    Target(
        *("fail-over", "leader asked to stop", "failover"),
        of=value("wall_seconds", "graceful"),
        most=3,
        unit="s",
    ),
    Target(
        *("fail-over", "leader killed: lease + 1.2 times retry", "failover"),
        of=value("wall_seconds", "killed"),
        most=17.4,
        unit="s",
    ),
)
"""All of them, in the order of the page."""
