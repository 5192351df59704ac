"""One index of a store: values computed from an object, and the objects that have them."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeAlias, final

import structlog

from smbpctl.runtime.meta import StoredObject

IndexFunction: TypeAlias = Callable[[StoredObject], Iterable[str]]
"""Returns the values under which an object is found; none, one or several."""

Spaces: TypeAlias = dict[str, dict[str, StoredObject]]
"""Objects by namespace, then by name: needs no key objects."""

# What a value's string takes, and an object's place in a table of its own; see `Index.memory`.
_VALUE_BYTES, _TABLE_BYTES, _ENTRY_BYTES = 72, 400, 40

_log = structlog.get_logger()


@final
class Index:
    """Objects by the values a function gives them.

    A function that raises on an object leaves that object out of the index, and the error is
    logged: one odd object must not stop the informer that delivers it.
    """

    __slots__ = ("_crowded", "_entries", "_name", "_values", "function")

    def __init__(self, name: str, function: IndexFunction) -> None:
        self.function: IndexFunction = function
        self._name = name
        # Many indexes have one object for most values: that needs no table of its own.
        self._values: dict[str, StoredObject | Spaces] = {}
        self._crowded = 0
        self._entries = 0

    def add(self, stored: StoredObject) -> None:
        """Take in an object, in place of the one of the same key and values if there is one."""
        for value in self.values_of(stored):
            found = self._values.get(value)
            if found is None or (isinstance(found, StoredObject) and _same(found, stored)):
                self._values[value] = stored
            elif isinstance(found, StoredObject):
                spaces: Spaces = {}
                self._crowded += 1
                self._values[value] = spaces
                self._put(spaces, found)
                self._put(spaces, stored)
            else:
                self._put(found, stored)

    def discard(self, stored: StoredObject) -> None:
        """Forget an object that was added."""
        for value in self.values_of(stored):
            found = self._values.get(value)
            if isinstance(found, dict):
                self._drop(found, stored)
                if not found:
                    self._crowded -= 1
                    del self._values[value]
            elif found is not None and _same(found, stored):
                del self._values[value]

    def replace(self, known: StoredObject, stored: StoredObject) -> None:
        """Take in an object in place of another state of it that was added."""
        if self.values_of(known) != self.values_of(stored):
            self.discard(known)
        self.add(stored)

    def find(self, value: str) -> list[StoredObject]:
        """Return the objects that have this value, sorted by key."""
        found = self._values.get(value)
        if found is None:
            return []
        if isinstance(found, StoredObject):
            return [found]
        return [found[space][name] for space in sorted(found) for name in sorted(found[space])]

    def memory(self) -> int:
        """Return about how many bytes the index takes, without the objects."""
        return (
            sys.getsizeof(self._values)
            + len(self._values) * _VALUE_BYTES
            + self._crowded * _TABLE_BYTES
            + self._entries * _ENTRY_BYTES
        )

    def _put(self, spaces: Spaces, stored: StoredObject) -> None:
        space = spaces.setdefault(stored.meta.namespace, {})
        self._entries += stored.meta.name not in space
        space[stored.meta.name] = stored

    def _drop(self, spaces: Spaces, stored: StoredObject) -> None:
        space = spaces.get(stored.meta.namespace, {})
        if space.pop(stored.meta.name, None) is not None:
            self._entries -= 1
            if not space:
                del spaces[stored.meta.namespace]

    def values_of(self, stored: StoredObject) -> tuple[str, ...]:
        """Return the values of an object, none when the function fails on it."""
        try:
            return tuple(self.function(stored))
        except Exception as error:
            _log.error(
                "index function failed",
                index=self._name,
                kind=str(stored.gvk),
                key=str(stored.key),
                error=repr(error),
            )
            return ()


def owner_uids(stored: StoredObject) -> Iterable[str]:
    """Index function: the UIDs of all owners."""
    owners = stored.meta.owner_references
    return [owner.uid for owner in owners] if owners else ()


def _same(one: StoredObject, other: StoredObject) -> bool:
    return one.meta.name == other.meta.name and one.meta.namespace == other.meta.namespace
