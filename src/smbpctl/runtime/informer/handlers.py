"""Who is told of an informer's events, and how a late joiner catches up."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from typing import Final, Protocol, TypeAlias, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.event import Created, Deleted, Event
from smbpctl.runtime.meta import StoredObject

_SLICE: Final = 256
"""Of how many objects one that joins late is told before others get a turn."""

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

    Handlers are called as the store changes, so a handler is never behind its informer; but one
    that joins when many objects are known already is told of them by and by.
    """

    __slots__ = ("_parts",)

    def __init__(self, *parts: Synced) -> None:
        """Be synced when all parts are: the informer, and what tells the handler of the past."""
        self._parts = parts

    @property
    def synced(self) -> bool:
        """Tell whether the handler was told of every object of the first list."""
        return all(part.synced for part in self._parts)

    async def wait_synced(self) -> None:
        """Return when synced."""
        for part in self._parts:
            await part.wait_synced()


@final
class Latecomer:
    """A handler that joined when there were objects already, and is told of them in slices.

    What happens meanwhile is told at once, as part of a history that begins with `Created`: an
    object whose turn has not come is told as created when it changes, and never when it goes.
    """

    __slots__ = ("_all_told", "_handler", "_left", "_past")

    def __init__(self, handler: Handler, past: Iterator[StoredObject]) -> None:
        self._handler = handler
        self._past = past
        # Made only when something happens meanwhile: what is left, by namespace and name.
        self._left: dict[tuple[str, str], StoredObject] | None = None
        self._all_told = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Tell whether all of the past was told."""
        return self._all_told.is_set()

    async def wait_synced(self) -> None:
        """Return when synced."""
        await self._all_told.wait()

    def tell_more(self, most: int) -> bool:
        """Tell of so many objects more; return whether that was the last of them."""
        for _ in range(most):
            # Asked for each time: an event may have put another in its place.
            stored = next(self._past, None)
            if stored is None:
                self._all_told.set()
                return True
            _call(self._handler, Created(stored, initial=True))
        return False

    def __call__(self, event: Event) -> None:
        """Tell of what happens meanwhile."""
        meta = event.object.meta
        if self._left is None:
            self._left = {(each.meta.namespace, each.meta.name): each for each in self._past}
            self._past = _emptied(self._left)
        if self._left.pop((meta.namespace, meta.name), None) is None:
            self._handler(event)
        elif not isinstance(event, Deleted):
            self._handler(Created(event.object, initial=True))


@final
class Handlers:
    """The handlers of one informer, called one after the other in order of registration.

    A handler that raises is logged and does not keep the event from the others.
    """

    __slots__ = ("_clock", "_handlers", "_slice")

    def __init__(self, clock: Clock, *, at_once: int = _SLICE) -> None:
        """Tell nobody yet; `at_once` is of how many objects of the past one is told at a time."""
        self._clock = clock
        self._slice = at_once
        self._handlers: tuple[Handler, ...] = ()

    def add(self, handler: Handler, *, past: Collection[StoredObject]) -> Synced:
        """Tell `handler` of the `past` as created, and of everything `tell` is called with.

        Of a long past it is told in slices, others run in between. The answer tells when that is
        done.
        """
        latecomer = Latecomer(handler, iter(past))
        if latecomer.tell_more(self._slice):
            # Only now: a handler added by a handler does not get the event that is being told,
            # which the past already contains.
            self._handlers = (*self._handlers, handler)
        else:
            self._handlers = (*self._handlers, latecomer)
            self._go_on_later(latecomer, handler)
        return latecomer

    def tell(self, events: Iterable[Event]) -> None:
        """Call every handler with every event."""
        handlers = self._handlers
        for event in events:
            for handler in handlers:
                _call(handler, event)

    def _go_on_later(self, latecomer: Latecomer, handler: Handler) -> None:
        def go_on() -> None:
            if not latecomer.tell_more(self._slice):
                self._go_on_later(latecomer, handler)
                return
            self._handlers = tuple(
                handler if each is latecomer else each for each in self._handlers
            )

        self._clock.call_later(timedelta(0), go_on)


def _emptied(left: dict[tuple[str, str], StoredObject]) -> Iterator[StoredObject]:
    while left:
        yield left.popitem()[1]


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
