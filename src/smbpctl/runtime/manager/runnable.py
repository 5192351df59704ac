"""What a manager runs, and in which order it starts."""

from datetime import timedelta
from enum import IntEnum
from typing import Protocol, runtime_checkable


class Phase(IntEnum):
    """When a runnable starts: each phase after the one before, once that is ready.

    Probes and webhooks come before the caches, because the first list may need a conversion
    webhook of this very process. Stopping begins with what feeds the controllers, and ends the
    other way round: see `STOP_ORDER`.
    """

    SERVING = 0
    """Probes, metrics, debug endpoints; they stay up to the very end."""
    WEBHOOKS = 1
    """Admission and conversion, on every replica."""
    CACHES = 2
    """Informers; the next phase starts when they are synced."""
    OTHERS = 3
    """Whatever else runs on every replica, leader or not."""
    CONTROLLERS = 4
    """Controllers, and all else that only the leader may do; warmed up before the election."""


STOP_ORDER = (Phase.OTHERS, Phase.CONTROLLERS, Phase.CACHES, Phase.WEBHOOKS, Phase.SERVING)
"""Controllers stop while their caches still run, and before the lease is given away."""


class Runnable(Protocol):
    """Something that runs as long as the manager does.

    It may end by itself, which stops nothing; an exception stops the manager.
    """

    async def run(self) -> None:
        """Run until done or cancelled; must clean up and end promptly when cancelled."""


@runtime_checkable
class ReadyRunnable(Runnable, Protocol):
    """A runnable that is not ready when it is started; later phases wait for it."""

    async def wait_ready(self) -> None:
        """Return when ready; an exception stops the manager."""


@runtime_checkable
class GracefulRunnable(Runnable, Protocol):
    """A runnable that brings to an end what it is in the middle of, before it is cancelled."""

    async def stop(self, grace: timedelta) -> None:
        """Begin nothing new and return when all is ended; raise TimeoutError after `grace`."""


@runtime_checkable
class WarmRunnable(Runnable, Protocol):
    """A runnable of the leader that can prepare on a standby: fill its queue, for example."""

    async def warm_up(self) -> None:
        """Prepare and return when warm; called once, before `run`; an exception stops the manager.

        Nothing may be written here: another process may lead.
        """


@runtime_checkable
class RepeatableRunnable(Runnable, Protocol):
    """A runnable that may run again after it was cancelled and has ended.

    Without it, a process that loses its leadership ends, for nobody can say what is left half
    done inside the runnable.
    """

    @property
    def repeatable(self) -> bool:
        """Tell whether `run` may be called again; asked when it has ended."""
        ...
