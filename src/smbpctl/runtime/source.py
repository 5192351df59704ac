"""Where a controller's events come from: informers of kinds, and channels fed from elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, Protocol, final

from smbpctl.runtime.errors import CacheNotSynced
from smbpctl.runtime.event import Cause, Created, Deleted, Event, Trigger, Updated
from smbpctl.runtime.handler import EventHandler
from smbpctl.runtime.predicate import EventFilter
from smbpctl.runtime.reconcile import K, Request
from smbpctl.runtime.workqueue import LOW_PRIORITY

# Looked up for every event: a member of an enum is found through its class, which takes longer.
_LISTED, _CREATED = Trigger.LISTED, Trigger.CREATED
_UPDATED, _RESYNC = Trigger.UPDATED, Trigger.RESYNC
_DELETED, _GENERIC = Trigger.DELETED, Trigger.GENERIC


class RequestQueue(Protocol[K]):
    """What a source does with the requests that an event leads to."""

    def add(self, key: Request[K], /, *, priority: int = 0, cause: Cause | None = None) -> None:
        """Have the request run; it runs once however often it is added before.

        Of several priorities the highest counts; each cause is kept, within bounds.
        """


class Source(Protocol[K]):
    """Something that wakes a controller. Belongs to one controller, which starts it once."""

    def start(self, queue: RequestQueue[K], /) -> None:
        """Feed `queue` from now on, without blocking; what there is already is told as well."""

    @property
    def synced(self) -> bool:
        """Tell whether everything that was there at the start has been told."""
        ...

    async def wait_synced(self, within: timedelta, /) -> None:
        """Return when synced; raise CacheNotSynced when that takes longer than `within`."""


class Registration(Protocol):
    """What an informer gives for a handler that was added."""

    @property
    def synced(self) -> bool:
        """Tell whether the handler was told of every object of the first list."""
        ...

    async def wait_synced(self) -> None:
        """Return when synced."""


class Watchable(Protocol):
    """What tells the events of one kind: satisfied by informers, optional ones included."""

    def add_handler(self, fn: Callable[[Event], None], /) -> Registration:
        """Call `fn` for every event; objects already known are told as created."""
        ...


@final
class KindSource(Generic[K]):
    """Events of one kind: those that pass every predicate wake whom the handler names.

    `kind` names it in errors. Predicates are asked in order, and the first refusal ends it. What
    was there at the start and what is told again unchanged wakes with low priority, so that a
    restart or a resync of many objects does not delay what somebody has just changed.
    """

    def __init__(
        self, informer: Watchable, handler: EventHandler[K], *predicates: EventFilter, kind: str
    ) -> None:
        self.kind = kind
        self._informer = informer
        self._handler = handler
        self._predicates = predicates
        self._registration: Registration | None = None

    def start(self, queue: RequestQueue[K], /) -> None:
        """Listen to the informer; raise RuntimeError when started before."""
        if self._registration is not None:
            raise RuntimeError(f"the source of {self.kind} was started already")

        handler, predicates = self._handler, self._predicates

        def tell(event: Event) -> None:
            for accepts in predicates:
                if not accepts(event):
                    return
            cause, priority = None, 0
            for request in handler(event):
                if cause is None:
                    cause, priority = _cause_and_priority(event)
                queue.add(request, priority=priority, cause=cause)

        self._registration = self._informer.add_handler(tell)

    @property
    def synced(self) -> bool:
        """Tell whether every object of the first list has been told."""
        return self._registration is not None and self._registration.synced

    async def wait_synced(self, within: timedelta, /) -> None:
        """Return when synced; raise CacheNotSynced after `within`, RuntimeError if not started."""
        if self._registration is None:
            raise RuntimeError(f"the source of {self.kind} was not started")
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._registration.wait_synced()
        except TimeoutError as error:
            raise CacheNotSynced(f"{self.kind} was not synced within {within}") from error


@final
class DeferredSource(Generic[K]):
    """A source that must ask the server something before it can be made.

    `make` is called when the controller waits for the source; nothing is lost by that, for every
    source tells what there is already. An error of `make` is one of the source.
    """

    def __init__(self, make: Callable[[], Awaitable[Source[K]]]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._queue: RequestQueue[K] | None = None
        self._source: Source[K] | None = None

    def start(self, queue: RequestQueue[K], /) -> None:
        """Remember whom to feed."""
        self._queue = queue

    @property
    def synced(self) -> bool:
        """Tell whether the source was made and is synced."""
        return self._source is not None and self._source.synced

    async def wait_synced(self, within: timedelta, /) -> None:
        """Make and start the source, then wait for it; `within` counts from the start of it."""
        if self._queue is None:
            raise RuntimeError("the source was not started")
        async with self._making:  # several may wait
            if self._source is None:
                self._source = await self._make()
                self._source.start(self._queue)
        await self._source.wait_synced(within)


@final
class ChannelSource(Generic[K]):
    """Events from outside the API server: a timer, a probe, a message; always synced.

    What is offered before the controller starts is kept, once per key, and told at the start.
    All calls belong to the event loop of the controller; other threads go through
    `loop.call_soon_threadsafe`.
    """

    def __init__(self, handler: EventHandler[K], *predicates: EventFilter) -> None:
        self._handler = handler
        self._predicates = predicates
        self._early: dict[Request[K], Cause] = {}
        self._queue: RequestQueue[K] | None = None

    def start(self, queue: RequestQueue[K], /) -> None:
        """Feed `queue`, first with what was offered so far; raise RuntimeError when repeated."""
        if self._queue is not None:
            raise RuntimeError("the channel was started already")
        self._queue = queue
        for request, cause in self._early.items():
            queue.add(request, cause=cause)
        self._early.clear()

    def offer(self, event: Event) -> None:
        """Tell an event: it passes the predicates and the handler like any other."""
        if all(accepts(event) for accepts in self._predicates):
            cause, _ = _cause_and_priority(event)
            for request in self._handler(event):
                self.wake(request, cause)

    def wake(self, request: Request[K], cause: Cause | None = None) -> None:
        """Have the controller look at a key, where there is no object to tell of."""
        cause = cause or _WAKE
        if self._queue is None:
            self._early[request] = cause
        else:
            self._queue.add(request, cause=cause)

    @property
    def synced(self) -> bool:
        """Return True: there is no first list."""
        return True

    async def wait_synced(self, within: timedelta, /) -> None:
        """Return at once."""


_WAKE = Cause(_GENERIC)


def _cause_and_priority(event: Event) -> tuple[Cause, int]:
    """Return why an event wakes, and how urgently: low where nothing new happened."""
    meta, gvk = event.object.meta, event.object.gvk
    trigger, priority = _GENERIC, 0
    if isinstance(event, Updated):
        trigger = _UPDATED
        if event.old.meta.resource_version == meta.resource_version:
            trigger, priority = _RESYNC, LOW_PRIORITY
    elif isinstance(event, Created):
        trigger = _CREATED
        if event.initial:
            trigger, priority = _LISTED, LOW_PRIORITY
    elif isinstance(event, Deleted):
        trigger = _DELETED
    return Cause(trigger, gvk, meta.namespace, meta.name, meta.resource_version), priority
