"""The calls of a client as values, and `Backend`: what carries them out, or wraps what does."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Protocol, TypeAlias, TypedDict, final

from smbpctl.runtime.client.guards import Verb
from smbpctl.runtime.client.query import JSON
from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
)

Chunks: TypeAlias = AbstractAsyncContextManager[AsyncIterator[bytes]]
"""An open watch stream: chunks of bytes that end anywhere."""


class Validation(Enum):
    """What the server does about fields it does not know, and about duplicate ones."""

    STRICT = "Strict"
    """Refuses the write: with BadRequest, a patch with Invalid."""
    WARN = "Warn"
    """Drops them and warns; the warning is logged."""
    IGNORE = "Ignore"
    """Drops them silently."""


class WriteOptions(TypedDict, total=False):
    """What the verbs have in common that write (a part of) an object."""

    field_owner: str
    """Who owns the written fields; needed unless the client has one (`with_field_owner`)."""
    validation: Validation
    """What is done about unknown fields (STRICT). An apply always refuses them."""
    dry_run: bool
    """Go through everything but storing (False)."""


@final
@dataclass(frozen=True, slots=True)
class GetCall:
    """Read one object, or one of its subresources."""

    gvk: GroupVersionKind
    key: ObjectKey
    subresource: str = ""

    def __str__(self) -> str:
        return f"get {kind_text(self.gvk, self.subresource)} {self.key}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListCall:
    """Read all objects of a kind, in one namespace or in all, page by page."""

    gvk: GroupVersionKind
    namespace: str = ""
    selector: LabelSelector | None = None
    fields: FieldSelector | None = None
    metadata_only: bool = False
    page_size: int = 500
    resource_version: str = ""

    def __str__(self) -> str:
        return _of_collection("list", self.gvk, self.namespace)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WatchCall:
    """Follow the objects of a kind, in one namespace or in all."""

    gvk: GroupVersionKind
    namespace: str = ""
    selector: LabelSelector | None = None
    fields: FieldSelector | None = None
    metadata_only: bool = False
    resource_version: str
    initial_events: bool = False
    timeout: timedelta
    read_timeout: timedelta | None = None
    gathers: Callable[[], bool] | None = None
    """Asked before each chunk: whether to wait some milliseconds for much (never)."""

    def __str__(self) -> str:
        return _of_collection("watch", self.gvk, self.namespace)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCall:
    """Change one object, one of its subresources, or delete a collection.

    `key` has no name where the server chooses it and where a collection is deleted; `name` is
    then what messages call it. `body` is what is sent as JSON. `field_owner` is empty for verbs
    that have none, `validation` None where nothing is to be validated.
    """

    verb: Verb
    gvk: GroupVersionKind
    key: ObjectKey
    body: object
    name: str = ""
    subresource: str = ""
    content_type: str = JSON
    field_owner: str = ""
    validation: Validation | None = None
    force: bool = False
    selector: LabelSelector | None = None
    fields: FieldSelector | None = None
    dry_run: bool = False

    @property
    def stores(self) -> bool:
        """Tell whether the call stores content, which needs an owner and gives an object back."""
        return self.verb in {Verb.CREATE, Verb.UPDATE, Verb.PATCH, Verb.APPLY}

    def __str__(self) -> str:
        if self.verb is Verb.DELETE_COLLECTION:
            return _of_collection("delete selected", self.gvk, self.key.namespace)
        kind = kind_text(self.gvk, "" if self.verb is Verb.EVICT else self.subresource)
        return f"{self.verb.value} {kind} {self.name or self.key}"


@final
@dataclass(frozen=True, slots=True)
class RawCall:
    """Send a body to a path as it is, or read the path where there is none."""

    path: str
    body: dict[str, Any] | None = None
    dry_run: bool = False

    def __str__(self) -> str:
        return f"{'get' if self.body is None else 'post'} {self.path}"


class Backend(Protocol):
    """Carries out the calls of a `Client`.

    Satisfied by the connection to a server and by every wrapper around another backend, so that
    wrappers stack in any order. Errors are those of `Client`.
    """

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how a kind is reached; raise NoKindMatch when it is not served now."""
        ...

    async def get(self, call: GetCall) -> Manifest | None:
        """Return the object, None when there is none of that name."""
        ...

    def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Yield the raw bodies of the pages of one list."""
        ...

    def watch(self, call: WatchCall) -> Chunks:
        """Open a watch with bookmarks; the block gets raw chunks, cut anywhere."""
        ...

    async def write(self, call: WriteCall) -> Manifest:
        """Carry out a write and return what was answered: the object as stored.

        Deletions and evictions are answered by an object, a list, a `Status` or nothing (an empty
        mapping).
        """
        ...

    async def raw(self, call: RawCall) -> bytes:
        """Send a request to a path and return what it answers."""
        ...


def kind_text(gvk: GroupVersionKind, subresource: str) -> str:
    """Return what messages call a kind or a subresource of it: `Pod/status`."""
    return f"{gvk.kind}/{subresource}" if subresource else gvk.kind


def _of_collection(verb: str, gvk: GroupVersionKind, namespace: str) -> str:
    return f"{verb} {gvk.kind} in {namespace}" if namespace else f"{verb} {gvk.kind}"
