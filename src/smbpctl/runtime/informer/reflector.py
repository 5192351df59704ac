"""Keeps one store equal to what the server holds: asks, decodes, applies, and says how it goes."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Protocol, final

import structlog

from smbpctl.runtime.backoff import ReconnectBackoff
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.errors import status_error
from smbpctl.runtime.event import Event
from smbpctl.runtime.informer.client import Chunks, InformerOptions, ListWatchClient, Scope
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
    Streamed,
    UnmarkedStreamError,
    Watch,
    WatchEnded,
)
from smbpctl.runtime.informer.patience import Silence, Turn, ends_when_silent
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.store import EventType, Listing, ObjectDecoder, Page, Store, WatchEvent, older

_WATCH_TIMEOUT = (timedelta(minutes=5), timedelta(minutes=10))
_STALL_AFTER = timedelta(seconds=150)

_END_WITHIN = timedelta(seconds=30)
"""How long after the last initial event its bookmark is awaited."""

_PAGED_FOR = timedelta(hours=1)
"""How long a server is not asked again for a list as a stream that it could not give."""


class Watcher(Protocol):
    """Who is told how a reflector fares, and what changes."""

    def entered(self, step: Pause | InformerState) -> None:
        """Take note of a new state, or of what went wrong and is waited for."""

    def heard(self) -> None:
        """Take note of a sign of life from the server."""

    def listing(self, reason: ListReason) -> None:
        """Take note that everything is asked for."""

    def listed(self) -> None:
        """Take note that the store holds a complete list, and every event of it was told."""

    def tell(self, events: list[Event]) -> None:
        """Tell the handlers what changed; the store has changed before."""

    def progressed(self) -> None:
        """Take note that the store knows more, once for all that came together."""


@final
class Reflector:
    """The list/watch loop of one kind, scope and form, into one store.

    Nothing the server does ends `run`. The store changes first, then the watcher is told, in the
    same turn of the event loop.
    """

    def __init__(
        self,
        gvk: GroupVersionKind,
        client: ListWatchClient,
        store: Store,
        decoder: ObjectDecoder,
        *,
        watcher: Watcher,
        clock: Clock,
        random: Random,
        scope: Scope,
        metadata_only: bool,
        options: InformerOptions,
    ) -> None:
        self.store: Store = store
        self.watcher: Watcher = watcher
        self._gvk = gvk
        self._client = client
        self._decoder = decoder
        self._clock = clock
        self._random = random
        self._scope = scope
        self._metadata_only = metadata_only
        self._page_size = options.get("page_size", 500)
        self._watch_timeout = options.get("watch_timeout", _WATCH_TIMEOUT)
        self._stall_after = options.get("stall_after", _STALL_AFTER)
        self._always_paged = options.get("paged", False)
        self._discovery_changes = options.get("discovery_changes", lambda: 0)
        self._synced = False
        self._log = structlog.get_logger().bind(kind=str(gvk))

    async def run(self) -> None:
        """List, watch and recover until cancelled."""
        protocol = ListWatch(paged=self._always_paged)
        backoff = ReconnectBackoff(self._clock, self._random)
        refused_at, refused_in = -math.inf, 0
        step = protocol.start()
        while True:
            match step:
                case Pause():
                    self.watcher.entered(step)
                    await self._clock.sleep(max(backoff.next(), step.at_least))
                    step = step.then
                case List(reason, paged=False):
                    step = protocol.after(await self._stream(reason))
                    refused_at, refused_in = self._clock.monotonic(), self._discovery_changes()
                case List(reason) if protocol.paged and self._may_stream(refused_at, refused_in):
                    protocol.stream_again()
                    step = List(reason)
                case List(reason):
                    step = protocol.after(await self._list(reason))
                case Watch(resource_version):
                    step = protocol.after(await self._watch(resource_version))

    def _may_stream(self, refused_at: float, refused_in: int) -> bool:
        """Tell whether a server that could not list as a stream may have learnt it since."""
        if self._always_paged:
            return False
        passed = self._clock.monotonic() - refused_at
        return passed >= _PAGED_FOR.total_seconds() or self._discovery_changes() != refused_in

    async def _list(self, reason: ListReason) -> Outcome:
        self._begin(reason)
        try:
            listing, resource_version = await self._fetch()
        except Exception as error:
            return ListFailed(error)
        await self._adopt(listing, resource_version)
        return Listed(resource_version)

    async def _fetch(self) -> tuple[Listing, str]:
        """Read all pages; raise InconsistentListError when they are not of one moment."""
        turn = Turn(self._clock)
        listing = self.store.listing()
        version: str | None = None
        pages = self._client.list_pages(
            self._gvk,
            namespace=self._scope.namespace,
            selector=self._scope.selector,
            fields=self._scope.fields,
            metadata_only=self._metadata_only,
            page_size=self._page_size,
        )
        try:
            async for body in pages:
                self.watcher.heard()
                page = self._decoder.open_page(body)
                version = _of_one_moment(version, page.resource_version)
                await self._take(page, listing, turn)
        finally:
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()
        return listing, _of_one_moment(version, version or "")

    async def _take(self, page: Page, listing: Listing, turn: Turn) -> None:
        for stored in page.objects:
            listing.add(stored)
            if turn.over():
                await turn.next()

    async def _stream(self, reason: ListReason) -> Outcome:
        """List as a stream, and follow it until it ends."""
        self._begin(reason)
        listed: list[str] = []
        end = await self._follow("", listed)
        if not listed:
            return ListFailed(_why_not_listed(end), paged=False)
        return Streamed(end)

    async def _watch(self, resource_version: str) -> Outcome:
        return await self._follow(resource_version, None)

    async def _follow(self, resource_version: str, listed: list[str] | None) -> WatchEnded:
        """Follow a stream until it ends; it begins with a list where there is `listed`.

        That gets the version of the list once the store holds it.
        """
        initial = listed is not None
        patience = min(_END_WITHIN, self._stall_after) if initial else self._stall_after
        known = self.store.resource_version
        opened_at = math.inf
        error: Exception | None = None
        try:
            async with (
                ends_when_silent(self._clock, patience) as silence,
                self._open(resource_version, listed) as chunks,
            ):
                opened_at = self._clock.monotonic()
                if listed is None:
                    self.watcher.entered(InformerState.STREAMING)
                await self._consume(chunks, silence, listed)
        except TimeoutError:
            limit = self._stall_after if listed or not initial else patience
            error = SilentStreamError(f"nothing was heard for {limit}")
        except Exception as caught:
            error = caught
        lasted = max(0.0, self._clock.monotonic() - opened_at)
        progressed = bool(listed) or self.store.resource_version != known
        return WatchEnded(
            self.store.resource_version, timedelta(seconds=lasted), progressed, error=error
        )

    def _open(self, resource_version: str, listed: list[str] | None) -> Chunks:
        shortest, longest = self._watch_timeout
        return self._client.watch(
            self._gvk,
            namespace=self._scope.namespace,
            selector=self._scope.selector,
            fields=self._scope.fields,
            metadata_only=self._metadata_only,
            resource_version=resource_version,
            initial_events=listed is not None,
            # Nobody sees anything of a list before its end; then each event is urgent.
            gathers=None if listed is None else lambda: not listed,
            timeout=timedelta(
                seconds=self._random.uniform(shortest.total_seconds(), longest.total_seconds())
            ),
        )

    async def _consume(
        self, chunks: AsyncIterator[bytes], silence: Silence, listed: list[str] | None
    ) -> None:
        """Apply the events of a stream until it ends; give way when there are many."""
        gathered = None if listed is None else self.store.listing()
        assembler = LineAssembler()
        decode = self._decoder.event_line
        turn = Turn(self._clock)
        async for chunk in chunks:
            silence()
            self.watcher.heard()
            turn.resume()
            for line in assembler.feed(chunk):
                event = decode(line)
                if gathered is None:
                    self._apply(event)
                elif listed is not None and self._gather(event, gathered):
                    # From here on bookmarks come by the minute only.
                    silence.extend(self._stall_after)
                    await self._adopt(gathered, event.resource_version)
                    silence()
                    listed.append(event.resource_version)
                    gathered = None
                    self.watcher.entered(InformerState.STREAMING)
                if turn.over():
                    await turn.next()
            if gathered is None:
                self.watcher.progressed()
            turn.rest()

    def _gather(self, event: WatchEvent, listing: Listing) -> bool:
        """Take in one of the initial events; return whether it was the bookmark behind them.

        Their versions are in no order and say nothing of how far the history is known. Changes
        that happen meanwhile come among them.
        """
        stored = event.object
        if stored is None:
            if event.type is EventType.ERROR:
                raise status_error(event.status or {}, context=f"watch {self._gvk}")
            if not event.initial_end or not event.resource_version:
                raise UnmarkedStreamError("a bookmark came that does not end the initial events")
            return True
        if event.type is EventType.DELETED:
            listing.discard(stored)
        else:
            listing.put(stored)
        return False

    def _apply(self, event: WatchEvent) -> None:
        stored = event.object
        if stored is None:
            if event.type is EventType.ERROR:
                raise status_error(event.status or {}, context=f"watch {self._gvk}")
            self.store.advance(event.resource_version)
            self.watcher.tell([])
        elif event.type is EventType.DELETED:
            self.watcher.tell(self.store.remove(stored))
        else:
            self.watcher.tell(self.store.put(stored))

    def _begin(self, reason: ListReason) -> None:
        self.watcher.entered(InformerState.LISTING)
        self.watcher.listing(reason)

    async def _adopt(self, listing: Listing, resource_version: str) -> None:
        """Make the store hold what is listed and tell the difference, giving way in between."""
        if older(resource_version, self.store.resource_version):
            self._log.warning(
                "history of the server went back",
                known=self.store.resource_version,
                listed=resource_version,
            )
        initial = not self._synced
        events = self.store.replacing(listing, resource_version, initial=initial)
        await tell_all(events, self.watcher.tell, self._clock)
        self._synced = True
        self.watcher.listed()


async def tell_all(
    steps: Iterator[list[Event]], tell: Callable[[list[Event]], None], clock: Clock
) -> None:
    """Take all steps and tell the events of each, giving way to others in between."""
    turn = Turn(clock)
    for events in steps:
        if events:
            tell(events)
        if turn.over():
            await turn.next()


def _why_not_listed(end: WatchEnded) -> Exception:
    """Return why a stream did not become a list."""
    if isinstance(end.error, SilentStreamError) and end.lasted > timedelta(0):
        return UnmarkedStreamError(f"no bookmark ended the initial events: {end.error}")
    return end.error or ConnectionError("the stream ended within the initial events")


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
