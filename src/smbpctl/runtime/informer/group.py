"""Several informers of one kind, one for each namespace, read and watched as one."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, final

from smbpctl.runtime.informer.client import Form
from smbpctl.runtime.informer.handlers import Handler, HandlerRegistration
from smbpctl.runtime.informer.informer import STATES, Informer
from smbpctl.runtime.informer.listwatch import InformerState
from smbpctl.runtime.informer.standing import Standing
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    ObjectKey,
    StoredObject,
)
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.store import IndexFunction, Projection

Objects: TypeAlias = list[StoredObject]

# Of several informers the one that stands worst is shown: what is wrong must not hide.
_WORST_FIRST = (
    InformerState.FORBIDDEN,
    InformerState.DEGRADED,
    InformerState.ABSENT,
    InformerState.INIT,
    InformerState.LISTING,
    InformerState.STREAMING,
)


@final
class InformerGroup:
    """The informers of one kind in several namespaces, with the surface of a single `Informer`.

    For who may not read all namespaces. Handlers are told by each informer in turn: the order of
    events between namespaces is not defined, within one it is. Reads concatenate, sorted by key.
    It is synced when all are, and stands as the worst of them does.
    """

    def __init__(
        self,
        namespaces: Iterable[str],
        make: Callable[[str], Informer],
        *,
        metrics: Metrics | None = None,
    ) -> None:
        """Prepare one informer for each namespace, made by `make`, without metrics of its own.

        Raise ValueError when there is no namespace, or when one of them is empty: that means all.
        """
        self._members: Mapping[str, Informer] = {name: make(name) for name in sorted({*namespaces})}
        if "" in self._members or not self._members:
            raise ValueError("a group of informers needs namespaces; a single informer has all")
        if metrics is not None:
            metrics.informer(self.gvk).watch(self, STATES)

    @property
    def members(self) -> Mapping[str, Informer]:
        """Return the informers by namespace, sorted."""
        return self._members

    @property
    def gvk(self) -> GroupVersionKind:
        """Return the kind."""
        return self._first.gvk

    @property
    def form(self) -> Form:
        """Return how much is kept of every object."""
        forms = {member.form for member in self._members.values()}
        return Form.FULL if forms == {Form.FULL} else Form.METADATA

    @property
    def namespaces(self) -> Sequence[str]:
        """Return the namespaces that are listed and watched, sorted."""
        return tuple(self._members)

    @property
    def selector(self) -> LabelSelector | None:
        """Return the label selector that limits what is listed and watched."""
        return self._first.selector

    @property
    def fields(self) -> FieldSelector | None:
        """Return the field selector that limits what is listed and watched."""
        return self._first.fields

    @property
    def projection(self) -> Projection | None:
        """Return which fields are kept of each object; None where all are."""
        return self._first.projection

    @property
    def standing(self) -> Standing:
        """Return how the one stands that stands worst; the reason names its namespace."""
        stood = [(member.standing, namespace) for namespace, member in self._members.items()]
        standing, namespace = min(stood, key=lambda each: _WORST_FIRST.index(each[0].state))
        if not standing.reason:
            return standing
        reason = f"namespace {namespace}: {standing.reason}"
        return Standing(standing.state, reason, standing.verb, standing.since)

    @property
    def state(self) -> InformerState:
        """Return what the one is doing that stands worst."""
        return self.standing.state

    @property
    def reason(self) -> str:
        """Return what last went wrong there; empty while all is well."""
        return self.standing.reason

    @property
    def synced(self) -> bool:
        """Tell whether the first list of every namespace is complete and was told."""
        return all(member.synced for member in self._members.values())

    async def wait_synced(self) -> None:
        """Return when synced; needs `run` to be running."""
        for member in self._members.values():
            await member.wait_synced()

    def state_name(self) -> str:
        """Return the state as metrics show it."""
        return self.state.value

    def object_count(self) -> int:
        """Return how many objects the stores hold."""
        return sum(member.object_count() for member in self._members.values())

    def byte_count(self) -> int:
        """Return the size of the stored JSON in bytes."""
        return sum(member.byte_count() for member in self._members.values())

    def memory(self) -> int:
        """Return about how many bytes the stores take."""
        return sum(member.memory() for member in self._members.values())

    def last_event_age(self) -> float:
        """Return the seconds since the server was last heard of for the quietest namespace.

        NaN while one was never heard of: a dead watch must not hide behind a lively one.
        """
        ages = [member.last_event_age() for member in self._members.values()]
        return math.nan if any(map(math.isnan, ages)) else max(ages)

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key; None also outside the namespaces of the group."""
        member = self._members.get(key.namespace)
        return None if member is None else member.get(key)

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """Return the objects of one namespace (None: of all in the group), sorted by key."""
        if namespace is None:
            return self._all(lambda member: member.list(selector=selector))
        member = self._members.get(namespace)
        return [] if member is None else member.list(selector=selector)

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects to which an index gives `value`, sorted; raise IndexMissing."""
        return self._all(lambda member: member.by_index(name, value))

    def by_owner(self, uid: str) -> Objects:
        """Return the objects with an owner reference, controlling or not, to this UID."""
        return self._all(lambda member: member.by_owner(uid))

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add or replace an index over the objects held and all to come."""
        for member in self._members.values():
            member.add_index(name, function)

    def add_handler(self, fn: Handler) -> HandlerRegistration:
        """Call `fn` for every event from now on, and with `Created` for all that is known."""
        return HandlerRegistration(
            self, *[member.add_handler(fn) for member in self._members.values()]
        )

    def on_standing(self, listener: Callable[[Standing], None]) -> None:
        """Call `listener` with the group's standing whenever that of a member changes."""
        for member in self._members.values():
            member.on_standing(lambda _: listener(self.standing))

    def raise_form(self, form: Form) -> None:
        """Keep at least `form` of each object: from the start, or as soon as it is there."""
        for member in self._members.values():
            member.raise_form(form)

    async def wait_full(self) -> None:
        """Return when all objects are kept in full, after `raise_form`."""
        for member in self._members.values():
            await member.wait_full()

    async def run(self) -> None:
        """Run all informers until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for member in self._members.values():
                tasks.create_task(member.run())

    async def forget(self) -> None:
        """Tell every object as deleted and hold none, after `run` was cancelled."""
        for member in self._members.values():
            await member.forget()

    @property
    def _first(self) -> Informer:
        return next(iter(self._members.values()))

    def _all(self, read: Callable[[Informer], Objects]) -> Objects:
        """Concatenate: the namespaces are sorted, and so is what each has."""
        return [stored for member in self._members.values() for stored in read(member)]
