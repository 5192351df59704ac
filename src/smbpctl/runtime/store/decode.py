"""Turns list pages and watch lines into stored objects: decoded metadata beside exact bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast, final

import msgspec

from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject
from smbpctl.runtime.store import wire
from smbpctl.runtime.store.intern import Interned
from smbpctl.runtime.store.projection import Projection
from smbpctl.runtime.store.splice import without_managed_fields
from smbpctl.runtime.store.wire import EventType, WatchEvent

_T = TypeVar("_T")

_PARTIAL = ("meta.k8s.io/v1", "PartialObjectMetadata")
_PARTIAL_HEADS = (
    b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{',
    b'{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{',
)

# How servers write the lines that carry an object: type first, no white space.
_HEADS = tuple(
    (b'{"type":"%b","object":' % each.value.encode(), each)
    for each in (EventType.ADDED, EventType.MODIFIED, EventType.DELETED)
)

_INITIAL_END = "k8s.io/initial-events-end"


class DecodeError(ValueError):
    """Bytes from the server are not what they should be; the message says where and why."""


@final
@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its header, and its objects, decoded one by one as they are taken."""

    resource_version: str
    continue_: str
    objects: Iterator[StoredObject]


@final
class ObjectDecoder:
    """Decodes objects of one kind.

    Every `StoredObject` owns exact copies of its bytes: it keeps no page and no line alive.
    `field_owners` are the managers whose `Apply` field sets are kept (`StoredObject.fields`),
    equal ones as one bytes object. With `metadata_only`, nothing but metadata is kept, also when
    the server could not send PartialObjectMetadata and sent whole objects. With a `projection`
    nothing but its fields and the metadata.

    Anything malformed raises `DecodeError`: bad JSON, an object of another kind, one without a
    name.
    """

    __slots__ = (
        "_field_owners",
        "_gvk",
        "_interned",
        "_metadata_only",
        "_names",
        "_owner_marks",
        "_projection",
    )

    def __init__(
        self,
        gvk: GroupVersionKind,
        field_owners: frozenset[str] = frozenset(),
        *,
        metadata_only: bool = False,
        projection: Projection | None = None,
    ) -> None:
        self._gvk = gvk
        self._names = (gvk.api_version, gvk.kind)
        self._field_owners = field_owners
        self._owner_marks = tuple(msgspec.json.encode(each) for each in sorted(field_owners))
        self._metadata_only = metadata_only
        self._projection = None if metadata_only else projection
        self._interned = Interned()

    def object(self, raw: bytes | memoryview | msgspec.Raw) -> StoredObject:
        """Decode one object."""
        data = bytes(raw)
        return self._object(data, self._decode(wire.OBJECT, data))

    def page(self, body: bytes) -> tuple[list[StoredObject], str, str]:
        """Decode a whole list page: its objects, its resourceVersion and its continue token."""
        page = self.open_page(body)
        return list(page.objects), page.resource_version, page.continue_

    def open_page(self, body: bytes) -> Page:
        """Decode a list page's header now and its objects as they are taken.

        So that a reader can give way to others between two objects of a large page.
        """
        decoded = self._decode(wire.LIST, body)
        return Page(
            decoded.metadata.resource_version,
            decoded.metadata.continue_,
            map(self.object, decoded.items or ()),
        )

    def event_line(self, line: bytes) -> WatchEvent:
        """Decode one line of a watch stream."""
        for head, event_type in _HEADS:
            if line.startswith(head) and line.endswith(b"}"):
                # Decoded once, not once for the line and once for the object in it: if what is
                # between head and tail is one JSON value, the line is well-formed and that is it.
                data = line[len(head) : -1]
                try:
                    decoded = wire.OBJECT.decode(data)
                except (ValueError, RecursionError):
                    break
                stored = self._object(data, decoded)
                return WatchEvent(event_type, stored, stored.meta.resource_version)
        return self._unusual_line(line)

    def _unusual_line(self, line: bytes) -> WatchEvent:
        """Decode a bookmark, an error, or an event that is written in an unusual way."""
        decoded = self._decode(wire.LINE, line)
        match decoded.type:
            case EventType.ERROR:
                status = self._decode(wire.STATUS, bytes(decoded.object))
                return WatchEvent(EventType.ERROR, status=status)
            case EventType.BOOKMARK:
                metadata = self._decode(wire.BOOKMARK, bytes(decoded.object)).metadata
                return WatchEvent(
                    EventType.BOOKMARK,
                    resource_version=metadata.resource_version,
                    initial_end=(metadata.annotations or {}).get(_INITIAL_END) == "true",
                )
            case _:
                stored = self.object(decoded.object)
                return WatchEvent(decoded.type, stored, stored.meta.resource_version)

    def _object(self, data: bytes, decoded: wire.Object) -> StoredObject:
        found = decoded.metadata
        if not found.name:
            raise DecodeError(f"an object of kind {self._gvk} has no metadata.name")
        whole = self._check_kind(decoded)
        fields = None
        managed = bytes(found.managed_fields)
        if managed:
            data = without_managed_fields(data, managed)
            if self._field_owners and self._may_hold_field_sets(managed):
                fields = self._applied_fields(managed)
        if self._metadata_only:
            data = self._metadata_of(data, whole=whole)
        elif self._projection is not None:
            data = self._projection.of(data)
        return StoredObject(
            gvk=self._gvk,
            meta=self._meta(found),
            raw=data,
            fields=fields,
            projection=self._projection,
        )

    def _decode(self, decoder: "msgspec.json.Decoder[_T]", data: bytes) -> _T:
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError) as error:
            raise self._malformed(data, error) from error

    def _malformed(self, data: bytes, error: Exception) -> DecodeError:
        start = data[:80].decode("utf-8", "replace")
        return DecodeError(f"cannot decode {self._gvk}: {error}; it begins {start!r}")

    def _check_kind(self, decoded: wire.Object) -> bool:
        """Return whether the object is whole rather than partial; typed lists name no kind."""
        named = (decoded.api_version, decoded.kind)
        if named in (self._names, ("", "")):
            return True
        if named == _PARTIAL and self._metadata_only:
            return False
        raise DecodeError(
            f"expected an object of kind {self._gvk}, "
            f"not {decoded.kind!r} of {decoded.api_version!r}"
        )

    def _metadata_of(self, data: bytes, *, whole: bool) -> bytes:
        """Return an object of nothing but the metadata: readers are told the kind by the store."""
        if not whole:
            for head in _PARTIAL_HEADS:
                # Nothing follows the metadata of a partial object.
                if data.startswith(head) and data.endswith(b"}}"):
                    return b'{"metadata":{' + data[len(head) :]
        return b'{"metadata":%b}' % bytes(self._decode(wire.METADATA_ONLY, data).metadata)

    def _meta(self, found: wire.Metadata) -> ObjectMeta:
        labels, owners = bytes(found.labels), bytes(found.owner_references)
        interned = self._interned
        try:
            shared = interned.labels(labels, found.name) if labels else None
            return ObjectMeta(
                name=found.name,
                namespace=interned.word(found.namespace),
                uid=found.uid,
                resource_version=found.resource_version,
                generation=found.generation,
                deletion_timestamp=found.deletion_timestamp,
                labels=cast("Mapping[str, str] | None", shared),
                owner_references=interned.owners(owners) if owners else None,
            )
        except (ValueError, RecursionError) as error:
            raise self._malformed(b"labels " + labels + b" owners " + owners, error) from error

    def _may_hold_field_sets(self, managed: bytes) -> bool:
        """Tell cheaply that an object was never applied by a registered owner: most were not."""
        # A name may be written with escapes, which no server does without need.
        return b"\\" in managed or any(mark in managed for mark in self._owner_marks)

    def _applied_fields(self, managed: bytes) -> dict[str, bytes] | None:
        found: dict[str, bytes] = {}
        ambiguous: set[str] = set()
        for entry in self._decode(wire.MANAGED_FIELDS, managed) or ():
            if entry.operation != "Apply" or entry.manager not in self._field_owners:
                continue
            owner = f"{entry.manager}:{entry.subresource}" if entry.subresource else entry.manager
            if owner in found:
                # One entry per apiVersion while versions change: neither is the whole set.
                ambiguous.add(owner)
            found[owner] = bytes(entry.fields_v1)
        for owner in ambiguous:
            del found[owner]
        return self._interned.field_sets(found) if found else None
