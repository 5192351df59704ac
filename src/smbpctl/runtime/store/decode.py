"""Turns list pages and watch lines into stored objects: decoded metadata beside exact bytes."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, cast, final

import msgspec

from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectMeta,
    OwnerReference,
    StoredObject,
)
from smbpctl.runtime.store.splice import without_managed_fields

_T = TypeVar("_T")

# Field sets are few per kind, owners have many children: equal values are kept once. The table
# is emptied at this size, so that values no object carries any more do not pile up.
_MOST_INTERNED = 4096

_PARTIAL = ("meta.k8s.io/v1", "PartialObjectMetadata")


class DecodeError(ValueError):
    """Bytes from the server are not what they should be; the message says where and why."""


class EventType(Enum):
    """The types of a watch event on the wire."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


@final
@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch stream.

    ADDED, MODIFIED and DELETED carry an `object`, ERROR a `status`, BOOKMARK neither.
    `resource_version` is the event's; empty for ERROR.
    """

    type: EventType
    object: StoredObject | None = None
    resource_version: str = ""
    status: Manifest | None = None


@final
@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its header, and its objects, decoded one by one as they are taken."""

    resource_version: str
    continue_: str
    objects: Iterator[StoredObject]


class _Meta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    managed_fields: msgspec.Raw = msgspec.Raw()


class _Object(msgspec.Struct, rename="camel", gc=False):
    metadata: _Meta
    api_version: str = ""
    kind: str = ""


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


class _ManagedFields(msgspec.Struct, rename="camel", gc=False):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: msgspec.Raw = msgspec.field(name="fieldsV1", default=msgspec.Raw())


class _ListMeta(msgspec.Struct, rename="camel", gc=False):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, gc=False):
    # `items` has no default: a Table or a Status has none and is no list.
    metadata: _ListMeta
    items: list[msgspec.Raw] | None


class _Line(msgspec.Struct, gc=False):
    type: EventType
    object: msgspec.Raw


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _ListMeta


_OBJECT = msgspec.json.Decoder(_Object)
_METADATA_ONLY = msgspec.json.Decoder(_MetadataOnly)
_MANAGED_FIELDS = msgspec.json.Decoder(list[_ManagedFields] | None)
_LIST = msgspec.json.Decoder(_List)
_LINE = msgspec.json.Decoder(_Line)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_STATUS = msgspec.json.Decoder(dict[str, Any])


@final
class ObjectDecoder:
    """Decodes objects of one kind.

    Every `StoredObject` owns exact copies of its bytes: it keeps no page and no line alive.
    `field_owners` are the managers whose `Apply` field sets are kept (`StoredObject.fields`),
    equal ones as one bytes object. With `metadata_only`, nothing but metadata is kept, also when
    the server could not send PartialObjectMetadata and sent whole objects.

    Anything malformed raises `DecodeError`: bad JSON, an object of another kind, one without a
    name.
    """

    __slots__ = ("_field_owners", "_gvk", "_interned", "_metadata_only")

    def __init__(
        self,
        gvk: GroupVersionKind,
        field_owners: frozenset[str] = frozenset(),
        *,
        metadata_only: bool = False,
    ) -> None:
        self._gvk = gvk
        self._field_owners = field_owners
        self._metadata_only = metadata_only
        self._interned: dict[Hashable, Any] = {}

    def object(self, raw: bytes | memoryview | msgspec.Raw) -> StoredObject:
        """Decode one object."""
        data = bytes(raw)
        decoded = self._decode(_OBJECT, data)
        wire = decoded.metadata
        if not wire.name:
            raise DecodeError(f"an object of kind {self._gvk} has no metadata.name")
        whole = self._check_kind(decoded)
        fields = None
        managed = bytes(wire.managed_fields)
        if managed:
            data = without_managed_fields(data, managed)
            if self._field_owners:
                fields = self._applied_fields(managed)
        if whole and self._metadata_only:
            data = b'{"metadata":%b}' % bytes(self._decode(_METADATA_ONLY, data).metadata)
        return StoredObject(gvk=self._gvk, meta=self._meta(wire), raw=data, fields=fields)

    def page(self, body: bytes) -> tuple[list[StoredObject], str, str]:
        """Decode a whole list page: its objects, its resourceVersion and its continue token."""
        page = self.open_page(body)
        return list(page.objects), page.resource_version, page.continue_

    def open_page(self, body: bytes) -> Page:
        """Decode a list page's header now and its objects as they are taken.

        So that a reader can give way to others between two objects of a large page.
        """
        decoded = self._decode(_LIST, body)
        return Page(
            decoded.metadata.resource_version,
            decoded.metadata.continue_,
            map(self.object, decoded.items or ()),
        )

    def event_line(self, line: bytes) -> WatchEvent:
        """Decode one line of a watch stream."""
        decoded = self._decode(_LINE, line)
        match decoded.type:
            case EventType.ERROR:
                return WatchEvent(
                    EventType.ERROR, status=self._decode(_STATUS, bytes(decoded.object))
                )
            case EventType.BOOKMARK:
                bookmark = self._decode(_BOOKMARK, bytes(decoded.object))
                return WatchEvent(
                    EventType.BOOKMARK, resource_version=bookmark.metadata.resource_version
                )
            case _:
                stored = self.object(decoded.object)
                return WatchEvent(
                    decoded.type, object=stored, resource_version=stored.meta.resource_version
                )

    def _decode(self, decoder: "msgspec.json.Decoder[_T]", data: bytes) -> _T:
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError) as error:
            start = data[:80].decode("utf-8", "replace")
            raise DecodeError(f"cannot decode {self._gvk}: {error}; it begins {start!r}") from error

    def _check_kind(self, decoded: _Object) -> bool:
        """Return whether the object is whole rather than partial; typed lists name no kind."""
        named = (decoded.api_version, decoded.kind)
        if named in (("", ""), (self._gvk.api_version, self._gvk.kind)):
            return True
        if named == _PARTIAL and self._metadata_only:
            return False
        raise DecodeError(
            f"expected an object of kind {self._gvk}, "
            f"not {decoded.kind!r} of {decoded.api_version!r}"
        )

    def _meta(self, wire: _Meta) -> ObjectMeta:
        return ObjectMeta(
            name=wire.name,
            namespace=self._intern(wire.namespace, wire.namespace),
            uid=wire.uid,
            resource_version=wire.resource_version,
            generation=wire.generation,
            deletion_timestamp=wire.deletion_timestamp,
            labels=wire.labels,
            owner_references=self._intern(wire.owner_references, wire.owner_references),
        )

    def _applied_fields(self, managed: bytes) -> dict[str, bytes] | None:
        found: dict[str, bytes] = {}
        ambiguous: set[str] = set()
        for entry in self._decode(_MANAGED_FIELDS, managed) or ():
            if entry.operation != "Apply" or entry.manager not in self._field_owners:
                continue
            owner = f"{entry.manager}:{entry.subresource}" if entry.subresource else entry.manager
            if owner in found:
                # One entry per apiVersion while versions change: neither is the whole set.
                ambiguous.add(owner)
            found[owner] = self._intern(fields := bytes(entry.fields_v1), fields)
        for owner in ambiguous:
            del found[owner]
        return self._intern(tuple(found.items()), found) if found else None

    def _intern(self, content: Hashable, value: _T) -> _T:
        """Return the first value seen with this `content`; `value` is immutable from here on."""
        if len(self._interned) >= _MOST_INTERNED:
            self._interned.clear()
        return cast("_T", self._interned.setdefault(content, value))
