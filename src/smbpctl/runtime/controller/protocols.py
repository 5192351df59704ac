"""What a controller needs of others: its queue, its metrics, the gate, and who listens to runs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar, final

from smbpctl.runtime.event import Cause, Told
from smbpctl.runtime.metrics import ErrorClass, Outcome
from smbpctl.runtime.reconcile import K, Request
from smbpctl.runtime.source import RequestQueue


class ReconcileQueue(RequestQueue[K], Protocol[K]):
    """The queue as the worker loop uses it: satisfied by `WorkQueue[Request[K]]`."""

    def add_after(
        self,
        key: Request[K],
        delay: timedelta,
        /,
        *,
        priority: int = 0,
        cause: Cause | None = None,
    ) -> None:
        """Have the request run after `delay`."""

    def add_rate_limited(
        self, key: Request[K], /, *, priority: int = 0, cause: Cause | None = None
    ) -> timedelta:
        """Count a failure, have the request run after the delay that follows, and return it."""
        ...

    def forget(self, key: Request[K], /) -> None:
        """Drop the failures counted so far."""

    def priority(self, key: Request[K], /) -> int:
        """Return the priority with which the request runs."""
        ...

    def causes(self, key: Request[K], /) -> Sequence[Told]:
        """Return why the request runs."""
        ...

    def hold(self, key: Request[K], /) -> None:
        """Hand the request out no more until it is let go; what is owed is kept. Counted."""

    def unhold(self, key: Request[K], /) -> None:
        """Take back one `hold`; harmless without one, and after shutting down."""

    async def get(self) -> Request[K]:
        """Wait for a request and start its run; raise QueueShutDown when there will be none."""
        ...

    def done(self, key: Request[K], /) -> None:
        """End the run of the request."""

    def shut_down(self) -> None:
        """Hand out no more requests."""


class ReconcileMetrics(Protocol):
    """What the worker loop counts: satisfied by `metrics.ControllerMetrics`."""

    def max_concurrent(self, workers: int, /) -> None:
        """Tell how many keys may run at once."""

    def started(self) -> None:
        """Count a run that begins."""

    def finished(self, outcome: Outcome, seconds: float, /) -> None:
        """Count a run that ended, and how."""

    def failed(self, error_class: str, /) -> None:
        """Count an error by its class."""

    def cancelled(self) -> None:
        """Take back `started` for a run that was cancelled."""

    def stuck(self, runs: int, /) -> None:
        """Tell how many runs last far longer than they should."""

    def hot_loop(self) -> None:
        """Count a key that was found to undo or repeat its own work."""


class RunRecord(Protocol):
    """What one run read and wrote, gathered while it ran. Complete when the run has ended."""

    @property
    def input_digest(self) -> str:
        """Return a word for what was read: which objects, and which generation of each."""
        ...

    @property
    def write_digest(self) -> str:
        """Return a word for what was written; empty when nothing was."""
        ...


class Wait(Protocol):
    """What stands between a run of a key and the next."""

    def when_over(self, call: Callable[[], None], /) -> None:
        """Call `call` exactly once, when the next run may begin; at once if it may by now.

        Called on the loop of the controller, soon enough that a key never waits for ever: what
        the caches do not tell in time is read live or given up by whoever made the `Wait`.
        """


R = TypeVar("R", bound=RunRecord)


class Gate(Protocol[R]):
    """Read-your-writes as a controller sees it; satisfied by `consistency.Gate`.

    For each run the controller

    1. enters `recorded()` around the call of the reconciler, in the task that makes it, so that
       what the run and its child tasks read and write is attributed to it;
    2. leaves it, whatever happened: success, an error, a timeout, cancellation;
    3. asks `wait` once with the record. With an answer other than None the queue holds the key
       from before its run counts as done until `when_over` calls back, whatever wakes it
       meanwhile. No worker waits.

    After the controller has stopped a call back is harmless, and one that never comes is too.
    """

    def recorded(self) -> AbstractContextManager[R]:
        """Record the block; the record may be asked when it has been left."""
        ...

    def wait(self, run: R, /) -> Wait | None:
        """Return what the next run of the key has to wait for; None when that is nothing."""
        ...


@final
@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended. `retry_in` is None when only an event brings the key back."""

    outcome: Outcome
    seconds: float
    retry_in: timedelta | None
    error: Exception | None = None
    error_class: ErrorClass | None = None


class RunListener(Protocol[K]):
    """Is told of every run of a controller: the seam for timelines, conditions and Events.

    Called on the loop of the controller; must be quick and must not wait. What it raises is
    logged and changes nothing.
    """

    def started(self, request: Request[K], causes: Sequence[Told], run_id: str, /) -> None:
        """Take note of a run that begins, and why; exactly one of the next two follows."""

    def finished(self, request: Request[K], report: RunReport, /) -> None:
        """Take note of how it ended."""

    def cancelled(self, request: Request[K], /) -> None:
        """Take note that it was cancelled; the key runs again if the controller does."""

    def stuck(self, request: Request[K], seconds: float, awaiting: Sequence[str], /) -> None:
        """Take note that the run has lasted far too long, and of what it awaits."""

    def hot_loop(self, request: Request[K], count: int, delay: timedelta, /) -> None:
        """Take note that `count` runs in a row read and wrote the same.

        Told before `finished`, for each such run: the key is kept back for `delay`.
        """
