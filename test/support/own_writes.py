"""A model of one kind at a server, a store that is behind it, and our own writes in between."""

import json
from dataclasses import dataclass, field

from smbpctl.runtime.consistency import Overlay, Scope
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, StoredObject
from smbpctl.runtime.store import ObjectDecoder, Store

GVK = GroupVersionKind("demo.example.com", "v1", "Widget")
DECODER = ObjectDecoder(GVK)


@dataclass
class Truth:
    """One object as the server has it."""

    uid: str
    version: int
    value: int
    finalizer: bool
    deleting: bool = False


def body(key: ObjectKey, truth: Truth) -> bytes:
    """Return an object as the server would send it."""
    metadata = {
        "namespace": key.namespace,
        "name": key.name,
        "uid": truth.uid,
        "resourceVersion": str(truth.version),
        "labels": {"team": "blue"},
    }
    if truth.deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return json.dumps(
        {
            "apiVersion": GVK.api_version,
            "kind": GVK.kind,
            "metadata": metadata,
            "spec": {"value": truth.value},
        }
    ).encode()


def value_of(stored: StoredObject) -> int:
    """Return what an object says."""
    return int(stored.manifest()["spec"]["value"])


@dataclass
class OneScope:
    """Satisfies `Scope` and `Scopes` for one kind in all namespaces."""

    gvk: GroupVersionKind = GVK
    store: Store = field(default_factory=Store)
    overlay: Overlay = field(init=False)
    blind_to: set[str] = field(default_factory=set)
    """Namespaces that the informer is not told of."""
    admitting: bool = True
    """Whether the labels of objects satisfy the informer's selector."""

    def __post_init__(self) -> None:
        self.overlay = Overlay(self.store)

    def decode(self, body: bytes) -> StoredObject:
        return DECODER.object(body)

    def admits(self, stored: StoredObject) -> bool:
        return self.admitting and stored.meta.namespace not in self.blind_to

    def scope_of(self, gvk: GroupVersionKind, namespace: str) -> Scope | None:
        known = gvk.group_kind == self.gvk.group_kind
        return self if known and namespace not in self.blind_to else None

    def read(self, key: ObjectKey) -> StoredObject | None:
        """Read as the cache does."""
        return self.overlay.over(key, self.store.get(key))


class Server:
    """The truth, and what of it the store has still to be told."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[ObjectKey, Truth] = {}
        self.untold: list[tuple[str, int, ObjectKey, bytes]] = []
        self._uids = 0

    def put(self, key: ObjectKey, value: int, *, finalizer: bool = False) -> bytes:
        """Create or change an object; return the answer."""
        self.version += 1
        truth = self.objects.get(key)
        if truth is None:
            self._uids += 1
            truth = Truth(f"u{self._uids}", self.version, value, finalizer)
            self.objects[key] = truth
            return self._tell("ADDED", key, truth)
        truth.version, truth.value = self.version, value
        return self._tell("MODIFIED", key, truth)

    def delete(self, key: ObjectKey) -> bytes | None:
        """Delete an object; return the answer, None for 404."""
        truth = self.objects.get(key)
        if truth is None:
            return None
        if truth.finalizer:
            if not truth.deleting:
                self.version += 1
                truth.deleting, truth.version = True, self.version
                self._tell("MODIFIED", key, truth)
            return body(key, truth)
        self.remove(key)
        return json.dumps(
            {"kind": "Status", "status": "Success", "details": {"uid": truth.uid}}
        ).encode()

    def remove(self, key: ObjectKey) -> None:
        """Take an object away, finalizers and all."""
        self.version += 1
        truth = self.objects.pop(key)
        truth.version = self.version
        self._tell("DELETED", key, truth)

    def tell(self, store: Store, count: int) -> None:
        """Let the store know of the oldest `count` events it has not heard of."""
        for kind, version, _, told in self.untold[:count]:
            stored = DECODER.object(told)
            if kind == "DELETED":
                store.remove(stored)
            else:
                store.put(stored)
            store.advance(str(version))
        del self.untold[:count]

    def relist(self, store: Store) -> None:
        """Let the store list everything."""
        self.untold.clear()
        objects = [DECODER.object(body(key, truth)) for key, truth in self.objects.items()]
        store.replace(objects, str(self.version), initial=False)

    def bookmark(self, store: Store) -> None:
        """Let a store that heard everything know how far that is."""
        if not self.untold:
            self.version += 1
            store.advance(str(self.version))

    def _tell(self, kind: str, key: ObjectKey, truth: Truth) -> bytes:
        told = body(key, truth)
        self.untold.append((kind, truth.version, key, told))
        return told
