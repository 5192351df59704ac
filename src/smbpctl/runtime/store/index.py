"""One index of a store: values computed from an object, and the objects that have them."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, final

import structlog

from smbpctl.runtime.meta import StoredObject

IndexFunction: TypeAlias = Callable[[StoredObject], Iterable[str]]
"""Returns the values under which an object is found; none, one or several."""

_log = structlog.get_logger()


@final
class Index:
    """Objects by the values a function gives them.

    A function that raises on an object leaves that object out of the index, and the error is
    logged: one odd object must not stop the informer that delivers it.
    """

    __slots__ = ("_function", "_name", "_values")

    def __init__(self, name: str, function: IndexFunction) -> None:
        self._name = name
        self._function = function
        self._values: dict[str, dict[tuple[str, str], StoredObject]] = {}

    def add(self, stored: StoredObject) -> None:
        """Take in an object, in place of the one of the same key and values if there is one."""
        for value in self.values_of(stored):
            self._values.setdefault(value, {})[_position(stored)] = stored

    def discard(self, stored: StoredObject) -> None:
        """Forget an object that was added."""
        for value in self.values_of(stored):
            bucket = self._values.get(value)
            if bucket is None:
                continue
            bucket.pop(_position(stored), None)
            if not bucket:
                del self._values[value]

    def find(self, value: str) -> list[StoredObject]:
        """Return the objects that have this value, sorted by key."""
        bucket = self._values.get(value, {})
        return [bucket[position] for position in sorted(bucket)]

    def values_of(self, stored: StoredObject) -> tuple[str, ...]:
        """Return the values of an object, none when the function fails on it."""
        try:
            return tuple(self._function(stored))
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
    return [owner.uid for owner in stored.meta.owner_references or ()]


def _position(stored: StoredObject) -> tuple[str, str]:
    # A plain tuple: unlike an ObjectKey the garbage collector stops looking at it.
    return stored.meta.namespace, stored.meta.name
