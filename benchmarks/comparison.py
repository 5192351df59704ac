"""Runs variants in turn, each time in a fresh process: A B A B, so that they share the weather."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol, final

from benchmarks.access import Access
from benchmarks.errors import Refused
from benchmarks.programs import Absent, Programs
from benchmarks.subjects.outcome import Task

_ROOT = Path(__file__).parent.parent
_LONGEST_SECONDS = 180
READY = "ready"
"""What a subject prints when it waits for events."""


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
    extras: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def cpu_microseconds(self) -> float:
        """Return the CPU time of one operation."""
        return self.cpu_seconds * 1e6 / self.amount

    @property
    def per_second(self) -> float:
        """Return the operations of one second."""
        return self.amount / self.wall_seconds

    @property
    def per_cpu_second(self) -> float:
        """Return the operations of one second of CPU time."""
        return self.amount / self.cpu_seconds

    @property
    def rss_per_object(self) -> float:
        """Return the bytes kept for one object."""
        return self.rss_bytes / self.amount

    @property
    def peak_megabytes(self) -> float:
        """Return the most memory held, in units of a million bytes."""
        return self.peak_bytes / 1e6

    @property
    def core_percent(self) -> float:
        """Return how much of one core was used, in percent."""
        return self.cpu_seconds * 100 / self.wall_seconds


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """One side of a comparison: its program, what people call it, and how much it is given.

    `program` is a name in `programs.PROGRAMS`. `share` is the part of the task's events that it
    gets, for a side so slow that all of them would take minutes.
    """

    program: str
    title: str
    share: float = 1

    def given(self, task: Task) -> Task:
        """Return what this variant gets to do of a task."""
        return replace(task, events=int(task.events * self.share)) if self.share != 1 else task


@final
@dataclass(frozen=True, slots=True)
class Measure:
    """A column: what is taken of a reading, how it is written, and whether it is compared."""

    name: str
    title: str
    of: Callable[[Reading], float]
    decimals: int = 0
    compared: bool = True


def extra(name: str, title: str, *, decimals: int = 0, compared: bool = True) -> Measure:
    """Return the measure of a figure that only some subjects know."""
    return Measure(name, title, lambda reading: reading.extras[name], decimals, compared)


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The readings of one interleaved run, by variant and round.

    Ratios are to the variant `baseline`. A variant in `absent` has no readings, and a reason.
    `remarks` say what was found beside the figures, `facts` the same in numbers; `complete` tells
    whether every variant that ran did all that it should.
    """

    name: str
    title: str
    baseline: Variant
    measures: Sequence[Measure]
    readings: Sequence[tuple[Variant, Sequence[Reading]]]
    absent: Mapping[str, str] = field(default_factory=dict[str, str])
    remarks: Sequence[str] = ()
    complete: bool = True
    facts: Mapping[str, float] = field(default_factory=dict[str, float])

    def of_baseline(self) -> Sequence[Reading]:
        """Return the readings of the baseline."""
        return next(readings for variant, readings in self.readings if variant == self.baseline)


class Scene(Protocol):
    """Where a reading is taken: what is there before the subject starts, and what happens to it."""

    @property
    def access(self) -> Access | None:
        """Return how the subject reaches the server, if there is one."""
        ...

    def act(self, task: Task) -> None:
        """Do what the subject waits for, now that it is ready."""
        ...

    def close(self, reading: Reading) -> Reading:
        """End; return the reading with what was seen from outside."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Still:
    """A scene in which nothing happens: a server that is there, or none."""

    access: Access | None = None

    def act(self, task: Task) -> None:
        """Refuse: a subject that waits for events would wait for ever."""
        raise Refused("a subject waits for events where there are none")

    def close(self, reading: Reading) -> Reading:
        """Return the reading as it is."""
        return reading


@final
@dataclass(slots=True)
class Series:
    """The readings of all variants, and why some have none; `failed` when one should have some."""

    readings: list[tuple[Variant, list[Reading]]]
    absent: dict[str, str]
    failed: bool = False

    def give_up(self, variant: Variant, reason: str) -> None:
        """Leave a variant out from now on, its readings so far included."""
        self.readings = [each for each in self.readings if each[0] != variant]
        self.absent[variant.title] = reason
        say(f"{variant.title}: not measured: {reason}")


def interleaved(
    variants: Sequence[Variant],
    rounds: int,
    task: Task,
    *,
    programs: Programs,
    scene: Callable[[], Scene] | None = None,
) -> Series:
    """Measure every variant once a round, for `rounds` rounds.

    `scene` is set anew for every reading. A variant whose program is not to be had is left out,
    and so is one that fails, unless it is the first: then `Refused` is raised.
    """
    series = Series([], {})
    commands: dict[Variant, Sequence[str]] = {}
    for variant in variants:
        try:
            commands[variant] = programs.command(variant.program)
            series.readings.append((variant, []))
        except Absent as absent:
            series.give_up(variant, str(absent))
    for number in range(1, rounds + 1):
        for variant, so_far in list(series.readings):
            setting = scene() if scene else Still(task.access)
            measured = _tried(variant, commands[variant], variant.given(task), setting)
            if isinstance(measured, Reading):
                so_far.append(measured)
                continue
            if variant == variants[0]:
                raise measured
            series.failed = True
            series.give_up(variant, str(measured))
        say(f"round {number} of {rounds} is done")
    return series


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"benchmarks: {message}", file=sys.stderr, flush=True)


def _tried(variant: Variant, command: Sequence[str], task: Task, scene: Scene) -> Reading | Refused:
    try:
        return _measured(variant, command, task, scene)
    except Refused as refusal:
        return refusal


def _measured(variant: Variant, command: Sequence[str], task: Task, scene: Scene) -> Reading:
    task = replace(task, access=scene.access)
    # One of the libraries heeds proxies, the others do not.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [*command, *task.arguments()],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with _within_limits(process, variant) as output:
        last = ""
        for line in output:
            if line.strip() == READY:
                scene.act(task)
            elif line.strip():
                last = line
        process.wait()
    if process.returncode != 0:
        raise Refused(f"{variant.title} ended with status {process.returncode}")
    return scene.close(Reading(**json.loads(last)))


@contextmanager
def _within_limits(process: subprocess.Popen[str], variant: Variant) -> Generator[IO[str]]:
    """Yield what the process prints; end it when it takes too long, or when the block fails."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(_LONGEST_SECONDS, end)
    timer.start()
    try:
        if process.stdout is None:
            raise ValueError("the process has no pipe")
        with process.stdout as output:
            yield output
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if late.is_set():
        raise Refused(f"{variant.title} was not done in {_LONGEST_SECONDS} s")
