"""The objects of one kind by key and by index; every change returns the events it amounts to."""

import sys
from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias, final

from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.meta import LabelSelector, ObjectKey, StoredObject
from smbpctl.runtime.store.index import Index, IndexFunction, Spaces, owner_uids
from smbpctl.runtime.store.size import EMPTY_STORE_BYTES, size_of
from smbpctl.runtime.store.version import older

Events: TypeAlias = list[Event]
Objects: TypeAlias = list[StoredObject]


@final
class Listing:
    """The answer to a list, gathered object by object; of two of one key the later counts.

    Objects equal to those a store holds are shared with it: a relist costs no second copy.
    """

    __slots__ = ("_gone", "_held", "spaces")

    def __init__(self, held: Spaces) -> None:
        self._held = held
        self._gone: dict[tuple[str, str], str] = {}
        self.spaces: Spaces = {}

    def add(self, stored: StoredObject) -> None:
        """Take in one object of the answer."""
        held = find(self._held, stored) if self._held else None
        shared = held if held is not None and held == stored else stored
        self.spaces.setdefault(stored.meta.namespace, {})[stored.meta.name] = shared

    def put(self, stored: StoredObject) -> None:
        """Take in an event of an answer that comes as a stream, unless it is an echo."""
        known, version = find(self.spaces, stored), stored.meta.resource_version
        if known is not None:
            seen = known.meta.resource_version
        else:
            seen = self._gone.get((stored.meta.namespace, stored.meta.name), "")
        if _is_news(version, seen):
            self.add(stored)

    def discard(self, stored: StoredObject) -> None:
        """Take out what is deleted before a stream is complete, `stored` being the last state."""
        known, version = find(self.spaces, stored), stored.meta.resource_version
        if known is not None and older(version, known.meta.resource_version):
            return
        position = stored.meta.namespace, stored.meta.name
        self._gone[position] = _later(self._gone.get(position, ""), version)
        if known is not None:
            del self.spaces[stored.meta.namespace][stored.meta.name]


def find(spaces: Spaces, stored: StoredObject) -> StoredObject | None:
    """Return the object with the key of `stored`."""
    space = spaces.get(stored.meta.namespace)
    return None if space is None else space.get(stored.meta.name)


@final
class Store:
    """What an informer knows of one kind. Only the informer writes; anyone may read.

    Invariants, whatever the server sends and in whatever order:

    * per key, the events returned are a history: `Created` first, `Updated` only between two
      states of one UID, `Deleted` once; another UID under the same name is told as `Deleted`
      followed by `Created`;
    * an object never goes back to an older resourceVersion by `put` or `remove`, and a repeated
      event of a deleted object does not bring it back; only `replace` is believed as it is;
    * indexes and `bytes()` always describe exactly the objects held.

    Stored objects are shared and must not be changed; `StoredObject.manifest` is a private copy.
    """

    __slots__ = (
        "_all_indexes",
        "_bytes",
        "_count",
        "_history",
        "_indexes",
        "_owners",
        "_size",
        "_spaces",
        "_version",
    )

    def __init__(self) -> None:
        # By namespace, then by name: this is the namespace index, and needs no key objects.
        self._spaces: Spaces = {}
        self._owners = Index("owner uid", owner_uids)
        self._indexes: dict[str, Index] = {}
        self._all_indexes: tuple[Index, ...] = (self._owners,)
        self._count = 0
        self._bytes = 0
        self._size = 0
        self._version = ""
        self._history = ""

    @property
    def resource_version(self) -> str:
        """Return how far the server's history is known: by a list, an event or a bookmark."""
        return self._version

    def __len__(self) -> int:
        return self._count

    def bytes(self) -> int:
        """Return the bytes of JSON held; metadata and indexes come on top."""
        return self._bytes

    def memory(self) -> int:
        """Return about how many bytes all this takes: JSON, metadata, tables and indexes.

        What objects share (labels, owner references, field sets) counts once for each of them
        only where it is rarely shared. Costs no walk over the objects.
        """
        tables = sys.getsizeof(self._spaces) + sum(map(sys.getsizeof, self._spaces.values()))
        indexes = sum(index.memory() for index in self._all_indexes)
        return EMPTY_STORE_BYTES + self._size + tables + indexes

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key."""
        space = self._spaces.get(key.namespace)
        return None if space is None else space.get(key.name)

    def keys(self) -> list[ObjectKey]:
        """Return all keys, sorted."""
        return [
            ObjectKey(namespace, name)
            for namespace in sorted(self._spaces)
            for name in sorted(self._spaces[namespace])
        ]

    def unsorted(self) -> Objects:
        """Return all objects in no particular order: sorting many would stop the event loop."""
        return [stored for space in self._spaces.values() for stored in space.values()]

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """Return the objects of one namespace (None: of all), sorted by key."""
        spaces = sorted(self._spaces) if namespace is None else [namespace]
        return [
            space[name]
            for space in (self._spaces.get(each, {}) for each in spaces)
            for name in sorted(space)
            if selector is None or selector.matches(space[name].meta.labels)
        ]

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects to which index `name` gives `value`, sorted by key.

        Raise `IndexMissing` when no such index was added.
        """
        return self._index(name).find(value)

    def index_values(self, name: str, stored: StoredObject) -> Collection[str]:
        """Return the values that index `name` gives to an object, held or not.

        Raise `IndexMissing` when no such index was added.
        """
        return self._index(name).values_of(stored)

    def by_owner(self, uid: str) -> Objects:
        """Return the objects with an owner reference, controlling or not, to this UID."""
        return self._owners.find(uid)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add or replace an index over the objects held and all to come."""
        index = Index(name, function)
        for space in self._spaces.values():
            for stored in space.values():
                index.add(stored)
        self._indexes[name] = index
        self._all_indexes = (self._owners, *self._indexes.values())

    def twin(self) -> "Store":
        """Return an empty store with the same indexes."""
        other = Store()
        for name, index in self._indexes.items():
            other.add_index(name, index.function)
        return other

    def held(self, stored: StoredObject) -> StoredObject | None:
        """Return the object held under the key of `stored`."""
        return find(self._spaces, stored)

    @property
    def changed_at(self) -> str:
        """Return the version of the last list or event, whatever bookmarks said since."""
        return self._history

    def behind(self, other: "Store") -> bool:
        """Tell whether `other` certainly knows a later change than this store does."""
        return older(self._version, other.changed_at)

    def differences(self, later: "Store", *, initial: bool) -> Events:
        """Return what changed from this store to `later`, as handlers of this one are told it."""
        events: Events = []
        events += [
            Deleted(known, final_state_unknown=True)
            for known in self.list()
            if later.held(known) is None
        ]
        for stored in later.list():
            held = find(self._spaces, stored)
            if not _same_version(held, stored):
                events += _told(held, stored, initial=initial)
        return events

    def put(self, stored: StoredObject) -> Events:
        """Take in the state of an object; return no events when it is no news."""
        version = stored.meta.resource_version
        self._version = _later(self._version, version)
        known = find(self._spaces, stored)
        seen = self._history if known is None else known.meta.resource_version
        if not _is_news(version, seen):
            return []
        self._history = _later(self._history, version)
        return self._set(stored, known, initial=False)

    def remove(self, stored: StoredObject) -> Events:
        """Take in a deletion, `stored` being the last state; ignored when it is an old one."""
        self.advance(stored.meta.resource_version)
        known = find(self._spaces, stored)
        if known is None or older(stored.meta.resource_version, known.meta.resource_version):
            return []
        self._history = _later(self._history, stored.meta.resource_version)
        self._drop(known)
        if known.meta.uid != stored.meta.uid:
            return [Deleted(known, final_state_unknown=True)]
        return [Deleted(stored)]

    def replace(
        self, objects: Iterable[StoredObject], resource_version: str, initial: bool
    ) -> Events:
        """Make the store hold exactly `objects`, the answer to a list; return the difference."""
        listing = self.listing()
        for stored in objects:
            listing.add(stored)
        steps = self.replacing(listing, resource_version, initial=initial)
        return [event for events in steps for event in events]

    def listing(self) -> Listing:
        """Return an empty listing, to be gathered and given to `replacing`."""
        return Listing(self._spaces)

    def replacing(
        self, listing: Listing, resource_version: str, *, initial: bool
    ) -> Iterator[Events]:
        """Do what `replace` does one object at a time; give the events of each, often none.

        So that a large difference can be made and told in slices of time; nothing else may write
        to the store meanwhile, and steps that are not taken leave the old resourceVersion in
        place. Deletions come first. The list is believed where it contradicts what is held, also
        with older versions: it is a consistent read. Other bytes of the same version are taken
        in without an event: lists leave out kind and apiVersion where watches do not, and a
        changed schema changes defaults but no version.
        """
        for known in self.unsorted():
            yield [] if find(listing.spaces, known) else self._vanished(known)
        for space in listing.spaces.values():
            for stored in space.values():
                yield self._listed(stored, initial=initial)
        self._version = self._history = resource_version

    def _index(self, name: str) -> Index:
        index = self._indexes.get(name)
        if index is None:
            raise IndexMissing(f"there is no index {name!r}; add it with add_index")
        return index

    def _vanished(self, known: StoredObject) -> Events:
        self._drop(known)
        return [Deleted(known, final_state_unknown=True)]

    def _listed(self, stored: StoredObject, *, initial: bool) -> Events:
        held = find(self._spaces, stored)
        if held is stored or held == stored:
            return []
        events = self._set(stored, held, initial=initial)
        return [] if _same_version(held, stored) else events

    def advance(self, resource_version: str) -> None:
        """Note that the server's history is known up to here; never goes back."""
        self._version = _later(self._version, resource_version)

    def _set(self, stored: StoredObject, known: StoredObject | None, *, initial: bool) -> Events:
        meta = stored.meta
        space = self._spaces.get(meta.namespace)
        if space is None:
            space = self._spaces[meta.namespace] = {}
        space[meta.name] = stored
        self._bytes += len(stored.raw)
        self._size += size_of(stored)
        if known is None:
            self._count += 1
            for index in self._all_indexes:
                index.add(stored)
        else:
            self._bytes -= len(known.raw)
            self._size -= size_of(known)
            for index in self._all_indexes:
                index.replace(known, stored)
        return _told(known, stored, initial=initial)

    def _drop(self, known: StoredObject) -> None:
        space = self._spaces[known.meta.namespace]
        del space[known.meta.name]
        if not space:
            del self._spaces[known.meta.namespace]
        self._count -= 1
        self._bytes -= len(known.raw)
        self._size -= size_of(known)
        for index in self._all_indexes:
            index.discard(known)


def _told(known: StoredObject | None, stored: StoredObject, *, initial: bool) -> Events:
    """Return the events that lead from `known` to `stored`."""
    if known is None:
        return [Created(stored, initial=initial)]
    if known.meta.uid == stored.meta.uid:
        return [Updated(known, stored)]
    return [Deleted(known, final_state_unknown=True), Created(stored, initial=initial)]


def _is_news(version: str, seen: str) -> bool:
    """Tell whether a state is newer than what was seen of its key.

    An absent object was last seen when the last list or event was: older states of it are echoes
    from before its deletion. A state without a version may always be new.
    """
    return not version or not seen or (version != seen and not older(version, seen))


def _same_version(held: StoredObject | None, stored: StoredObject) -> bool:
    return (
        held is not None
        and held.meta.uid == stored.meta.uid
        and held.meta.resource_version == stored.meta.resource_version != ""
    )


def _later(current: str, version: str) -> str:
    return version if version and not older(version, current) else current
