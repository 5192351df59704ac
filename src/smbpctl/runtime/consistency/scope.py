"""What read-your-writes needs of the cache: which informer a written object concerns."""

from typing import Protocol

import msgspec

from smbpctl.runtime.consistency.overlay import Overlay, StoreView
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    StoredObject,
)


class Scope(Protocol):
    """One informer: a kind, within a namespace and selectors or without them."""

    @property
    def gvk(self) -> GroupVersionKind:
        """Return the kind that is watched."""
        ...

    @property
    def store(self) -> StoreView:
        """Return what is known of it."""
        ...

    @property
    def overlay(self) -> Overlay:
        """Return what lies over the store."""
        ...

    def decode(self, body: bytes) -> StoredObject:
        """Return an object as the store would hold it; raise ValueError for another kind's."""
        ...

    def admits(self, stored: StoredObject) -> bool:
        """Tell whether the informer is told of this object: by namespace, labels and fields."""
        ...


class Scopes(Protocol):
    """All informers that run."""

    def scope_of(self, gvk: GroupVersionKind, namespace: str) -> Scope | None:
        """Return the informer of a kind, in whatever version, that covers a namespace."""
        ...


class LiveReads(Protocol):
    """Reads that go to the server."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read one object from the server; None when it is absent."""
        ...

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> list[Manifest]:
        """Read all objects of a namespace, or of all, from the server."""
        ...


class Identity(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """UID and version in an answer, whatever its kind."""

    uid: str = ""
    resource_version: str = ""


class _Details(msgspec.Struct, frozen=True, gc=False):
    uid: str = ""


class _Answer(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""
    metadata: Identity | None = None
    details: _Details | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class _Bound(msgspec.Struct, frozen=True, gc=False):
    metadata: Identity | None = None
    preconditions: Identity | None = None


_BOUND = msgspec.json.Decoder(_Bound)


def bound_version(body: bytes) -> str:
    """Return the resourceVersion that a request is bound to, empty where it is bound to none.

    Objects carry it in their metadata, deletions in their preconditions.
    """
    try:
        request = _BOUND.decode(body)
    except msgspec.MsgspecError:
        return ""
    found = (part.resource_version for part in (request.metadata, request.preconditions) if part)
    return next((version for version in found if version), "")


def identity_of(body: bytes) -> Identity:
    """Return whom an answer is about; empty where it does not say.

    A `Status` names the UID in its details. A `Scale` carries UID and version of the object that
    was scaled.
    """
    try:
        answer = _ANSWER.decode(body)
    except msgspec.MsgspecError:
        return Identity()
    if answer.kind == "Status":
        return Identity(uid=answer.details.uid if answer.details else "")
    return answer.metadata or Identity()
