"""Keeps a store equal to what the server holds of one kind, and tells handlers of each change."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias, Unpack, final

import structlog

from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.event import Event, Updated
from smbpctl.runtime.informer.client import Form, InformerOptions, ListWatchClient, Scope
from smbpctl.runtime.informer.handlers import Handler, HandlerRegistration, Handlers
from smbpctl.runtime.informer.listwatch import InformerState, ListReason, Pause
from smbpctl.runtime.informer.patience import Turn
from smbpctl.runtime.informer.raising import Raising
from smbpctl.runtime.informer.reflector import Reflector, Watcher, tell_all
from smbpctl.runtime.informer.standing import Standing
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    ObjectKey,
    StoredObject,
)
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.store import IndexFunction, ObjectDecoder, Projection, Store

Events: TypeAlias = list[Event]
Objects: TypeAlias = list[StoredObject]

STATES = tuple(state.value for state in InformerState)


@final
class Informer:
    """The list/watch loop of one kind and scope.

    The store changes first, then the handlers are called, in the same turn of the event loop:
    who acts on an event reads at least that state. Per key, handlers are told a history as
    `Store` promises it. Nothing the server does ends `run`; what goes wrong shows in `standing`.

    `store` is another one after `raise_form`: do not keep it, ask for it.
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
        **options: Unpack[InformerOptions],
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
        self._scope = Scope(namespace, selector, options.get("fields"))
        self._form = form
        self._field_owners = field_owners
        self._options = options
        self._handlers = Handlers(clock)
        self._standing = Standing()
        self._listeners: tuple[Callable[[Standing], None], ...] = ()
        self._on_progress: Callable[[], None] | None = None
        self._synced = asyncio.Event()
        self._stronger = asyncio.Event()
        self._raised = asyncio.Event()
        self._twin: Store | None = None
        self._heard_at = math.nan
        self._metrics = metrics and metrics.informer(gvk)
        if self._metrics:
            self._metrics.watch(self, STATES)
        self._log = structlog.get_logger().bind(kind=str(gvk))

    @property
    def form(self) -> Form:
        """Return how much of each object is kept."""
        return self._form

    @property
    def namespace(self) -> str:
        """Return the namespace that is listed and watched; empty for all."""
        return self._scope.namespace

    @property
    def selector(self) -> LabelSelector | None:
        """Return the label selector that limits what is listed and watched."""
        return self._scope.selector

    @property
    def fields(self) -> FieldSelector | None:
        """Return the field selector that limits what is listed and watched."""
        return self._scope.fields

    @property
    def projection(self) -> Projection | None:
        """Return which fields are kept of each object; None where all are."""
        return self._options.get("projection")

    @property
    def standing(self) -> Standing:
        """Return what the informer is doing, and what last went wrong, with the missing verb."""
        return self._standing

    @property
    def state(self) -> InformerState:
        """Return what the informer is doing."""
        return self._standing.state

    @property
    def reason(self) -> str:
        """Return what last went wrong; empty while all is well."""
        return self._standing.reason

    @property
    def synced(self) -> bool:
        """Tell whether the first list is complete and was told to every handler."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when synced; needs `run` to be running."""
        await self._synced.wait()

    def state_name(self) -> str:
        """Return the state as metrics show it."""
        return self._standing.state.value

    def object_count(self) -> int:
        """Return how many objects the store holds."""
        return len(self.store)

    def byte_count(self) -> int:
        """Return the size of the stored JSON in bytes."""
        return self.store.bytes()

    def memory(self) -> int:
        """Return about how many bytes the store takes: JSON, metadata, tables and indexes."""
        return self.store.memory() + (0 if self._twin is None else self._twin.memory())

    def last_event_age(self) -> float:
        """Return the seconds since the server was last heard of; NaN before the first time."""
        if math.isnan(self._heard_at):
            return math.nan
        return self._clock.monotonic() - self._heard_at

    @property
    def resource_version(self) -> str:
        """Return how far the server's history is known; empty before the first list."""
        return self.store.resource_version

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key."""
        return self.store.get(key)

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """Return the objects of one namespace (None: of all), sorted by key."""
        return self.store.list(namespace, selector)

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects to which an index gives `value`, sorted; raise IndexMissing."""
        return self.store.by_index(name, value)

    def by_owner(self, uid: str) -> Objects:
        """Return the objects with an owner reference, controlling or not, to this UID."""
        return self.store.by_owner(uid)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add or replace an index over the objects held and all to come."""
        self.store.add_index(name, function)
        if self._twin is not None:
            self._twin.add_index(name, function)

    def add_handler(self, fn: Handler) -> HandlerRegistration:
        """Call `fn` for every event from now on, and with `Created` for all that is known.

        It is called within the informer and must not wait. If it raises, that is logged. Of many
        objects it is told by and by, which the registration waits for; what changes meanwhile is
        told at once, and as created if its turn had not come.
        """
        return HandlerRegistration(self, self._handlers.add(fn, past=self.store.unsorted()))

    def on_progress(self, call: Callable[[], None]) -> None:
        """Call `call` whenever the store knows more: after events, bookmarks and lists.

        In place of what was set before; after the handlers, once for all that came together.
        """
        self._on_progress = call

    def on_standing(self, listener: Callable[[Standing], None]) -> None:
        """Call `listener` whenever `standing` changes; it must be quick and must not raise."""
        self._listeners = (*self._listeners, listener)

    def raise_form(self, form: Form) -> None:
        """Keep at least `form` of each object: from the start, or as soon as it is there.

        After the start everything is listed and watched once more, into a store beside the one
        that is read; `form` changes when that one has caught up and takes its place. Nothing is
        told of objects that did not change.
        """
        if form is Form.METADATA or self._form is Form.FULL:
            return
        if self.state is InformerState.INIT:
            self._form = form
            self._raised.set()
        else:
            self._stronger.set()

    async def wait_full(self) -> None:
        """Return when objects are kept in full, after `raise_form`; needs `run` to be running."""
        if self._form is not Form.FULL:
            await self._raised.wait()

    async def run(self) -> None:
        """List, watch and recover until cancelled."""
        self.entered(InformerState.LISTING)
        async with asyncio.TaskGroup() as tasks:
            resync = self._options.get("resync")
            if resync is not None:
                tasks.create_task(self._resync_forever(resync))
            first = tasks.create_task(self._reflector(self._form, self.store, self).run())
            await self._stronger.wait()
            self._twin = self.store.twin()
            raising = Raising(self._twin, lambda: self.store, self._log)
            reflector = self._reflector(Form.FULL, self._twin, raising)
            raising.done = lambda: self._swap(reflector, first)
            tasks.create_task(reflector.run())

    async def forget(self) -> None:
        """Tell every object as deleted and hold none, after `run` was cancelled."""
        self.entered(InformerState.ABSENT)
        store = self.store
        steps = store.replacing(store.listing(), "", initial=not self.synced)
        await tell_all(steps, self._handlers.tell, self._clock)

    def entered(self, step: Pause | InformerState) -> None:
        """Change the state; a reason stays until streaming shows that all is well again."""
        before = self._standing
        self._standing = after = before.after(step, self._clock.now())
        if after.reason and after.reason != before.reason:
            verb = after.verb.value if after.verb else None
            self._log.warning(
                "informer degraded", state=after.state.value, reason=after.reason, verb=verb
            )
        elif before.reason and not after.reason:
            self._log.info("informer recovered", reason=before.reason)
        for listener in self._listeners if after != before else ():
            listener(after)

    def heard(self) -> None:
        """Note a sign of life from the server."""
        self._heard_at = self._clock.monotonic()

    def listing(self, reason: ListReason) -> None:
        """Note that everything is asked for; the first time is no relist."""
        if self.synced:
            self._log.info("relist started", reason=reason.value)
            if self._metrics:
                self._metrics.relisted(reason.value)

    def listed(self) -> None:
        """Note that a list is complete and was told."""
        if not self.synced:
            self._synced.set()
            self._log.info("informer synced", objects=len(self.store))
        self.progressed()

    def progressed(self) -> None:
        """Tell who waits for it that the store knows more."""
        if self._on_progress is not None:
            self._on_progress()

    def tell(self, events: Events) -> None:
        """Tell the handlers what changed."""
        self._handlers.tell(events)

    def decoder(self, form: Form) -> ObjectDecoder:
        """Return what makes of a server's JSON what the store holds in that form."""
        return ObjectDecoder(
            self.gvk,
            self._field_owners,
            metadata_only=form is Form.METADATA,
            projection=self.projection,
        )

    def _reflector(self, form: Form, store: Store, watcher: Watcher) -> Reflector:
        return Reflector(
            self.gvk,
            self._client,
            store,
            self.decoder(form),
            watcher=watcher,
            clock=self._clock,
            random=self._random,
            scope=self._scope,
            metadata_only=form is Form.METADATA,
            options=self._options,
        )

    def _swap(self, stronger: Reflector, weaker: "asyncio.Task[None]") -> None:
        """Let the store that has caught up take the place of the one that is read."""
        weaker.cancel()
        changed = self.store.differences(stronger.store, initial=not self.synced)
        self.store, self._twin = stronger.store, None
        self._form = Form.FULL
        stronger.watcher = self
        self._handlers.tell(changed)
        self.listed()
        self._raised.set()

    async def _resync_forever(self, period: timedelta) -> None:
        turn = Turn(self._clock)
        while True:
            await self._clock.sleep(period * self._random.uniform(0.9, 1.1))
            turn.resume()
            for stored in self.store.unsorted():
                # What changed since was told by that.
                if self.store.get(stored.key) is stored:
                    self._handlers.tell([Updated(stored, stored)])
                if turn.over():
                    await turn.next()
