"""Which events matter: predicates over events, combined with `&`, `|` and `~`.

A predicate filters what wakes a controller, not what the cache holds. The `*_changed` family
judges updates only and passes everything else. None of it hides another UID or the start of a
deletion, because a controller that misses that leaves its finalizer on the object for ever: all
but `resource_version_changed`, which sees it anyway, pass every update of a terminating object.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias, final

import msgspec

from smbpctl.runtime.event import Created, Deleted, Event, Generic, Updated
from smbpctl.runtime.meta import LabelSelector, ObjectMeta, StoredObject

EventFilter: TypeAlias = Callable[[Event], bool]
"""Anything that judges an event; a `Predicate` is one, and so is a plain function."""


@final
class Predicate:
    """A judgement on events that combines with others: `spec_changed() | labels_changed()`.

    The wrapped function must be quick, must not wait, and must depend on the event alone.
    """

    __slots__ = ("_accepts",)

    def __init__(self, accepts: EventFilter) -> None:
        self._accepts = accepts

    def __call__(self, event: Event) -> bool:
        """Tell whether the event matters."""
        return self._accepts(event)

    def __and__(self, other: EventFilter) -> "Predicate":
        """Pass what both pass."""
        return Predicate(lambda event: self(event) and other(event))

    def __or__(self, other: EventFilter) -> "Predicate":
        """Pass what either passes."""
        return Predicate(lambda event: self(event) or other(event))

    def __invert__(self) -> "Predicate":
        """Pass what this one does not."""
        return Predicate(lambda event: not self(event))


def _changed(differs: Callable[[Updated], bool]) -> Predicate:
    def accepts(event: Event) -> bool:
        if not isinstance(event, Updated):
            return True
        old, new = event.old.meta, event.object.meta
        return old.uid != new.uid or new.deletion_timestamp is not None or differs(event)

    return Predicate(accepts)


def spec_changed() -> Predicate:
    """Pass updates that changed what the user asks for, by `metadata.generation`.

    Status writes and resyncs are dropped. Kinds without a generation (Secrets, ConfigMaps) pass
    when their resourceVersion differs.
    """

    def differs(event: Updated) -> bool:
        old, new = event.old.meta, event.object.meta
        if old.generation == 0 or new.generation == 0:
            return old.resource_version != new.resource_version
        return old.generation != new.generation

    return _changed(differs)


def resource_version_changed() -> Predicate:
    """Pass updates that changed anything at all, and so drop resyncs."""

    def accepts(event: Event) -> bool:
        return not isinstance(event, Updated) or _version(event.old) != _version(event.object)

    return Predicate(accepts)


def _version(obj: StoredObject) -> tuple[str, str]:
    return obj.meta.uid, obj.meta.resource_version


def labels_changed() -> Predicate:
    """Pass updates that changed the labels; no labels and empty labels are the same."""
    return _changed(lambda event: _labels(event.old.meta) != _labels(event.object.meta))


def _labels(meta: ObjectMeta) -> Mapping[str, str]:
    return meta.labels or {}


def annotations_changed() -> Predicate:
    """Pass updates that changed the annotations; none and empty are the same.

    The cache does not keep annotations decoded: each judged update costs two small decodings.
    """
    return _changed(lambda event: _annotations(event.old) != _annotations(event.object))


class _AnnotatedMeta(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Annotated(msgspec.Struct):
    metadata: _AnnotatedMeta


_ANNOTATED = msgspec.json.Decoder(_Annotated)


def _annotations(obj: StoredObject) -> dict[str, str]:
    return _ANNOTATED.decode(obj.raw).metadata.annotations or {}


def label_selector(selector: LabelSelector) -> Predicate:
    """Pass events of selected objects; an update also when the object was selected before it.

    Whoever acts on the selected objects thus learns that one has left.
    """

    def accepts(event: Event) -> bool:
        if isinstance(event, Updated) and selector.matches(event.old.meta.labels):
            return True
        return selector.matches(event.object.meta.labels)

    return Predicate(accepts)


def only(*event_types: type[Created | Updated | Deleted | Generic]) -> Predicate:
    """Pass events of these types; raise ValueError when none is named."""
    if not event_types:
        raise ValueError("only() without an event type would drop every event")
    return Predicate(lambda event: isinstance(event, event_types))


def in_namespace(*namespaces: str) -> Predicate:
    """Pass events of objects in these namespaces; raise ValueError when none is named."""
    if not namespaces:
        raise ValueError("in_namespace() without a namespace would drop every event")
    wanted = frozenset(namespaces)
    return Predicate(lambda event: event.object.meta.namespace in wanted)
