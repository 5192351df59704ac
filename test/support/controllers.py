"""A controller to run under virtual time, with a reconciler that follows a script."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.controller import (
    Controller,
    ControllerOptions,
    Gate,
    RunListener,
    RunReport,
)
from smbpctl.runtime.errors import (
    AlreadyExists,
    ApiStatusError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RequestTooLarge,
    ServerError,
    ServerTimeout,
    TooManyRequests,
    UnsupportedMediaType,
)
from smbpctl.runtime.event import Told
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.reconcile import Request, Result
from smbpctl.runtime.source import RequestQueue, Source
from smbpctl.runtime.workqueue import WorkQueue
from test.support.virtual_time import run_virtual

A = Request(ObjectKey("ns", "a"))
B = Request(ObjectKey("ns", "b"))
CLOCK = LoopClock()
# Without chance the delays of failures are exactly 1, 2, 4 … seconds.
POLICY = ExponentialBackoff(base=timedelta(seconds=1), jitter=0.0)

Step = Result | Exception | Callable[[Request], Awaitable[Result]]


def seconds(number: float) -> timedelta:
    """Return a time span."""
    return timedelta(seconds=number)


class Script:
    """A reconciler that does one step per run, the last one for ever; notes when it began."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.runs: list[tuple[str, float]] = []

    async def reconcile(self, request: Request) -> Result:
        """Do the step of this run."""
        step = self.steps[min(len(self.runs), len(self.steps) - 1)]
        self.runs.append((request.key.name, CLOCK.monotonic()))
        if isinstance(step, Result):
            return step
        if isinstance(step, Exception):
            raise step
        return await step(request)

    @property
    def moments(self) -> list[float]:
        """Return when the runs began, counted from the first one."""
        return [round(at - self.runs[0][1], 3) for _, at in self.runs]


@dataclass
class RecordedMetrics:
    """Notes what the controller counts."""

    workers: int = 0
    active: int = 0
    stuck_now: int = 0
    hot_loops: int = 0
    outcomes: list[str] = field(default_factory=list[str])
    classes: list[str] = field(default_factory=list[str])
    durations: list[float] = field(default_factory=list[float])

    def max_concurrent(self, workers: int) -> None:
        """Note it."""
        self.workers = workers

    def started(self) -> None:
        """Note it."""
        self.active += 1

    def finished(self, outcome: str, seconds: float) -> None:
        """Note it."""
        self.active -= 1
        self.outcomes.append(outcome)
        self.durations.append(seconds)

    def cancelled(self) -> None:
        """Note it."""
        self.active -= 1
        self.outcomes.append("cancelled")

    def failed(self, error_class: str) -> None:
        """Note it."""
        self.classes.append(error_class)

    def stuck(self, runs: int) -> None:
        """Note it."""
        self.stuck_now = runs

    def hot_loop(self) -> None:
        """Note it."""
        self.hot_loops += 1


@dataclass
class Record:
    """What a run is said to have read and written, and what it then waits for."""

    input_digest: str = "input"
    write_digest: str = ""
    waits: bool = False


class FakeGate:
    """Gives each run the next record, the last one for ever, and lets go when the test says so."""

    def __init__(self, *records: Record) -> None:
        self.records = records
        self.entered = 0
        self.left = 0
        self.waiting: list[Callable[[], None]] = []

    def recorded(self) -> "FakeGate":
        """Return the context manager."""
        return self

    def __enter__(self) -> Record:
        record = self.records[min(self.entered, len(self.records) - 1)]
        self.entered += 1
        return record

    def __exit__(self, *_: object) -> None:
        self.left += 1

    def wait(self, run: Record, /) -> "FakeGate | None":
        """Have the key wait if the record says so; only once the run was left."""
        assert self.left == self.entered
        return self if run.waits else None

    def when_over(self, call: Callable[[], None], /) -> None:
        """Remember whom to call."""
        self.waiting.append(call)

    def let_go(self) -> None:
        """Call all who wait, the last one first."""
        while self.waiting:
            self.waiting.pop()()


@dataclass
class Listening:
    """Notes what it is told; raises after that if it is to."""

    error: Exception | None = None
    told: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])

    def started(self, request: Request, causes: Sequence[Told], run_id: str, /) -> None:
        """Note it."""
        self._note("started", str(request), [str(cause) for _, cause in causes], run_id[8:])

    def finished(self, request: Request, report: RunReport, /) -> None:
        """Note it."""
        self._note("finished", str(request), report)

    def cancelled(self, request: Request, /) -> None:
        """Note it."""
        self._note("cancelled", str(request))

    def stuck(self, request: Request, seconds: float, awaiting: Sequence[str], /) -> None:
        """Note it."""
        self._note("stuck", str(request), seconds, awaiting)

    def hot_loop(self, request: Request, count: int, delay: timedelta, /) -> None:
        """Note it."""
        self._note("hot_loop", str(request), count, delay.total_seconds())

    def _note(self, *facts: object) -> None:
        self.told.append(facts)
        if self.error is not None:
            raise self.error


class ListSource:
    """A source that tells its requests at once and is synced when the test says so."""

    def __init__(self, *requests: Request, error: Exception | None = None) -> None:
        self.requests = requests
        self.error = error
        self.ready = asyncio.Event()
        self.waited = timedelta(0)

    def start(self, queue: RequestQueue[ObjectKey]) -> None:
        """Tell all requests."""
        for request in self.requests:
            queue.add(request)

    @property
    def synced(self) -> bool:
        """Tell what the test said."""
        return self.ready.is_set()

    async def wait_synced(self, within: timedelta) -> None:
        """Wait for the test."""
        self.waited = within
        if self.error is not None:
            raise self.error
        await self.ready.wait()


def new_queue() -> WorkQueue[Request]:
    """Return a real queue on the loop's time."""
    backoff = ItemBackoff[Request](POLICY, seeded_random(1))
    return WorkQueue("test", clock=CLOCK, backoff=backoff)


def new_controller(
    reconciler: Any,
    *,
    queue: WorkQueue[Request] | None = None,
    metrics: RecordedMetrics | None = None,
    sources: tuple[Source[ObjectKey], ...] = (),
    gate: Gate[Any] | None = None,
    listener: RunListener[ObjectKey] | None = None,
    **options: Any,
) -> Controller[ObjectKey]:
    """Return a controller with real queue and recorded metrics; `options` are its own."""
    return Controller(
        "test",
        reconciler,
        sources=sources,
        queue=new_queue() if queue is None else queue,  # an empty queue is falsy
        clock=CLOCK,
        random=seeded_random(2),
        metrics=metrics or RecordedMetrics(),
        options=ControllerOptions(**options),
        gate=gate,
        listener=listener,
    )


_CODES: dict[type[ApiStatusError], int] = {
    Conflict: 409,
    AlreadyExists: 409,
    Forbidden: 403,
    Invalid: 422,
    RequestTooLarge: 413,
    UnsupportedMediaType: 415,
    NotFound: 404,
    TooManyRequests: 429,
    ServerError: 500,
    ServerTimeout: 504,
}


def status(
    error_type: type[ApiStatusError], retry_after: float | None = None, *, code: int = 0
) -> ApiStatusError:
    """Return an answer of the API server as an exception."""
    delay = None if retry_after is None else seconds(retry_after)
    return error_type("refused", code=code or _CODES[error_type], retry_after=delay)


@dataclass
class Ran:
    """What is left to look at after a controller ran."""

    script: Script
    metrics: RecordedMetrics
    still_marked: int
    logs: list[Any]

    def failures(self, name: str) -> list[Any]:
        """Return one fact of each line that tells of a failed run."""
        return [log[name] for log in self.logs if log["event"] == "reconcile failed"]


def run_for(duration: float, *steps: Step, **options: Any) -> Ran:
    """Run a controller over the key A for so many virtual seconds, then cancel it."""

    async def main() -> Ran:
        script, metrics, queue = Script(*steps), RecordedMetrics(), new_queue()
        controller = new_controller(script, queue=queue, metrics=metrics, **options)
        queue.add(A)
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run())
                await CLOCK.sleep(seconds(duration))
                task.cancel()
        return Ran(script, metrics, len(queue.running_seconds()), list(logs))

    return run_virtual(main())
