"""A handler that checks what it is told against what it was told before, and what can be read."""

from dataclasses import dataclass, field
from typing import Protocol

from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.meta import ObjectKey, StoredObject


class Readable(Protocol):
    """Where a handler reads: an informer, or a group of them."""

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key."""
        ...


@dataclass
class Witness:
    """A handler that checks that what it is told is a history, per key."""

    informer: Readable
    held: dict[ObjectKey, StoredObject] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Check one event against those before it, and against the store."""
        key, known = event.object.key, self.held.get(event.object.key)
        self.told.append(event)
        self._check_view(event)
        match event:
            case Created(stored):
                assert known is None, f"{key} was created twice"
                self.held[key] = stored
            case Updated(old, stored):
                assert known is not None, f"{key} was updated before it was created"
                assert known.meta == old.meta, f"{key} was updated from a state never told"
                assert old.meta.uid == stored.meta.uid, f"{key} was updated across UIDs"
                assert int(old.meta.resource_version) < int(stored.meta.resource_version)
                self.held[key] = stored
            case Deleted(stored):
                assert known is not None, f"{key} was deleted without having been there"
                assert known.meta.uid == stored.meta.uid, f"another {key} was deleted"
                del self.held[key]
            case _:
                raise AssertionError(event)

    def _check_view(self, event: Event) -> None:
        """Who acts on the event reads a state at least as new as it."""
        read, told = self.informer.get(event.object.key), event.object.meta
        if isinstance(event, Deleted):
            assert read is None or read.meta.uid != told.uid, "what is deleted can be read"
        else:
            assert read is not None, "what is told cannot be read"
            assert int(read.meta.resource_version) >= int(told.resource_version)
