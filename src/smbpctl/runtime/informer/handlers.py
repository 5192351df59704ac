"""Who is told of an informer's events, and how a late joiner catches up."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias, final

import structlog

from smbpctl.runtime.event import Event

Handler: TypeAlias = Callable[[Event], None]
"""Is called within the informer: must be quick, must not wait, usually adds keys to a queue."""

_log = structlog.get_logger()


class Synced(Protocol):
    """Something whose first list is complete at some point."""

    @property
    def synced(self) -> bool:
        """Tell whether the first list is complete and was told to every handler."""
        ...

    async def wait_synced(self) -> None:
        """Return when synced."""
        ...


@final
class HandlerRegistration:
    """What `add_handler` gives back: tells when the handler has been told of the first list.

    Handlers are called as the store changes, so a handler is never behind its informer.
    """

    __slots__ = ("_informer",)

    def __init__(self, informer: Synced) -> None:
        self._informer = informer

    @property
    def synced(self) -> bool:
        """Tell whether the handler was told of every object of the first list."""
        return self._informer.synced

    async def wait_synced(self) -> None:
        """Return when synced."""
        await self._informer.wait_synced()


@final
class Handlers:
    """The handlers of one informer, called one after the other in order of registration.

    A handler that raises is logged and does not keep the event from the others.
    """

    __slots__ = ("_handlers",)

    def __init__(self) -> None:
        self._handlers: tuple[Handler, ...] = ()

    def add(self, handler: Handler, *, past: Iterable[Event]) -> None:
        """Tell `handler` of the `past`, then of everything `tell` is called with."""
        # Replaced, not appended to: a handler added by a handler does not get the event that is
        # being told, which the past already contains.
        self._handlers = (*self._handlers, handler)
        for event in past:
            _call(handler, event)

    def tell(self, events: Iterable[Event]) -> None:
        """Call every handler with every event."""
        handlers = self._handlers
        for event in events:
            for handler in handlers:
                _call(handler, event)


def _call(handler: Handler, event: Event) -> None:
    try:
        handler(event)
    except Exception:
        _log.exception(
            "event handler failed",
            event_type=type(event).__name__,
            kind=str(event.object.gvk),
            key=str(event.object.key),
        )
