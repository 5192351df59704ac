"""A manager over a `FakeCluster`: the cache that controllers register with, and whom they wake."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from smbpctl.reconcilers.operator import FIELD_OWNERS
from smbpctl.runtime.cache import CONFIG_MAP, EVERYTHING, SECRET, KindStatus, Selection
from smbpctl.runtime.cache.digests import content_digests
from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.controller import Controller
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import KindNotWatched, MetadataOnly
from smbpctl.runtime.event import Cause, Created, Deleted, Event, Updated
from smbpctl.runtime.informer import InformerState, Standing
from smbpctl.runtime.manager import ManagerOptions, Phase
from smbpctl.runtime.meta import (
    GroupKind,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    StoredObject,
    gvk_of,
)
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.reconcile import Request, Result
from smbpctl.runtime.store import IndexFunction, ObjectDecoder, Store
from test.support.fake_cluster import FakeCluster, Slot
from test.support.manual_clock import ManualClock
from test.support.observations import NOW

Manifests: TypeAlias = list[Manifest]
StoredObjects: TypeAlias = list[StoredObject]


@dataclass
class FakeInformer:
    """What a registered kind is to its sources: told of every change at once, always synced."""

    selector: LabelSelector | None = None
    known: Callable[[], StoredObjects] = list
    handlers: list[Callable[[Event], None]] = field(default_factory=list[Callable[[Event], None]])
    synced: bool = True

    def add_handler(self, fn: Callable[[Event], None]) -> "FakeInformer":
        """Tell `fn` what is known, and all that happens from now on."""
        self.handlers.append(fn)
        for stored in self.known():
            fn(Created(stored, initial=True))
        return self

    async def wait_synced(self) -> None:
        """Return at once."""

    def selects(self, stored: StoredObject) -> bool:
        """Tell whether the informer knows of such an object."""
        return self.selector is None or self.selector.matches(stored.meta.labels)


class FakeCache:
    """Satisfies `Cache` over the objects of a cluster.

    It is as strict as the real one: kinds that nobody registered cannot be read, Secrets and
    ConfigMaps are metadata, and objects that the selector of a registration leaves out are
    unknown. `freeze` lets it show the present state until `thaw`. Optional kinds in `listing` are
    served, and their first list is not complete yet.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._informers: dict[GroupVersionKind, FakeInformer] = {}
        self._optional: dict[GroupKind, tuple[OptionalKind, FakeInformer]] = {}
        self._indexes: dict[GroupVersionKind, dict[str, IndexFunction]] = {}
        self.listing: set[GroupKind] = set()
        self._decoded: dict[Slot, StoredObject] = {}
        self._frozen: dict[Slot, StoredObject] | None = None
        cluster.listeners.append(self._tell)

    def freeze(self) -> None:
        """Show the present state from now on, whatever happens."""
        self._frozen = {slot: self._newest(slot) for slot in self._cluster.objects}

    def thaw(self) -> None:
        """Show the newest state again."""
        self._frozen = None

    def registered(self) -> set[str]:
        """Return the kinds that were registered."""
        return {gvk.kind for gvk in self._informers} | {each.kind for each in self._optional}

    def register(
        self,
        gvk: GroupVersionKind,
        *,
        form: object = None,
        selection: Selection = EVERYTHING,
        namespaced: bool = True,
    ) -> FakeInformer:
        """Make a kind readable."""
        selector = selection.selector
        if gvk not in self._informers:
            self._informers[gvk] = FakeInformer(selector, lambda: self.metas(gvk))
        assert self._informers[gvk].selector == selector, f"{gvk} has another selector already"
        return self._informers[gvk]

    def register_optional(self, kind: OptionalKind, *, form: object = None) -> FakeInformer:
        """Make a kind readable while it is served."""
        return self._optional.setdefault(kind.group_kind, (kind, FakeInformer()))[1]

    def add_index(self, kind: GroupVersionKind, name: str, function: IndexFunction) -> None:
        """Add or replace an index."""
        self._indexes.setdefault(kind, {})[name] = function

    def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Return the preferred version that is served."""
        if kind.group_kind not in self._optional:
            raise KindNotWatched(f"{kind.group_kind} is not watched")
        if kind.group_kind in self.listing:
            return None
        gvks = {each.gvk for each in self._cluster.served_kinds}
        wanted = (GroupVersionKind(kind.group, each, kind.kind) for each in kind.versions)
        return next((gvk for gvk in wanted if gvk in gvks), None)

    def states(self) -> Mapping[str, KindStatus]:
        """Return how the optional kinds stand."""
        return {
            str(kind): KindStatus(Standing(self._state(kind)), True, 0) for kind in self._optional
        }

    def _state(self, kind: GroupKind) -> InformerState:
        if kind in self.listing:
            return InformerState.LISTING
        served = self.served(self._optional[kind][0])
        return InformerState.ABSENT if served is None else InformerState.STREAMING

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read an object that is cached in full."""
        stored = self._full(gvk).get(key)
        return stored.manifest() if stored is not None else None

    async def list(
        self, gvk: GroupVersionKind, *, namespace: str = "", selector: LabelSelector | None = None
    ) -> Manifests:
        """Read objects that are cached in full."""
        return [each.manifest() for each in self._full(gvk).list(namespace or None, selector)]

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return an object as it is stored."""
        return self._store(gvk).get(key)

    def metas(
        self, gvk: GroupVersionKind, *, namespace: str = "", index: tuple[str, str] | None = None
    ) -> StoredObjects:
        """Return objects as they are stored."""
        store = self._store(gvk)
        return store.list(namespace or None) if index is None else store.by_index(*index)

    def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        return False

    def owned_by(self, gvk: GroupVersionKind, uid: str) -> StoredObjects:
        """Return the objects that refer to an owner."""
        return self._store(gvk).by_owner(uid)

    def uid_of(self, owner: GroupKind, key: ObjectKey) -> str | None:
        """Return the UID of an owner."""
        shown = self._cluster.objects if self._frozen is None else self._frozen
        found = (
            self._known((gvk, name)).meta.uid
            for gvk, name in shown
            if (gvk.group_kind, name) == (owner, key)
        )
        return next(found, None)

    async def live_get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read from the server."""
        return await self._cluster.get(gvk, key)

    async def digests(self, gvk: GroupVersionKind, key: ObjectKey) -> Mapping[str, str] | None:
        """Return the digests of an object's contents."""
        if self.meta(gvk, key) is None:
            return None
        live = await self.live_get(gvk, key)
        return content_digests(gvk, live) if live is not None else None

    def _known(self, slot: Slot) -> StoredObject:
        return self._newest(slot) if self._frozen is None else self._frozen[slot]

    def _newest(self, slot: Slot) -> StoredObject:
        """Decode an object, once per version of it."""
        version = self._cluster.objects[slot]["metadata"]["resourceVersion"]
        decoded = self._decoded.get(slot)
        if decoded is None or decoded.meta.resource_version != version:
            decoded = self._decoded[slot] = stored_object(self._cluster.read(slot))
        return decoded

    def _informer(self, gvk: GroupVersionKind) -> FakeInformer:
        if gvk in self._informers:
            return self._informers[gvk]
        kind, informer = self._optional.get(gvk.group_kind, (None, FakeInformer()))
        if kind is None or self.served(kind) != gvk:
            raise KindNotWatched(f"{gvk} is not watched")
        return informer

    def _store(self, gvk: GroupVersionKind) -> Store:
        informer, store = self._informer(gvk), Store()
        for name, function in self._indexes.get(gvk, {}).items():
            store.add_index(name, function)
        shown = self._cluster.objects if self._frozen is None else self._frozen
        held = [self._known(slot) for slot in shown if slot[0] == gvk]
        store.replace([each for each in held if informer.selects(each)], "1", initial=True)
        return store

    def _full(self, gvk: GroupVersionKind) -> Store:
        if gvk in (SECRET, CONFIG_MAP):
            raise MetadataOnly(f"{gvk} is cached as metadata only")
        return self._store(gvk)

    def _tell(self, event: str, manifest: Manifest, before: Manifest | None) -> None:
        gvk = gvk_of(manifest)
        optional = self._optional.get(gvk.group_kind)
        informer = optional[1] if optional is not None else self._informers.get(gvk)
        stored = stored_object(manifest)
        if informer is None or not informer.selects(stored):
            return
        told: Event = Created(stored)
        if event == "DELETED":
            told = Deleted(stored)
        elif before is not None:
            told = Updated(stored_object(before), stored)
        for handler in informer.handlers:
            handler(told)


def stored_object(manifest: Manifest) -> StoredObject:
    """Return an object as the cache keeps it."""
    gvk = gvk_of(manifest)
    decoder = ObjectDecoder(gvk, FIELD_OWNERS, metadata_only=gvk in (SECRET, CONFIG_MAP))
    return decoder.object(json.dumps(manifest).encode())


class Woken:
    """Satisfies `RequestQueue`: remembers who was woken."""

    def __init__(self) -> None:
        self._keys: dict[ObjectKey, None] = {}

    def add(
        self, request: Request[ObjectKey], /, *, priority: int = 0, cause: Cause | None = None
    ) -> None:
        """Remember a key, once."""
        self._keys[request.key] = None

    def take(self) -> list[str]:
        """Return the keys woken since the last call."""
        keys = [str(key) for key in self._keys]
        self._keys.clear()
        return keys


class FakeManager:
    """Satisfies what a reconciler's `setup` and the builder need of a `Manager`."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.cache = FakeCache(cluster)
        self.client = cluster
        self.discovery = cluster
        self.clock = ManualClock(NOW)
        self.random = seeded_random(1)
        self.metrics = Metrics()
        self.options = ManagerOptions()
        self.gate = None  # what is written is read at once
        self.woken = Woken()
        self.controllers: list[Controller[ObjectKey]] = []

    def add(self, runnable: Controller[ObjectKey], phase: Phase, *, name: str = "") -> None:
        """Take in a controller."""
        assert phase is Phase.CONTROLLERS
        self.controllers.append(runnable)

    @property
    def reconciler(self) -> Any:
        """Return the reconciler of the one controller that was added."""
        (controller,) = self.controllers
        return controller.reconciler

    async def reconcile(self, name: str = "demo", namespace: str = "shop") -> Result:
        """Run the reconciler once for a BigPeer."""
        result: Result = await self.reconciler.reconcile(Request(ObjectKey(namespace, name)))
        return result

    async def listen(self) -> Woken:
        """Start the controller's sources; forget whom the first list wakes."""
        (controller,) = self.controllers
        for source in controller._sources:
            source.start(self.woken)
            await source.wait_synced(timedelta(seconds=1))
        self.woken.take()
        return self.woken
