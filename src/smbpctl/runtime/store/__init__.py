"""What is known of one kind: objects as bytes with decoded metadata, by key and by index."""

from smbpctl.runtime.store.decode import (
    DecodeError,
    EventType,
    ObjectDecoder,
    Page,
    WatchEvent,
)
from smbpctl.runtime.store.index import IndexFunction
from smbpctl.runtime.store.objects import Listing, Store
from smbpctl.runtime.store.version import older

__all__ = [
    "DecodeError",
    "EventType",
    "IndexFunction",
    "Listing",
    "ObjectDecoder",
    "Page",
    "Store",
    "WatchEvent",
    "older",
]
