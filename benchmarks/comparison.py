"""Runs variants in turn, each time in a fresh process: A B A B, so that they share the weather."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from benchmarks.errors import Refused
from benchmarks.subjects.outcome import Task

_ROOT = Path(__file__).parent.parent
_LONGEST_SECONDS = 900


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """What one process did and what that cost it; see `Outcome` and `Cost`."""

    amount: int
    digest: str
    cpu_seconds: float
    wall_seconds: float
    rss_bytes: int
    peak_bytes: int

    @property
    def cpu_microseconds(self) -> float:
        """Return the CPU time of one operation."""
        return self.cpu_seconds * 1e6 / self.amount

    @property
    def per_second(self) -> float:
        """Return the operations of one second."""
        return self.amount / self.wall_seconds

    @property
    def rss_per_object(self) -> float:
        """Return the bytes kept for one object."""
        return self.rss_bytes / self.amount

    @property
    def peak_megabytes(self) -> float:
        """Return the most memory held, in units of a million bytes."""
        return self.peak_bytes / 1e6


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """One side of a comparison: the name of its subject, and what people call it."""

    subject: str
    title: str


@final
@dataclass(frozen=True, slots=True)
class Measure:
    """A column: what is taken of a reading, how it is written, and whether it is compared."""

    name: str
    title: str
    of: Callable[[Reading], float]
    decimals: int = 0
    compared: bool = True


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The readings of one interleaved run, by variant and round.

    Ratios are to the variant `baseline`. `remarks` say what was found beside the figures, `facts`
    the same in numbers; `complete` tells whether every variant did all that it should.
    """

    name: str
    title: str
    baseline: Variant
    measures: Sequence[Measure]
    readings: Sequence[tuple[Variant, Sequence[Reading]]]
    remarks: Sequence[str] = ()
    complete: bool = True
    facts: Mapping[str, float] = field(default_factory=dict[str, float])

    def of_baseline(self) -> Sequence[Reading]:
        """Return the readings of the baseline."""
        return next(readings for variant, readings in self.readings if variant == self.baseline)


def interleaved(
    variants: Sequence[Variant], rounds: int, task: Task
) -> list[tuple[Variant, list[Reading]]]:
    """Measure every variant once a round, for `rounds` rounds; raise `Refused` when one fails."""
    readings: list[tuple[Variant, list[Reading]]] = [(variant, []) for variant in variants]
    for number in range(1, rounds + 1):
        for variant, so_far in readings:
            so_far.append(_measured(variant, task))
            say(f"round {number} of {rounds}: {variant.title}: {so_far[-1].cpu_seconds:.2f} s CPU")
    return readings


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"benchmarks: {message}", file=sys.stderr, flush=True)


def _measured(variant: Variant, task: Task) -> Reading:
    command = [sys.executable, "-m", "benchmarks.subject", variant.subject]
    command += ["--amount", str(task.amount)]
    if task.access is not None:
        command += ["--server", task.access.server, "--credentials", str(task.access.folder)]
    # One of the libraries heeds proxies, the others do not.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    try:
        process = subprocess.run(
            command,
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{variant.title} was not done in {_LONGEST_SECONDS} s") from error
    if process.returncode != 0:
        raise Refused(f"{variant.title} ended with status {process.returncode}")
    return Reading(**json.loads(process.stdout.splitlines()[-1]))
