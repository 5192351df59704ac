"""Whom an event wakes: handlers turn an event into the requests of the keys it concerns.

A handler runs inside the informer: it must be quick and must not wait. It names each key once per
event; the queue merges what several events name.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from smbpctl.runtime.event import Deleted, Event, Updated
from smbpctl.runtime.meta import GroupKind, ObjectKey, OwnerReference, StoredObject
from smbpctl.runtime.reconcile import K, Request


class EventHandler(Protocol[K]):
    """Anything that names the keys to reconcile because of an event; a plain function will do."""

    def __call__(self, event: Event, /) -> Iterable[Request[K]]:
        """Return the requests that the event leads to; none is a fine answer."""
        ...


class OwnerUids(Protocol):
    """What is known about the owners: satisfied by the cache."""

    def uid_of(self, owner: GroupKind, key: ObjectKey) -> str | None:
        """Return the UID of the owner of that kind and name, None when none is known."""
        ...


def for_object() -> EventHandler[ObjectKey]:
    """Wake the object that the event is about."""

    def handle(event: Event) -> Iterable[Request[ObjectKey]]:
        return (Request(event.object.key),)

    return handle


def for_owner(
    owner: GroupKind,
    *,
    uids: OwnerUids,
    cluster_scoped: bool = False,
    controller_only: bool = True,
) -> EventHandler[ObjectKey]:
    """Wake the owners of that kind, whatever version the references name.

    An update wakes the owners of the old and of the new state. A reference to another UID than
    the one known belongs to a former object of that name and wakes nobody, except when the
    child is deleted: the present owner may be waiting for the name. An owner not known at all
    is woken, for the cache of owners may be behind that of the children.

    `cluster_scoped` says that the owner's kind has no namespace; `controller_only` ignores
    references that are not the controlling one.
    """

    def concerns(event: Event, reference: OwnerReference, key: ObjectKey) -> bool:
        if isinstance(event, Deleted):
            return True
        known = uids.uid_of(owner, key)
        return known is None or known == reference.uid

    def owners(event: Event) -> Iterable[ObjectKey]:
        for child in _states(event):
            namespace = "" if cluster_scoped else child.meta.namespace
            for reference in child.meta.owner_references or ():
                if reference.group_kind != owner or (controller_only and not reference.controller):
                    continue
                key = ObjectKey(namespace, reference.name)
                if concerns(event, reference, key):
                    yield key

    def handle(event: Event) -> Iterable[Request[ObjectKey]]:
        return [Request(key) for key in dict.fromkeys(owners(event))]

    return handle


def map_func(function: Callable[[StoredObject], Iterable[Request[K]]]) -> EventHandler[K]:
    """Wake whom `function` names for the object; on an update for the old state and the new."""

    def handle(event: Event) -> Iterable[Request[K]]:
        return dict.fromkeys(request for state in _states(event) for request in function(state))

    return handle


def _states(event: Event) -> tuple[StoredObject, ...]:
    return (event.old, event.object) if isinstance(event, Updated) else (event.object,)
