"""One shared informer per kind, and the reader over all of them."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, final

from smbpctl.runtime.cache.client import CacheClient
from smbpctl.runtime.cache.crds import CrdWatch
from smbpctl.runtime.cache.digests import CONFIG_MAP, SECRET, Digests, content_digests
from smbpctl.runtime.cache.making import EVERYTHING, InformerMaker, Selection, View
from smbpctl.runtime.cache.optional import OptionalInformer, ServedKinds
from smbpctl.runtime.cache.view import GroupView, KindView
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.consistency import Gate
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import CacheNotSynced, KindNotWatched, MetadataOnly
from smbpctl.runtime.informer import (
    AnyInformer,
    Form,
    InformerState,
    Standing,
    ends_when_silent,
)
from smbpctl.runtime.meta import (
    GroupKind,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    StoredObject,
)
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.store import IndexFunction

Manifests: TypeAlias = list[Manifest]
Kinds: TypeAlias = list[GroupVersionKind]
StoredObjects: TypeAlias = list[StoredObject]


@final
@dataclass(frozen=True, slots=True)
class KindStatus:
    """How the cache stands with one kind: what its informer is doing, and what it holds."""

    standing: Standing
    synced: bool
    objects: int

    @property
    def state(self) -> InformerState:
        """Return what the informer is doing."""
        return self.standing.state

    @property
    def reason(self) -> str:
        """Return what last went wrong; empty while all is well."""
        return self.standing.reason

    def __str__(self) -> str:
        return str(self.standing)


@final
class Cache:
    """Reads registered kinds from memory.

    A kind must be registered to be read: nothing is watched by accident. Per kind there is one
    informer, in the strongest form that any registration asks for. With `namespaces`, only those
    are watched of namespaced kinds; without any, all are. Every `resync` period, if one is set,
    handlers are told of every object again.

    What is read is a private copy (manifests) or immutable (stored objects). It is the past: the
    state of some recent moment, per kind, never going back; but never older than what this
    process itself has written through the client of the same cluster (see `consistency`).

    Reads raise `KindNotWatched`, `MetadataOnly`, `CacheNotSynced` and `IndexMissing`; each names
    the kind and the remedy.
    """

    def __init__(
        self,
        client: CacheClient,
        discovery: ServedKinds,
        *,
        clock: Clock,
        random: Random,
        namespaces: Collection[str] = (),
        field_owners: frozenset[str] = frozenset(),
        metrics: Metrics | None = None,
        gate: Gate | None = None,
        resync: timedelta | None = None,
        watch_crds: bool = False,
    ) -> None:
        """Prepare; with `watch_crds`, optional kinds that appear are noticed at once.

        That takes permission to list and watch CustomResourceDefinitions; without it, or without
        `watch_crds`, they are noticed within ten seconds.
        """
        self._client = client
        self._discovery = discovery
        self._clock = clock
        self._namespaces = frozenset(namespaces)
        self._gate = gate
        self._maker = InformerMaker(
            client,
            clock=clock,
            random=random,
            namespaces=namespaces,
            field_owners=field_owners,
            metrics=metrics,
            gate=gate,
            resync=resync,
            discovery_changes=discovery.changes,
        )
        self._informers: dict[GroupVersionKind, AnyInformer] = {}
        self._selections: dict[GroupVersionKind, Selection] = {}
        self._views: dict[GroupVersionKind, View] = {}
        self._optional: dict[GroupKind, OptionalInformer] = {}
        self._crds = CrdWatch(self._make_cluster_scoped, clock=clock) if watch_crds else None
        self._digests = Digests(client.get)
        self._tasks: asyncio.TaskGroup | None = None

    def register(
        self,
        gvk: GroupVersionKind,
        *,
        form: Form | None = None,
        selection: Selection = EVERYTHING,
        namespaced: bool = True,
    ) -> AnyInformer:
        """Watch a kind; return its informer, the same for every registration.

        Without `form`, Secrets and ConfigMaps are kept as metadata only, all else in full; the
        strongest form that is asked for counts, also when the cache runs already. Objects outside
        the `selection` are not known at all; raise ValueError when the kind is registered with
        another one. A kind that is not `namespaced` must say so the first time, if the cache sees
        several namespaces: it would be listed once for each.
        """
        form = form or _default_form(gvk)
        informer = self._informers.get(gvk)
        if informer is None:
            informer, view = self._maker.make(gvk, form, selection, namespaced=namespaced)
            self._informers[gvk], self._views[gvk] = informer, view
            self._selections[gvk] = selection
            self._start(informer)
        if selection != self._selections[gvk]:
            raise ValueError(
                f"{gvk} is registered for {self._selections[gvk]} already, not for {selection}"
            )
        informer.raise_form(form)
        return informer

    def register_optional(
        self, kind: OptionalKind, *, form: Form | None = None
    ) -> OptionalInformer:
        """Watch a kind whenever it is served; return its informer.

        Raise ValueError when the kind is registered with other versions.
        """
        informer = self._optional.get(kind.group_kind)
        if informer is None:
            informer = OptionalInformer(
                kind, self._discovery, self._make_optional, clock=self._clock
            )
            self._optional[kind.group_kind] = informer
            if self._crds is not None:
                self._crds.add(kind.group, informer.poke)
            self._start(informer)
        if informer.kind != kind:
            raise ValueError(f"{kind.group_kind} is already registered with other versions")
        informer.raise_form(form or Form.FULL)
        return informer

    async def run(self) -> None:
        """Run all informers, also those registered later, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            if self._gate is not None:
                tasks.create_task(self._gate.serve())
            try:
                for _, informer in list(self._all()):
                    self._start(informer)
                if self._crds is not None:
                    tasks.create_task(self._crds.run())
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    @property
    def synced(self) -> bool:
        """Tell whether the first list of every registered kind is complete."""
        return all(informer.synced for _, informer in self._all())

    async def wait_synced(self, within: timedelta, /) -> None:
        """Return when synced; raise CacheNotSynced that names the kinds which are not."""
        try:
            async with ends_when_silent(self._clock, within):
                await self.wait_all_synced()
        except TimeoutError as error:
            missing = [f"{kind} is {s}" for kind, s in self.states().items() if not s.synced]
            raise CacheNotSynced(
                f"the cache is not synced after {within}: {'; '.join(missing)}"
            ) from error

    async def wait_all_synced(self) -> None:
        """Return when synced, however long that takes."""
        for _, informer in list(self._all()):
            await informer.wait_synced()

    def states(self) -> Mapping[str, KindStatus]:
        """Return how the cache stands with each registered kind, sorted by kind."""
        return {
            kind: KindStatus(informer.standing, informer.synced, informer.object_count())
            for kind, informer in sorted(self._all(), key=lambda pair: pair[0])
        }

    def kinds(self) -> Kinds:
        """Return the kinds that are registered: of optional ones the version that is served."""
        optional = [each.gvk for each in self._optional.values() if each.gvk is not None]
        return sorted({*self._informers, *optional})

    def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Return the version of an optional kind that can be read now; None while absent."""
        informer = self._optional.get(kind.group_kind)
        if informer is None:
            raise KindNotWatched(
                f"{kind.group_kind} is not watched; register it with register_optional"
            )
        return informer.gvk

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return a private copy of an object, None when the cache knows of none."""
        stored = self._full(gvk, key.namespace).get(key)
        return None if stored is None else stored.manifest()

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        index: tuple[str, str] | None = None,
    ) -> Manifests:
        """Return private copies of objects, sorted by key; `index` is a name and a value."""
        found = self._full(gvk, namespace).list(namespace, selector, index)
        return [each.manifest() for each in found]

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return an object as it is stored; its metadata is decoded. Works in both forms."""
        return self._synced(gvk, key.namespace).get(key)

    def metas(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        index: tuple[str, str] | None = None,
    ) -> StoredObjects:
        """Return objects as they are stored, sorted by key. Works in both forms."""
        return self._synced(gvk, namespace).list(namespace, selector, index)

    def owned_by(self, gvk: GroupVersionKind, uid: str) -> StoredObjects:
        """Return the objects with an owner reference to `uid`, controlling or not."""
        return self._synced(gvk).owned_by(uid)

    def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        """Tell whether our last write to an object went unanswered.

        The next one is then to be bound to the UID and the version that were read since.
        """
        view = self.scope_of(gvk, key.namespace)
        return view is not None and view.overlay.cautious(key)

    def scope_of(self, gvk: GroupVersionKind, namespace: str) -> KindView | None:
        """Return the view of a kind, in whatever version, that covers a namespace."""
        found = self._views.get(gvk) or next(
            (view for known, view in self._views.items() if known.group_kind == gvk.group_kind),
            None,
        )
        view = found.member(namespace) if isinstance(found, GroupView) else found
        if view is None or view.informer.state in (InformerState.INIT, InformerState.ABSENT):
            return None
        return view if view.informer.namespace in ("", namespace) else None

    def add_index(
        self, kind: GroupVersionKind | OptionalKind, name: str, function: IndexFunction
    ) -> None:
        """Add or replace an index over a registered kind, at any time."""
        if isinstance(kind, GroupVersionKind):
            self._find(kind).add_index(name, function)
        elif kind.group_kind in self._optional:
            self._optional[kind.group_kind].add_index(name, function)
        else:
            raise KindNotWatched(f"{kind.group_kind} is not watched; register it first")

    def uid_of(self, owner: GroupKind, key: ObjectKey) -> str | None:
        """Return the UID the cache knows of an object, in whatever version; None if unknown."""
        for informer in self._of_group_kind(owner):
            stored = self._views[informer.gvk].get(key) if informer.synced else None
            if stored is not None:
                return stored.meta.uid
        return None

    async def live_get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read an object from the server; None when it is absent. For any kind."""
        return await self._client.get(gvk, key)

    async def live_list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> Manifests:
        """Read objects from the server. For any kind."""
        return await self._client.list(gvk, namespace=namespace, selector=selector)

    async def digests(self, gvk: GroupVersionKind, key: ObjectKey) -> Mapping[str, str] | None:
        """Return the SHA-256 in hex of each entry of a Secret or ConfigMap; None when absent.

        Where only metadata is cached, the contents are read live, once per version of the
        object, and forgotten but for the digests.
        """
        view = self._synced(gvk, key.namespace)
        stored = view.get(key)
        if stored is None:
            return None
        if view.informer.form is Form.FULL:
            return content_digests(gvk, stored.manifest())
        return await self._digests.of(stored)

    def _make_cluster_scoped(self, gvk: GroupVersionKind, form: Form) -> AnyInformer:
        return self._maker.make(gvk, form, EVERYTHING, namespaced=False)[0]

    def _make_optional(self, gvk: GroupVersionKind, form: Form) -> AnyInformer:
        informer, self._views[gvk] = self._maker.make(gvk, form, EVERYTHING, namespaced=True)
        return informer

    def _start(self, informer: AnyInformer | OptionalInformer) -> None:
        if self._tasks is not None:
            self._tasks.create_task(informer.run())

    def _all(self) -> Iterator[tuple[str, AnyInformer | OptionalInformer]]:
        for gvk, informer in self._informers.items():
            yield str(gvk), informer
        for group_kind, optional in self._optional.items():
            yield str(group_kind), optional

    def _of_group_kind(self, group_kind: GroupKind) -> Iterator[AnyInformer]:
        optional = self._optional.get(group_kind)
        if optional is not None and optional.informer is not None:
            yield optional.informer
        for gvk, informer in self._informers.items():
            if (gvk.group, gvk.kind) == (group_kind.group, group_kind.kind):
                yield informer

    def _find(self, gvk: GroupVersionKind) -> AnyInformer:
        informer = self._informers.get(gvk)
        if informer is not None:
            return informer
        optional = self._optional.get(gvk.group_kind)
        if optional is None:
            raise KindNotWatched(
                f"{gvk} is not watched; register it before the cache starts, or use live_get"
            )
        if optional.informer is None or optional.informer.gvk != gvk:
            raise KindNotWatched(f"{gvk} is not served now; ask `served` before reading")
        return optional.informer

    def _synced(self, gvk: GroupVersionKind, namespace: str = "") -> View:
        informer = self._find(gvk)
        if namespace and self._namespaces and namespace not in self._namespaces:
            where = " and ".join(sorted(self._namespaces))
            raise KindNotWatched(
                f"{gvk} is watched in namespace {where} only, not in {namespace}; "
                "use live_get, or a cache of all namespaces"
            )
        if not informer.synced:
            raise CacheNotSynced(
                f"{gvk} is not synced but {informer.standing}; await wait_synced first"
            )
        return self._views[gvk]

    def _full(self, gvk: GroupVersionKind, namespace: str = "") -> View:
        view = self._synced(gvk, namespace)
        if view.informer.form is not Form.FULL:
            raise MetadataOnly(
                f"{gvk} is cached as metadata only; use meta, digests or live_get, "
                "or register it with form=Form.FULL"
            )
        return view


def _default_form(gvk: GroupVersionKind) -> Form:
    return Form.METADATA if gvk in (SECRET, CONFIG_MAP) else Form.FULL
