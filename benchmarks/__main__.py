"""Runs benchmarks and reports them: `python -m benchmarks [NAME ...] [--json FILE]`.

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

from benchmarks import queue, reads, sync
from benchmarks.comparison import Comparison
from benchmarks.errors import Refused
from benchmarks.machine import load, machine
from benchmarks.options import Options
from benchmarks.report import NOISE, Load, as_json, table

BENCHMARKS: Final[Mapping[str, Callable[[Options], Comparison]]] = {
    "sync": sync.run,
    "queue": queue.run,
    "reads": reads.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, or all, and return the exit status."""
    chosen = _parser().parse_args(arguments)
    options = Options(chosen.objects, chosen.rounds, chosen.kubeconfig)
    report: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "note": NOISE,
        "benchmarks": [],
    }
    print(", ".join(f"{name}: {value}" for name, value in report["machine"].items()))
    complete = True
    try:
        for name in chosen.names or BENCHMARKS:
            before = load()
            comparison = BENCHMARKS[name](options)
            during = Load(before, load())
            print(f"\n{table(comparison, during)}", flush=True)
            report["benchmarks"].append(as_json(comparison, during))
            complete = complete and comparison.complete
    except Refused as refusal:
        print(f"benchmarks: {refusal}", file=sys.stderr)
        return refusal.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"\n{NOISE}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if complete else 1


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Performance as ratios of one interleaved run."
    )
    parser.add_argument(
        "names", nargs="*", type=_name, metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--objects", type=_positive, default=defaults.objects, help="how many `sync` lists"
    )
    parser.add_argument("--rounds", type=_positive, default=defaults.rounds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all readings there")
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="cluster for `sync` instead of one's own"
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
