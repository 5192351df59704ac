"""The shapes of what a server sends: as much of each as is read, the rest skipped as bytes."""

from enum import Enum
from typing import Any, final

import msgspec

from smbpctl.runtime.meta import Manifest, StoredObject


class EventType(Enum):
    """The types of a watch event on the wire."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


@final
class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch stream.

    ADDED, MODIFIED and DELETED carry an `object`, ERROR a `status`, BOOKMARK neither.
    `resource_version` is the event's; empty for ERROR. `initial_end` marks the bookmark behind
    the last of the initial events.
    """

    type: EventType
    object: StoredObject | None = None
    resource_version: str = ""
    status: Manifest | None = None
    initial_end: bool = False


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """What is read of an object's metadata; what is seldom unique stays as bytes, to be shared."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: msgspec.Raw = msgspec.Raw()
    owner_references: msgspec.Raw = msgspec.Raw()
    managed_fields: msgspec.Raw = msgspec.Raw()


class Object(msgspec.Struct, rename="camel", gc=False):
    """An object, whole or partial."""

    metadata: Metadata
    api_version: str = ""
    kind: str = ""


class MetadataOnly(msgspec.Struct, gc=False):
    """The metadata of an object, as bytes."""

    metadata: msgspec.Raw


class ManagedFields(msgspec.Struct, rename="camel", gc=False):
    """One entry of `metadata.managedFields`."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: msgspec.Raw = msgspec.field(name="fieldsV1", default=msgspec.Raw())


class ListMeta(msgspec.Struct, rename="camel", gc=False):
    """The metadata of a list or of a bookmark."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    annotations: dict[str, str] | None = None


class ObjectList(msgspec.Struct, gc=False):
    """A page of a list. `items` has no default: a Table or a Status has none and is no list."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None


class Line(msgspec.Struct, gc=False):
    """A line of a watch stream."""

    type: EventType
    object: msgspec.Raw


class Bookmark(msgspec.Struct, gc=False):
    """The object of a bookmark."""

    metadata: ListMeta


OBJECT = msgspec.json.Decoder(Object)
METADATA_ONLY = msgspec.json.Decoder(MetadataOnly)
MANAGED_FIELDS = msgspec.json.Decoder(list[ManagedFields] | None)
LIST = msgspec.json.Decoder(ObjectList)
LINE = msgspec.json.Decoder(Line)
BOOKMARK = msgspec.json.Decoder(Bookmark)
STATUS = msgspec.json.Decoder(dict[str, Any])
