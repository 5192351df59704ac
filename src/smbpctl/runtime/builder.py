"""Makes controllers: `controller(name).for_(…).owns(…).watches(…).build(manager, reconciler)`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar, final

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.client import Reader
from smbpctl.runtime.controller import Controller, ControllerOptions, RunListener
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import TerminalError
from smbpctl.runtime.handler import EventHandler, for_object, for_owner
from smbpctl.runtime.informer import Form
from smbpctl.runtime.manager import Manager, ManagerOptions, Phase
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from smbpctl.runtime.predicate import EventFilter
from smbpctl.runtime.reconcile import DONE, K, ReconcileFunction, Reconciler, Request, Result
from smbpctl.runtime.source import DeferredSource, KindSource, Source, Watchable
from smbpctl.runtime.workqueue import WorkQueue

T = TypeVar("T")

WatchedKind: TypeAlias = GroupVersionKind | OptionalKind
"""A kind that must be served, or one that is watched while it is."""


def controller(name: str) -> "Builder[ObjectKey]":
    """Begin a controller of that name, whose keys are those of objects.

    The name is unique within a manager: it is the controller's identity in logs and metrics. For
    keys of another type begin with `Builder[KeyType](name)`.
    """
    return Builder(name)


def reconcile_function(function: ReconcileFunction[K]) -> Reconciler[K]:
    """Return a reconciler that is an async function from a request to a result."""
    return _FunctionReconciler(function)


def reconcile_object(
    gvk: GroupVersionKind,
    reader: Reader,
    function: Callable[[T], Awaitable[Result]],
    *,
    decode: Callable[[Manifest], T],
) -> Reconciler[ObjectKey]:
    """Return a reconciler that is an async function from the object itself to a result.

    The object is read from `reader`, a cache or a client, as a private copy. One that is absent
    needs nothing: the function is not called. `decode` makes of the manifest what the function
    takes, for example `Model.model_validate`, or `dict` for the manifest itself; a ValueError of
    it (pydantic's are) is a `TerminalError` with reason `InvalidObject` that names the object,
    because only a change of the object can help.
    """
    return _ObjectReconciler(gvk, reader, function, decode)


@final
class Builder(Generic[K]):
    """Collects what wakes a controller and how it works, then makes it.

    Every method but `build` returns the builder itself. The predicates of a watch must all pass.
    `form` says how much of each object the cache holds; without it the cache decides, which for
    Secrets and ConfigMaps means metadata only.
    """

    def __init__(self, name: str) -> None:
        """Begin; raise ValueError for an empty name."""
        if not name:
            raise ValueError("a controller needs a name")
        self._name = name
        self._for: GroupVersionKind | None = None
        self._owns: list[WatchedKind] = []
        self._sources: list[Callable[[Manager], Source[K]]] = []
        self._workers: int | None = None
        self._options: ControllerOptions | None = None
        self._listener: RunListener[K] | None = None

    def for_(
        self: "Builder[ObjectKey]",
        gvk: GroupVersionKind,
        *predicates: EventFilter,
        form: Form | None = None,
    ) -> "Builder[ObjectKey]":
        """Reconcile the objects of this kind; raise ValueError when called twice."""
        if self._for is not None:
            raise ValueError(f"controller {self._name} is for {self._for} already")
        self._for = gvk
        return self.watches(gvk, for_object(), *predicates, form=form)

    def owns(
        self: "Builder[ObjectKey]",
        kind: WatchedKind,
        *predicates: EventFilter,
        form: Form | None = None,
    ) -> "Builder[ObjectKey]":
        """Wake the controlling owner, of the kind given to `for_`, of each object of this kind."""

        def source(manager: Manager) -> Source[ObjectKey]:
            owner = self._owner()
            informer = _informer(manager, kind, form)

            async def make() -> Source[ObjectKey]:
                # Only the server knows whether the owner has a namespace; by now the cache has
                # the owner's kind, so the answer is at hand.
                resource = await manager.discovery.resource(owner)
                handler = for_owner(
                    owner.group_kind, uids=manager.cache, cluster_scoped=not resource.namespaced
                )
                return KindSource(informer, handler, *predicates, kind=_name(kind))

            return DeferredSource(make)

        self._owns.append(kind)
        self._sources.append(source)
        return self

    def watches(
        self,
        kind: WatchedKind,
        handler: EventHandler[K],
        *predicates: EventFilter,
        form: Form | None = None,
    ) -> "Builder[K]":
        """Wake whom `handler` names for each event of this kind."""

        def source(manager: Manager) -> Source[K]:
            informer = _informer(manager, kind, form)
            return KindSource(informer, handler, *predicates, kind=_name(kind))

        self._sources.append(source)
        return self

    def watches_source(self, source: Source[K]) -> "Builder[K]":
        """Wake whom `source` names, for example a `ChannelSource`."""
        self._sources.append(lambda _manager: source)
        return self

    def with_options(
        self,
        options: ControllerOptions | None = None,
        *,
        workers: int | None = None,
        listener: RunListener[K] | None = None,
    ) -> "Builder[K]":
        """Set how the controller works; what is not set is as the manager's options say.

        `workers`, how many keys run at once, wins over `options.workers`; without both the
        manager's `workers_by_kind` and then its `controllers` count. `listener` is told of every
        run.
        """
        self._options = options or self._options
        self._workers = self._workers if workers is None else workers
        self._listener = listener or self._listener
        return self

    def build(self, manager: Manager, reconciler: Reconciler[K]) -> Controller[K]:
        """Make the controller, register its kinds with the cache, and add it to the manager.

        Raises ValueError when nothing would ever wake it, when it owns kinds without being for
        one, for senseless options, and for a name that the manager has already.
        """
        if not self._sources:
            raise ValueError(f"nothing wakes controller {self._name}: it needs for_ or watches")
        if self._owns:
            self._owner()
        queue = WorkQueue[Request[K]](
            self._name,
            clock=manager.clock,
            backoff=ItemBackoff(ExponentialBackoff(), manager.random),
            metrics=manager.metrics.queue(self._name),
        )
        built = Controller(
            self._name,
            reconciler,
            sources=[source(manager) for source in self._sources],
            queue=queue,
            clock=manager.clock,
            random=manager.random,
            metrics=manager.metrics.controller(self._name),
            options=self._effective(manager.options),
            gate=manager.gate,
            listener=self._listener,
        )
        manager.add(built, Phase.CONTROLLERS, name=self._name)
        return built

    def _effective(self, defaults: ManagerOptions) -> ControllerOptions:
        if self._options is not None:
            own = self._options
        else:
            own = replace(defaults.controllers, cache_sync_timeout=defaults.cache_sync_timeout)
            if self._for is not None:
                kind = self._for.group_kind
                own = replace(own, workers=defaults.workers_by_kind.get(kind, own.workers))
        return own if self._workers is None else replace(own, workers=self._workers)

    def _owner(self) -> GroupVersionKind:
        if self._for is None:
            kinds = ", ".join(map(_name, self._owns))
            raise ValueError(f"controller {self._name} owns {kinds} and needs for_ to say for whom")
        return self._for


@final
@dataclass(frozen=True, slots=True)
class _FunctionReconciler(Generic[K]):
    function: ReconcileFunction[K]

    async def reconcile(self, request: Request[K]) -> Result:
        return await self.function(request)


@final
@dataclass(frozen=True, slots=True)
class _ObjectReconciler(Generic[T]):
    gvk: GroupVersionKind
    reader: Reader
    function: Callable[[T], Awaitable[Result]]
    decode: Callable[[Manifest], T]

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        manifest = await self.reader.get(self.gvk, request.key)
        if manifest is None:
            return DONE
        try:
            decoded = self.decode(manifest)
        except ValueError as error:
            message = f"{self.gvk.kind} {request.key} cannot be used: {error}"
            raise TerminalError("InvalidObject", message) from error
        return await self.function(decoded)


def _informer(manager: Manager, kind: WatchedKind, form: Form | None) -> Watchable:
    if isinstance(kind, OptionalKind):
        return manager.cache.register_optional(kind, form=form)
    return manager.cache.register(kind, form=form)


def _name(kind: WatchedKind) -> str:
    return str(kind.group_kind if isinstance(kind, OptionalKind) else kind)
