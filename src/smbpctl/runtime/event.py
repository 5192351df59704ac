"""What an informer tells: plain values that say which object appeared, changed or went."""

from enum import StrEnum
from typing import TypeAlias, final

import msgspec

from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, StoredObject


@final
class Created(msgspec.Struct, frozen=True, gc=False):
    """An object is new to the cache. `initial` marks those of the first complete list."""

    object: StoredObject
    initial: bool = False


@final
class Updated(msgspec.Struct, frozen=True, gc=False):
    """An object changed. `old` and `object` always have the same UID.

    A name that was deleted and created again is told as `Deleted` followed by `Created`, also
    when the informer saw only the ends. A resync tells equal `old` and `object`.
    """

    old: StoredObject
    object: StoredObject


@final
class Deleted(msgspec.Struct, frozen=True, gc=False):
    """An object is gone.

    `final_state_unknown` marks a deletion that was inferred from a list: `object` is then the
    last state the cache knew, not the last state there was.
    """

    object: StoredObject
    final_state_unknown: bool = False


@final
class Generic(msgspec.Struct, frozen=True, gc=False):
    """Something outside the API server concerns the object: a timer, a channel, a probe."""

    object: StoredObject


Event: TypeAlias = Created | Updated | Deleted | Generic
"""Any of the four; `event.object` is the newest state known."""


@final
class Trigger(StrEnum):
    """What woke a key."""

    LISTED = "listed"
    """The object was there at the start."""
    CREATED = "created"
    UPDATED = "updated"
    RESYNC = "resync"
    """The object is told again though it did not change."""
    DELETED = "deleted"
    GENERIC = "generic"
    """Something outside the API server, with or without an object."""
    REQUEUE = "requeue"
    """The last run asked to come back."""
    RETRY = "retry"
    """The last run failed."""


@final
class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why a key was woken: what happened, and to which object if to any.

    For people and telemetry only. A reconciler never sees it, so that missed, repeated and merged
    events change nothing. Made for every event, so it holds references and no copies.
    """

    trigger: Trigger
    gvk: GroupVersionKind | None = None
    namespace: str = ""
    name: str = ""
    resource_version: str = ""

    @property
    def key(self) -> ObjectKey:
        """Return the key of the object; without an object the empty key."""
        return ObjectKey(self.namespace, self.name)

    def same_as(self, other: "Cause") -> bool:
        """Tell whether both say the same of the same object, be it of another version."""
        return (
            self.name == other.name
            and self.trigger is other.trigger
            and self.namespace == other.namespace
            and self.gvk == other.gvk
        )

    def __str__(self) -> str:
        if self.gvk is None:
            return self.trigger.value
        version = f"@{self.resource_version}" if self.resource_version else ""
        return f"{self.trigger.value} {self.gvk.kind} {self.key}{version}"


Told: TypeAlias = tuple[float, Cause]
"""A cause, and when the queue was told of it, in seconds on its clock."""
