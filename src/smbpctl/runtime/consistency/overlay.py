"""What is known of objects beyond what a store holds: the answers to our own writes."""

from collections.abc import Callable
from typing import Protocol, final

import msgspec

from smbpctl.runtime.meta import Manifest, ObjectKey, StoredObject
from smbpctl.runtime.store import older


class StoreView(Protocol):
    """The part of a store that an overlay lies over."""

    @property
    def resource_version(self) -> str:
        """Return how far the server's history is known."""
        ...

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key."""
        ...

    def list(self, namespace: str | None = None) -> list[StoredObject]:
        """Return the objects of one namespace (None: of all)."""
        ...


@final
class Pending:
    """One object of which more is known than the store holds, until the store has caught up.

    `uid` and `version` are the newest state known. `stored` is that state, where its content is
    known too. `deletion` is the moment of a deletion that was accepted, `absent` says that the
    server has no such object any more, `lost` that a write went unanswered: then only a live
    read helps.
    """

    __slots__ = ("absent", "deletion", "key", "lost", "settled", "stored", "uid", "version")

    def __init__(self, key: ObjectKey, uid: str, version: str) -> None:
        self.key: ObjectKey = key
        self.uid: str = uid
        self.version: str = version
        self.stored: StoredObject | None = None
        self.deletion: str = ""
        self.absent: bool = False
        self.lost: bool = False
        self.settled: bool = False
        """Whether the store has caught up, or something newer has taken this one's place."""

    def seen(self, held: StoredObject | None, known: str) -> bool:
        """Tell whether a store that knows the history up to `known` is no longer behind."""
        if self.lost:
            return False
        other = held is None or held.meta.uid != self.uid
        if self.absent:
            # A store that is behind its creation has yet to hear of an object that is gone.
            return other and (not self.version or _reached(known, self.version))
        reached = _reached(known, self.version) or (
            held is not None and not other and _reached(held.meta.resource_version, self.version)
        )
        if not reached or not self.deletion:
            return reached
        return other or (held is not None and held.meta.deletion_timestamp is not None)

    def view(self, held: StoredObject | None, known: str) -> StoredObject | None:
        """Return the object as it is known to be, given what the store holds."""
        if self.seen(held, known):
            return held
        if self.absent:
            return None if held is None or self._outlived(held) else held
        newest = self._newer_of(held)
        if newest is None or newest.meta.uid != self.uid or not self.deletion:
            return newest
        return newest if newest.meta.deletion_timestamp else _terminating(newest, self.deletion)

    def _newer_of(self, held: StoredObject | None) -> StoredObject | None:
        if self.stored is None or held is None or held.meta.uid != self.uid:
            return self.stored or held
        late = older(self.stored.meta.resource_version, held.meta.resource_version)
        return held if late else self.stored

    def _outlived(self, held: StoredObject) -> bool:
        """Tell whether `held` is the object known here, or one that had the name before it."""
        return held.meta.uid == self.uid or older(held.meta.resource_version, self.version)


@final
class Overlay:
    """The pending states over the store of one informer. Read-side only: no event comes from here.

    Invariants: what was answered to a write is read from then on, until the store holds that state
    or a newer one; an object is never hidden because its deletion was asked for, only when the
    server has said that it is gone; a store that has caught up is read as it is.
    """

    __slots__ = ("_cautious", "_pending", "_store")

    def __init__(self, store: StoreView) -> None:
        self._store = store
        self._pending: dict[ObjectKey, Pending] = {}
        self._cautious: set[ObjectKey] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def wrote(self, stored: StoredObject) -> Pending | None:
        """Take in what the server answered to a write; None when the store is as new already."""
        self._answered(stored.key)
        return self._newest(stored)

    def changed(self, key: ObjectKey, uid: str, version: str) -> Pending | None:
        """Take in that an object was written, where the answer does not show its content."""
        self._answered(key)
        known = self._pending.get(key)
        if known is not None and known.uid == uid:
            known.version = _later(known.version, version)
            return None if self._settle(known) else known
        return self._set(Pending(key, uid, version))

    def deleting(self, key: ObjectKey, uid: str, moment: str) -> Pending | None:
        """Take in that the deletion of this object was accepted, at `moment` (RFC 3339).

        None when nothing is known of an object of that UID: then there is nothing to overlay.
        """
        self._answered(key)
        known = self._pending.get(key)
        if known is not None and known.uid and uid in ("", known.uid):
            known.deletion = moment
            return None if self._settle(known) else known
        held = self._store.get(key)
        if held is None or uid not in ("", held.meta.uid):
            return None
        if known is not None and older(held.meta.resource_version, known.version):
            return None  # a late answer about a former object of this name
        pending = Pending(key, held.meta.uid, held.meta.resource_version)
        pending.deletion = moment
        return self._set(pending)

    def lost(self, key: ObjectKey) -> Pending:
        """Take in that a write to this object may or may not have been executed."""
        self._cautious.add(key)
        known = self._pending.get(key)
        if known is None:
            held = self._store.get(key)
            uid, version = (held.meta.uid, held.meta.resource_version) if held else ("", "")
            known = self._pending[key] = Pending(key, uid, version)
        known.lost = True
        return known

    def learnt(self, key: ObjectKey, stored: StoredObject | None, *, gone: str = "") -> None:
        """Take in a live read: the object, or that there is none.

        `gone` is the UID that was known when the read began, by default the one known now.
        """
        known = self._pending.get(key)
        if known is not None:
            known.lost = False
        if stored is not None:
            self._newest(stored)
            return
        self._cautious.discard(key)
        held = self._store.get(key)
        uid = gone or (known.uid if known and known.uid else held.meta.uid if held else "")
        if known is not None and known.uid not in ("", uid):
            return  # something newer was written since
        pending = Pending(key, uid, self._version_of(known, held, uid))
        pending.absent = True
        self._set(pending)

    def forget(self, key: ObjectKey) -> None:
        """Read the store again for this object, whatever is pending."""
        self._cautious.discard(key)
        pending = self._pending.pop(key, None)
        if pending is not None:
            pending.settled = True

    def cautious(self, key: ObjectKey) -> bool:
        """Tell whether the last write to this object went unanswered: bind the next to a state."""
        return key in self._cautious

    def settle(self) -> list[Pending]:
        """Drop what the store has caught up with, and return it."""
        return [each for each in list(self._pending.values()) if self._settle(each)]

    def over(self, key: ObjectKey, held: StoredObject | None) -> StoredObject | None:
        """Return the newest known state of an object, of which the store holds `held`."""
        pending = self._pending.get(key) if self._pending else None
        return held if pending is None else pending.view(held, self._store.resource_version)

    def over_all(
        self, found: list[StoredObject], wanted: Callable[[StoredObject], bool]
    ) -> list[StoredObject]:
        """Return the answer to a list: `found` in the store, corrected by what is pending.

        `wanted` tells whether an object belongs into the answer. Sorted by key.
        """
        if not self._pending:
            return found
        merged = [each for each in found if each.key not in self._pending]
        for key in self._pending:
            view = self.over(key, self._store.get(key))
            if view is not None and wanted(view):
                merged.append(view)
        return sorted(merged, key=lambda each: each.key)

    @staticmethod
    def _version_of(known: Pending | None, held: StoredObject | None, uid: str) -> str:
        """Return the newest version known of the object with this UID, empty for none."""
        if known is not None and known.uid == uid:
            return known.version
        return held.meta.resource_version if held is not None and held.meta.uid == uid else ""

    def _answered(self, key: ObjectKey) -> None:
        """Stop being cautious: unless an earlier write is still open, its fate is known by now."""
        known = self._pending.get(key)
        if known is None or not known.lost:
            self._cautious.discard(key)

    def _newest(self, stored: StoredObject) -> Pending | None:
        meta = stored.meta
        known = self._pending.get(stored.key)
        if known is not None and known.uid == meta.uid:
            known.version = _later(known.version, meta.resource_version)
            held = known.stored
            if held is None or older(held.meta.resource_version, meta.resource_version):
                known.stored = stored
            return None if self._settle(known) else known
        if known is not None and known.version and older(meta.resource_version, known.version):
            return None  # a late answer about a former object of this name
        pending = Pending(stored.key, meta.uid, meta.resource_version)
        pending.stored = stored
        return self._set(pending)

    def _set(self, pending: Pending) -> Pending | None:
        """Put `pending` in the place of what was pending; None when the store is as new."""
        former = self._pending.get(pending.key)
        if former is not None:
            former.settled = True
        self._pending[pending.key] = pending
        return None if self._settle(pending) else pending

    def _settle(self, pending: Pending) -> bool:
        held = self._store.get(pending.key)
        if not pending.seen(held, self._store.resource_version):
            return False
        pending.settled = True
        if self._pending.get(pending.key) is pending:
            del self._pending[pending.key]
        return True


def _reached(version: str, wanted: str) -> bool:
    """Tell whether `version` is certainly not before `wanted`."""
    return version == wanted or older(wanted, version)


def _later(one: str, other: str) -> str:
    return other if older(one, other) or not one else one


def _terminating(stored: StoredObject, moment: str) -> StoredObject:
    """Return the object as it looks while it is being deleted."""
    manifest: Manifest = msgspec.json.decode(stored.raw)
    manifest["metadata"] = {**manifest["metadata"], "deletionTimestamp": moment}
    return StoredObject(
        gvk=stored.gvk,
        meta=msgspec.structs.replace(stored.meta, deletion_timestamp=moment),
        raw=msgspec.json.encode(manifest),
        fields=stored.fields,
    )
