"""Scenes with events: changes from the replay server, and updates written to a real one."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, final

from benchmarks.access import Access
from benchmarks.cluster import opened
from benchmarks.comparison import Reading
from benchmarks.managed import CONTROLLER
from benchmarks.parcel import name, status
from benchmarks.subjects.outcome import Task
from smbpctl.runtime.cluster import Cluster

_ROOT: Final = Path(__file__).parent.parent
_IN_FLIGHT: Final = 8


@final
class Replay:
    """A replay server of its own for one reading; sends a task's events at `rate`, 0 is flat out.

    The reading gets how many requests the server was asked, in all and after the subject was
    ready. With `relist` the client must list everything anew after the events; one more event
    says that it did.
    """

    def __init__(self, objects: int, rate: float = 0, *, relist: bool = False) -> None:
        """Start the server and wait until it listens."""
        self._rate = rate
        self._relist = relist
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay", str(objects)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.access = Access(_open(self._process.stdout).readline().strip())
        self._before: dict[str, int] = {}

    def act(self, task: Task) -> None:
        """Have the events sent."""
        self._before = self._requests()
        if task.events:
            self._say(f"play {task.events} {self._rate}")
        if self._relist:
            self._say("expire")
            self._say("play 1 0")

    def close(self, reading: Reading) -> Reading:
        """End the server."""
        counts = self._requests()
        found = {
            "requests": float(sum(counts.values())),
            "requests_when_ready": float(sum(counts.values()) - sum(self._before.values())),
        }
        _open(self._process.stdin).close()
        self._process.wait()
        return replace(reading, extras={**reading.extras, **found})

    def _requests(self) -> dict[str, int]:
        self._say("requests")
        counts: dict[str, int] = json.loads(_open(self._process.stdout).readline())
        return counts

    def _say(self, line: str) -> None:
        stream = _open(self._process.stdin)
        stream.write(f"{line}\n")
        stream.flush()


@final
@dataclass(frozen=True, slots=True)
class Updates:
    """A real server to which a task's events are written, at `rate` a second.

    Each is a status applied by the second field manager, to one object after the other, and to
    the last one when all others were answered.
    """

    access: Access
    rate: float

    def act(self, task: Task) -> None:
        """Write the updates; return when all are answered."""
        asyncio.run(self._write(task))

    def close(self, reading: Reading) -> Reading:
        """Return the reading as it is: the server serves others after this one."""
        return reading

    async def _write(self, task: Task) -> None:
        # What differs from every write before it changes the object.
        word = str(time.monotonic_ns())
        numbers = [index % (task.amount - 1) for index in range(task.events - 1)]
        async with opened(self.access) as cluster:
            limit = asyncio.Semaphore(_IN_FLIGHT)
            begun = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for index, number in enumerate(numbers):
                    await asyncio.sleep(begun + index / self.rate - time.monotonic())
                    tasks.create_task(_update(cluster, number, f"{word} {index}", limit))
            await _update(cluster, task.amount - 1, word, limit)


async def _update(cluster: Cluster, number: int, word: str, limit: asyncio.Semaphore) -> None:
    changed = status(number)
    changed["status"]["conditions"][0]["message"] = word
    async with limit:
        await cluster.client.apply(
            changed, field_owner=CONTROLLER, subresource="status", force=True
        )


def last(objects: int) -> str:
    """Return the name of the object that changes last, of so many."""
    return name(objects - 1)


def _open(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the process has no pipe")
    return stream
