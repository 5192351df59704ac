"""Runs one subject in this process and prints what it cost: `python -m benchmarks.subject NAME`.

The last line of standard output is a `Reading` as JSON. Subjects are imported one at a time: none
pays for the libraries of another.
"""

import argparse
import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.access import Access
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task

Subject: TypeAlias = Callable[[Task, Meter], Awaitable[Outcome]]

SUBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "ours-full": ("ours", "full"),
    "ours-full-gzip": ("ours", "compressed"),
    "ours-metadata": ("ours", "metadata"),
    "kubernetes-asyncio": ("peer", "identity"),
    "kubernetes-asyncio-gzip": ("peer", "compressed"),
    "plain": ("plain", "listed"),
    "work-queue": ("queues", "ours"),
    "work-queue-metrics": ("queues", "with_metrics"),
    "asyncio-queue": ("queues", "asyncios"),
    "cache-get": ("reads", "cache_get"),
    "cache-meta": ("reads", "cache_meta"),
    "deepcopy": ("reads", "deep_copy"),
}
"""By the name of a subject: its module in `benchmarks.subjects`, and its function there."""


def main() -> None:
    """Run the subject that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subject")
    parser.add_argument("name", choices=sorted(SUBJECTS))
    parser.add_argument("--amount", type=int, required=True, help="how many operations")
    parser.add_argument("--server", help="URL of the API server")
    parser.add_argument("--credentials", type=Path, help="folder as `benchmarks.access` has it")
    arguments = parser.parse_args()
    module, function = SUBJECTS[arguments.name]
    subject: Subject = getattr(importlib.import_module(f"benchmarks.subjects.{module}"), function)
    access = Access(arguments.server, arguments.credentials) if arguments.server else None
    meter = Meter()
    outcome = asyncio.run(run(subject, Task(arguments.amount, access), meter))
    if meter.cost is None:
        raise RuntimeError(f"{arguments.name} measured nothing")
    print(json.dumps(asdict(outcome) | asdict(meter.cost)))


async def run(subject: Subject, task: Task, meter: Meter) -> Outcome:
    """Give `asyncio.run` the coroutine that it wants."""
    return await subject(task, meter)


if __name__ == "__main__":
    main()
