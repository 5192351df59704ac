"""Makes the informers of a cache, one for each namespace it sees, and their views."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeAlias, final

from smbpctl.runtime.cache.view import GroupView, KindView
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.consistency import Gate
from smbpctl.runtime.informer import (
    AnyInformer,
    Form,
    Informer,
    InformerGroup,
    InformerOptions,
    ListWatchClient,
)
from smbpctl.runtime.meta import FieldSelector, GroupVersionKind, LabelSelector
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.store import Projection

View: TypeAlias = KindView | GroupView


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a kind is cached: which objects, and which fields of them."""

    selector: LabelSelector | None = None
    fields: FieldSelector | None = None
    projection: Projection | None = None

    def __str__(self) -> str:
        parts = [
            self.selector and f"labels {self.selector.to_query()}",
            self.fields and f"fields {self.fields.to_query()}",
            self.projection and repr(self.projection),
        ]
        return ", ".join(str(part) for part in parts if part) or "everything"


EVERYTHING = Selection()
"""Every object in the cache's namespaces, with all its fields."""


@final
class InformerMaker:
    """Knows what all informers of one cache have in common."""

    def __init__(
        self,
        client: ListWatchClient,
        *,
        clock: Clock,
        random: Random,
        namespaces: Collection[str],
        field_owners: frozenset[str],
        metrics: Metrics | None,
        gate: Gate | None,
        resync: timedelta | None,
        discovery_changes: Callable[[], int],
    ) -> None:
        self._client = client
        self._clock = clock
        self._random = random
        self._namespaces = tuple(sorted(set(namespaces)))
        self._field_owners = field_owners
        self._metrics = metrics
        self._gate = gate
        self._resync = resync
        self._discovery_changes = discovery_changes

    def make(
        self, gvk: GroupVersionKind, form: Form, selection: Selection, *, namespaced: bool
    ) -> tuple[AnyInformer, View]:
        """Return a new informer of a kind, and its view."""
        scoped = self._namespaces if namespaced else ()
        if len(scoped) < 2:
            namespace = scoped[0] if scoped else ""
            informer = self._one(gvk, form, selection, self._metrics, namespace)
            return informer, self._view(informer)
        make = partial(self._one, gvk, form, selection, None)
        group = InformerGroup(scoped, make, metrics=self._metrics)
        views = {name: self._view(member) for name, member in group.members.items()}
        return group, GroupView(group, views)

    def _one(
        self,
        gvk: GroupVersionKind,
        form: Form,
        selection: Selection,
        metrics: Metrics | None,
        namespace: str,
    ) -> Informer:
        options: InformerOptions = {
            "fields": selection.fields,
            "projection": selection.projection,
            "resync": self._resync,
            "discovery_changes": self._discovery_changes,
        }
        return Informer(
            gvk,
            self._client,
            clock=self._clock,
            random=self._random,
            namespace=namespace,
            selector=selection.selector,
            form=form,
            field_owners=self._field_owners,
            metrics=metrics,
            **options,
        )

    def _view(self, informer: Informer) -> KindView:
        view = KindView(informer)
        if self._gate is not None:
            informer.on_progress(partial(self._gate.progressed, view))
        return view
