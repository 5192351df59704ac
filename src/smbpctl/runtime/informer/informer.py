"""Keeps a store equal to what the server holds of one kind, and tells handlers of each change."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import timedelta
from typing import Unpack, final

import structlog

from smbpctl.runtime.backoff import ReconnectBackoff
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.errors import MetadataOnly, status_error
from smbpctl.runtime.event import Created, Updated
from smbpctl.runtime.informer.client import Chunks, Form, ListWatchClient, Pacing
from smbpctl.runtime.informer.handlers import Handler, HandlerRegistration, Handlers
from smbpctl.runtime.informer.lines import LineAssembler
from smbpctl.runtime.informer.listwatch import (
    InconsistentListError,
    InformerState,
    List,
    Listed,
    ListFailed,
    ListReason,
    ListWatch,
    Outcome,
    Pause,
    SilentStreamError,
    Watch,
    WatchEnded,
)
from smbpctl.runtime.informer.patience import Turn, ends_when_silent
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, StoredObject
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.store import (
    EventType,
    Listing,
    ObjectDecoder,
    Store,
    WatchEvent,
    older,
)

_WATCH_TIMEOUT = (timedelta(minutes=5), timedelta(minutes=10))
_STALL_AFTER = timedelta(seconds=150)


@final
class Informer:
    """The list/watch loop of one kind and scope.

    The store changes first, then the handlers are called, in the same turn of the event loop:
    who acts on an event reads at least that state. Per key, handlers are told a history as
    `Store` promises it. Nothing the server does ends `run`; what goes wrong shows in `state`
    and `reason`.
    """

    def __init__(
        self,
        gvk: GroupVersionKind,
        client: ListWatchClient,
        *,
        clock: Clock,
        random: Random,
        namespace: str = "",
        selector: LabelSelector | None = None,
        form: Form = Form.FULL,
        field_owners: frozenset[str] = frozenset(),
        metrics: Metrics | None = None,
        **pacing: Unpack[Pacing],
    ) -> None:
        """Prepare; nothing is asked of the server before `run`.

        An empty `namespace` means all, and is what cluster-scoped kinds need. `field_owners` are
        the managers whose `Apply` field sets are kept.
        """
        self.gvk = gvk
        self.store: Store = Store()
        self._client = client
        self._clock = clock
        self._random = random
        self._namespace = namespace
        self._selector = selector
        self._form = form
        self._field_owners = field_owners
        self._page_size = pacing.get("page_size", 500)
        self._watch_timeout = pacing.get("watch_timeout", _WATCH_TIMEOUT)
        self._stall_after = pacing.get("stall_after", _STALL_AFTER)
        self._resync = pacing.get("resync")
        self._handlers = Handlers()
        self._progressed: Callable[[], None] | None = None
        self._state = InformerState.INIT
        self._reason = ""
        self._synced = asyncio.Event()
        self._heard_at = math.nan
        self._metrics = metrics and metrics.informer(gvk)
        if self._metrics:
            self._metrics.watch(self)
        self._log = structlog.get_logger().bind(kind=str(gvk))

    @property
    def form(self) -> Form:
        """Return how much of each object is kept."""
        return self._form

    @property
    def namespace(self) -> str:
        """Return the one namespace that is listed and watched, empty for all."""
        return self._namespace

    @property
    def selector(self) -> LabelSelector | None:
        """Return the label selector that limits what is listed and watched."""
        return self._selector

    @property
    def state(self) -> InformerState:
        """Return what the informer is doing."""
        return self._state

    @property
    def reason(self) -> str:
        """Return what last went wrong; empty while all is well."""
        return self._reason

    @property
    def synced(self) -> bool:
        """Tell whether the first list is complete and was told to every handler."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when synced; needs `run` to be running."""
        await self._synced.wait()

    def object_count(self) -> int:
        """Return how many objects the store holds."""
        return len(self.store)

    def byte_count(self) -> int:
        """Return the size of the stored JSON in bytes."""
        return self.store.bytes()

    def last_event_age(self) -> float:
        """Return the seconds since the server was last heard of; NaN before the first time."""
        if math.isnan(self._heard_at):
            return math.nan
        return self._clock.monotonic() - self._heard_at

    def add_handler(self, fn: Handler) -> HandlerRegistration:
        """Call `fn` for every event from now on, and now with `Created` for all that is known.

        It is called within the informer and must not wait. If it raises, that is logged.
        """
        self._handlers.add(fn, past=[Created(each, initial=True) for each in self.store.list()])
        return HandlerRegistration(self)

    def on_progress(self, call: Callable[[], None]) -> None:
        """Call `call` whenever the store knows more: after events, bookmarks and lists.

        In place of what was set before; after the handlers, once for all that came together.
        """
        self._progressed = call

    def raise_form(self, form: Form) -> None:
        """Keep at least `form` of each object; raise MetadataOnly when it is too late for that."""
        if form is Form.METADATA or self._form is Form.FULL:
            return
        if self._state is not InformerState.INIT:
            raise MetadataOnly(
                f"{self.gvk} is already cached as metadata only; "
                "register it with form=Form.FULL before the cache starts"
            )
        self._form = form

    async def run(self) -> None:
        """List, watch and recover until cancelled."""
        self._enter(InformerState.LISTING)
        decoder = ObjectDecoder(
            self.gvk, self._field_owners, metadata_only=self._form is Form.METADATA
        )
        async with asyncio.TaskGroup() as tasks:
            if self._resync is not None:
                tasks.create_task(self._resync_forever(self._resync))
            await self._list_and_watch(decoder)

    async def forget(self) -> None:
        """Tell every object as deleted and hold none, after `run` was cancelled."""
        self._enter(InformerState.ABSENT)
        await self._adopt(self.store.listing(), "")

    async def _list_and_watch(self, decoder: ObjectDecoder) -> None:
        protocol = ListWatch()
        backoff = ReconnectBackoff(self._clock, self._random)
        step = protocol.start()
        while True:
            match step:
                case Pause():
                    self._enter(step.state, step.reason)
                    await self._clock.sleep(max(backoff.next(), step.at_least))
                    step = step.then
                case List(reason):
                    step = protocol.after(await self._list(decoder, reason))
                case Watch(resource_version):
                    step = protocol.after(await self._watch(decoder, resource_version))

    async def _list(self, decoder: ObjectDecoder, reason: ListReason) -> Outcome:
        self._enter(InformerState.LISTING)
        if self.synced:
            self._log.info("relist started", reason=reason.value)
            if self._metrics:
                self._metrics.relisted(reason.value)
        try:
            listing, resource_version = await self._fetch(decoder)
        except Exception as error:
            return ListFailed(error)
        if older(resource_version, self.store.resource_version):
            self._log.warning(
                "history of the server went back",
                known=self.store.resource_version,
                listed=resource_version,
            )
        await self._adopt(listing, resource_version)
        if not self.synced:
            self._synced.set()
            self._log.info("informer synced", objects=len(self.store))
        return Listed(resource_version)

    async def _fetch(self, decoder: ObjectDecoder) -> tuple[Listing, str]:
        """Read all pages; raise InconsistentListError when they are not of one moment."""
        turn = Turn(self._clock)
        listing = self.store.listing()
        version: str | None = None
        pages = self._client.list_pages(
            self.gvk,
            namespace=self._namespace,
            selector=self._selector,
            metadata_only=self._form is Form.METADATA,
            page_size=self._page_size,
        )
        try:
            async for body in pages:
                self._heard_at = self._clock.monotonic()
                page = decoder.open_page(body)
                version = _of_one_moment(version, page.resource_version)
                for stored in page.objects:
                    listing.add(stored)
                    await turn.share()
        finally:
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()
        return listing, _of_one_moment(version, version or "")

    async def _adopt(self, listing: Listing, resource_version: str) -> None:
        """Make the store hold what is listed and tell the difference, giving way in between."""
        turn = Turn(self._clock)
        initial = not self.synced
        for events in self.store.replacing(listing, resource_version, initial=initial):
            self._handlers.tell(events)
            await turn.share()
        self._tell_progress()

    async def _watch(self, decoder: ObjectDecoder, resource_version: str) -> Outcome:
        opened_at = math.inf
        error: Exception | None = None
        try:
            async with (
                ends_when_silent(self._clock, self._stall_after) as heard,
                self._open_watch(resource_version) as chunks,
            ):
                opened_at = self._clock.monotonic()
                self._enter(InformerState.STREAMING)
                await self._consume(decoder, chunks, heard)
        except TimeoutError:
            error = SilentStreamError(f"nothing was heard for {self._stall_after}")
        except Exception as caught:
            error = caught
        lasted = max(0.0, self._clock.monotonic() - opened_at)
        return WatchEnded(
            self.store.resource_version,
            timedelta(seconds=lasted),
            progressed=self.store.resource_version != resource_version,
            error=error,
        )

    def _open_watch(self, resource_version: str) -> Chunks:
        shortest, longest = self._watch_timeout
        return self._client.watch(
            self.gvk,
            namespace=self._namespace,
            selector=self._selector,
            metadata_only=self._form is Form.METADATA,
            resource_version=resource_version,
            timeout=timedelta(
                seconds=self._random.uniform(shortest.total_seconds(), longest.total_seconds())
            ),
            # A little more: silence is noticed here first, and told from a broken connection.
            read_timeout=self._stall_after + timedelta(seconds=10),
        )

    async def _consume(
        self, decoder: ObjectDecoder, chunks: AsyncIterator[bytes], heard: Callable[[], None]
    ) -> None:
        """Apply the events of a stream until it ends; give way when there are many."""
        assembler = LineAssembler()
        turn = Turn(self._clock)
        async for chunk in chunks:
            heard()
            self._heard_at = self._clock.monotonic()
            turn.resume()
            for line in assembler.feed(chunk):
                self._apply(decoder.event_line(line))
                await turn.share()
            self._tell_progress()
            turn.rest()

    def _tell_progress(self) -> None:
        if self._progressed is not None:
            self._progressed()

    def _apply(self, event: WatchEvent) -> None:
        match event:
            case WatchEvent(type=EventType.ERROR, status=status):
                raise status_error(status or {}, context=f"watch {self.gvk}")
            case WatchEvent(type=EventType.DELETED, object=StoredObject() as stored):
                self._handlers.tell(self.store.remove(stored))
            case WatchEvent(object=StoredObject() as stored):
                self._handlers.tell(self.store.put(stored))
            case _:
                self.store.advance(event.resource_version)

    async def _resync_forever(self, period: timedelta) -> None:
        turn = Turn(self._clock)
        while True:
            await self._clock.sleep(period * self._random.uniform(0.9, 1.1))
            turn.resume()
            for stored in self.store.list():
                # What changed since was told by that.
                if self.store.get(stored.key) is stored:
                    self._handlers.tell([Updated(stored, stored)])
                await turn.share()

    def _enter(self, state: InformerState, reason: str = "") -> None:
        """Change the state; a reason stays until streaming shows that all is well again."""
        if reason and reason != self._reason:
            self._log.warning("informer degraded", state=state.value, reason=reason)
        if state is InformerState.STREAMING and self._reason:
            self._log.info("informer recovered", reason=self._reason)
            self._reason = ""
        self._state = state
        self._reason = reason or self._reason


def _of_one_moment(first: str | None, version: str) -> str:
    """Return the version of a list, given that of its first page and that of another page.

    Raise InconsistentListError when they differ: a continue token that expired may be answered by
    a page of now, and what was deleted since the first page would stay in the store for ever.
    """
    if not version:
        raise InconsistentListError("the list carries no resourceVersion to watch from")
    if first not in (None, version):
        raise InconsistentListError(f"a page of version {version} follows one of {first}")
    return version
