"""Estimates what a stored object takes in memory, from sizes that are measured once."""

import sys
from typing import Final

from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject
from smbpctl.runtime.store.labels import Labels

EMPTY_STORE_BYTES: Final = 2000
"""About what a store takes that holds nothing."""

_KIND = GroupVersionKind("", "v1", "Any")
_EMPTY = StoredObject(gvk=_KIND, meta=ObjectMeta(), raw=b"")

# The struct, its metadata, and the heads of its strings: name, UID and resourceVersion.
_FIXED = (
    sys.getsizeof(_EMPTY)
    + sys.getsizeof(_EMPTY.meta)
    + sys.getsizeof(_EMPTY.raw)
    + 3 * sys.getsizeof("")
    # CPython allocates in steps of sixteen bytes; six allocations end in the middle of one.
    + 6 * 8
)

# Labels are shared among objects that have the same ones, such as the pods of a StatefulSet. Most
# others differ in one value: the tuple of values is their own, and one of them at times.
_LABELS = sys.getsizeof(Labels((), ())) + sys.getsizeof(("", "", "")) + sys.getsizeof("") // 2


def size_of(stored: StoredObject) -> int:
    """Return about how many bytes of memory an object takes, without its place in tables."""
    meta = stored.meta
    return (
        _FIXED
        + len(stored.raw)
        + len(meta.name)
        + len(meta.uid)
        + len(meta.resource_version)
        + (0 if meta.labels is None else _LABELS)
    )
