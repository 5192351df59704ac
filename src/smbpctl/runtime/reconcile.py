"""The contract between a controller and its user: which object, what to do, when to come back."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, final

import msgspec
from typing_extensions import TypeVar

from smbpctl.runtime.meta import ObjectKey

K = TypeVar("K", bound=Hashable, default=ObjectKey)


@final
class Request(msgspec.Struct, Generic[K], frozen=True, cache_hash=True):
    """Which object to reconcile. It says nothing of what happened, by design.

    A reconciler acts on the state it reads, so that a missed, repeated or merged event changes
    nothing (level-triggered). `key` is namespace and name unless the embedder chose otherwise.
    """

    key: K

    def __str__(self) -> str:
        return str(self.key)


@final
@dataclass(frozen=True, slots=True)
class Result:
    """When to come back, beside the events that wake the key anyway.

    `requeue_after` is a delay from the end of the run; None means: when something happens.
    `priority` is that of the return: None keeps the one with which the key was run.
    """

    requeue_after: timedelta | None = None
    priority: int | None = None

    def __post_init__(self) -> None:
        if self.requeue_after is not None and self.requeue_after <= timedelta(0):
            raise ValueError(f"requeue_after must be positive, not {self.requeue_after}")

    def sooner(self, other: "Result") -> "Result":
        """Merge two results: the earlier return wins, and any return beats none.

        Of the priorities that the two ask for, the highest wins.
        """
        delays = [r.requeue_after for r in (self, other) if r.requeue_after is not None]
        priorities = [r.priority for r in (self, other) if r.priority is not None]
        return Result(min(delays, default=None), max(priorities, default=None))


DONE = Result()
"""Nothing is left to do until something happens."""


class Reconciler(Protocol[K]):
    """User code: make the world look like the object asks.

    Called with one key at a time; never twice at once for the same key. Outcomes:

    * a `Result` forgets the key's failures and comes back as it says;
    * `TerminalError` is not retried until an event arrives;
    * any other exception is retried with growing delay;
    * cancellation passes through.
    """

    async def reconcile(self, request: Request[K]) -> Result:
        """Bring the object named by `request` one step closer to what it asks for."""
        ...


ReconcileFunction = Callable[[Request[K]], Awaitable[Result]]
"""A reconciler written as a plain async function; see `builder`."""
