"""Benchmarks `import` and `idle`: what a manager costs before it has anything to do."""

from typing import Final

from benchmarks.comparison import Comparison, Measure, Variant, extra, interleaved
from benchmarks.run import Run
from benchmarks.subjects.outcome import Task

IMPORT: Final = Variant("ours-import", "smbpctl.runtime, in a pod")
IDLE: Final = Variant("ours-empty", "smbpctl.runtime, ten watches and a Lease")
_SECONDS: Final = 10.0
_SHORT_SECONDS: Final = 1.0
_ROUNDS: Final = 2


def imports(run: Run) -> Comparison:
    """Import, find the configuration and make a manager, in fresh interpreters."""
    series = interleaved((IMPORT,), run.options.rounds, Task(1), programs=run.programs)
    return Comparison(
        name="import",
        title="import and configuration of a manager",
        baseline=IMPORT,
        measures=(
            extra("import_ms", "ms", compared=False),
            extra("modules", "modules", compared=False),
            extra("generated_clients", "modules of kubernetes_asyncio", compared=False),
        ),
        readings=series.readings,
        remarks=["Byte code is at hand, as in an image; each reading is the median of five."],
        complete=all(r.extras["generated_clients"] == 0 for r in series.readings[0][1]),
    )


def idle(run: Run) -> Comparison:
    """Wait with a synced manager on a real API server that has nothing to tell."""
    seconds = _SECONDS if run.options.full else _SHORT_SECONDS
    series = interleaved(
        (
            IDLE,
            Variant("controller-runtime-unstructured", "controller-runtime, one watch, no Lease"),
            Variant("kube-rs", "kube-rs, one watch, no Lease"),
        ),
        run.options.some_rounds(_ROUNDS),
        Task(0, run.pod(), seconds=seconds),
        programs=run.programs,
    )
    return Comparison(
        name="idle",
        title="a synced manager without anything to do",
        baseline=IDLE,
        measures=(
            Measure("core_percent", "% of a core", lambda r: r.core_percent, decimals=3),
            Measure("rss_mb", "RSS MB", lambda r: r.extras["rss_bytes_total"] / 1e6, decimals=1),
        ),
        readings=series.readings,
        absent=series.absent,
        complete=not series.failed,
        remarks=[
            f"For {seconds:.0f} s; RSS is the whole process, ours with a token as in a pod, the "
            "others with a certificate."
        ],
    )
