"""Runs one subject in this process and prints what it cost: `python -m benchmarks.subject NAME`.

The last line of standard output is a `Reading` as JSON; one that says `ready` may come before it,
when the subject waits for events to measure. Subjects are imported one at a time: none pays for
the libraries of another.
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

SUBJECTS: Final[Mapping[str, str]] = {
    "ours-list": "benchmarks.subjects.ours:full",
    "ours-list-gzip": "benchmarks.subjects.ours:compressed",
    "ours-list-metadata": "benchmarks.subjects.ours:metadata",
    "ours": "benchmarks.subjects.managers:full",
    "ours-metadata": "benchmarks.subjects.managers:metadata",
    "ours-applies": "benchmarks.subjects.applies:ours",
    "ours-resync": "benchmarks.subjects.resync:resynced",
    "ours-stall": "benchmarks.subjects.stall:stalled",
    "ours-import": "benchmarks.subjects.empty:imported",
    "ours-empty": "benchmarks.subjects.empty:idle",
    "plain-list": "benchmarks.subjects.plain:listed",
    "work-queue": "benchmarks.subjects.queues:ours",
    "work-queue-metrics": "benchmarks.subjects.queues:with_metrics",
    "asyncio-queue": "benchmarks.subjects.queues:asyncios",
    "cache-get": "benchmarks.subjects.reads:cache_get",
    "cache-meta": "benchmarks.subjects.reads:cache_meta",
    "deepcopy": "benchmarks.subjects.reads:deep_copy",
    "kubernetes-asyncio-list": "benchmarks.peers.kubernetes_asyncio_peer:identity",
    "kubernetes-asyncio-list-gzip": "benchmarks.peers.kubernetes_asyncio_peer:compressed",
    "kubernetes-asyncio-watch": "benchmarks.peers.kubernetes_asyncio_peer:watched",
    "kubernetes-asyncio-patches": "benchmarks.peers.kubernetes_asyncio_peer:patched",
    "kopf": "benchmarks.peers.kopf_peer:operator",
    "lightkube": "benchmarks.peers.lightkube_peer:listed_and_watched",
    "cloudcoil": "benchmarks.peers.cloudcoil_peer:listed_and_watched",
}
"""By the name of a subject: its module and its function there."""


def main() -> None:
    """Run the subject that the command line names."""
    arguments = _parser().parse_args()
    module, _, function = SUBJECTS[arguments.name].partition(":")
    subject: Subject = getattr(importlib.import_module(module), function)
    access = Access(arguments.server, arguments.credentials) if arguments.server else None
    task = Task(
        amount=arguments.amount,
        access=access,
        events=arguments.events,
        last=arguments.last,
        stamped=bool(arguments.stamped),
        seconds=arguments.seconds,
    )
    meter = Meter()
    with asyncio.Runner(loop_factory=_uvloop() if arguments.loop == "uvloop" else None) as runner:
        outcome = runner.run(run(subject, task, meter))
    if meter.cost is None:
        raise RuntimeError(f"{arguments.name} measured nothing")
    print(json.dumps(asdict(outcome) | asdict(meter.cost)))


async def run(subject: Subject, task: Task, meter: Meter) -> Outcome:
    """Give the runner the coroutine that it wants."""
    return await subject(task, meter)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subject")
    parser.add_argument("name", choices=sorted(SUBJECTS))
    parser.add_argument("--amount", type=int, required=True, help="operations, or objects")
    parser.add_argument("--server", help="URL of the API server")
    parser.add_argument("--credentials", type=Path, help="folder as `benchmarks.access` has it")
    parser.add_argument("--events", type=int, default=0, help="how many to wait for and measure")
    parser.add_argument("--last", default="", help="name of the object that changes last")
    parser.add_argument("--stamped", type=int, default=0, help="1: measure delays of events")
    parser.add_argument("--seconds", type=float, default=0, help="how long to do nothing")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    return parser


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
