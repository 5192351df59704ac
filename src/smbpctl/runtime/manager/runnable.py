"""What a manager runs, and in which order it starts."""

from datetime import timedelta
from enum import IntEnum
from typing import Protocol, runtime_checkable


class Phase(IntEnum):
    """When a runnable starts. Each phase starts after the one before, and stops before it."""

    SERVING = 0
    """Probes, metrics, webhooks: the first list may need a conversion webhook of this process."""
    CACHES = 1
    """Informers; the next phase starts when they are synced."""
    OTHERS = 2
    """Whatever else runs beside the controllers."""
    CONTROLLERS = 3
    """Controllers; stopping begins with them, and with what they are in the middle of."""


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
