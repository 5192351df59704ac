"""Runs benchmarks and reports them: `python -m benchmarks [NAME ...] [--json FOLDER]`.

Exit status: 0 done, 1 something was not measured or not complete, 3 Go is needed to build a
control plane and is not installed.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import applies, cached, empty, failover, queue, reads, sync, updates
from benchmarks.comparison import Comparison
from benchmarks.errors import Refused
from benchmarks.machine import load, machine
from benchmarks.options import Options
from benchmarks.programs import ALL_PEERS, Kind
from benchmarks.report import NOISE, Load, as_json, table
from benchmarks.run import Run

BENCHMARKS: Final[Mapping[str, Callable[[Run], Comparison]]] = {
    "import": empty.imports,
    "idle": empty.idle,
    "failover": failover.run,
    "queue": queue.run,
    "reads": reads.run,
    "applies": applies.run,
    "flood": updates.flood,
    **dict(updates.latencies()),
    "updates": updates.updates,
    "resync": cached.resync,
    "stall": cached.stall,
    "sync20k": sync.few,
    "lists20k": sync.lists,
    "sync50k": sync.many,
}
"""Every benchmark by its name; those that need many objects on the server come last."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, or all, and return the exit status."""
    chosen = _parser().parse_args(arguments)
    peers = ALL_PEERS if chosen.peers is None else [Kind(each) for each in chosen.peers]
    options = Options(chosen.objects, chosen.rounds, chosen.kubeconfig, peers)
    about: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}
    print(", ".join(f"{name}: {value}" for name, value in about["machine"].items()))
    status = 0
    try:
        with Run.opened(options) as run:
            for name in [each for each in BENCHMARKS if each in (chosen.names or BENCHMARKS)]:
                status = _run(name, run, about, chosen.json) or status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"\n{NOISE}")
    return status


def _run(name: str, run: Run, about: Mapping[str, Any], folder: Path | None) -> int:
    """Run one benchmark, report it, and return the exit status."""
    before = load()
    try:
        comparison = BENCHMARKS[name](run)
    except Refused as refusal:
        print(f"benchmarks: {name}: {refusal}", file=sys.stderr)
        return refusal.status
    during = Load(before, load())
    print(f"\n{table(comparison, during)}", flush=True)
    if folder is not None:
        _write(folder, {**about, **as_json(comparison, during)})
    return int(not comparison.complete)


def _write(folder: Path, report: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (folder / f"{report['name']}.json").write_text(f"{text}\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Performance as ratios of one interleaved run."
    )
    parser.add_argument(
        "names", nargs="*", type=_name, metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--objects",
        type=_positive,
        default=defaults.objects,
        help="how many sync20k lists; everything else in proportion",
    )
    parser.add_argument("--rounds", type=_positive, default=defaults.rounds)
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write all readings there")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=sorted(kind.value for kind in ALL_PEERS),
        help="beside whom; all unless given, and kubernetes_asyncio always",
    )
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="cluster to use instead of one's own"
    )
    return parser


def _name(text: str) -> str:
    # Not `choices`, which Python 3.11 also holds against the absence of all names.
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"unknown benchmark {text!r}")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
