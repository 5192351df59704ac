"""What is known of one kind: objects as bytes with decoded metadata, by key and by index."""

from smbpctl.runtime.store.decode import DecodeError, ObjectDecoder, Page
from smbpctl.runtime.store.index import IndexFunction
from smbpctl.runtime.store.objects import Listing, Store
from smbpctl.runtime.store.projection import Projection
from smbpctl.runtime.store.version import older
from smbpctl.runtime.store.wire import EventType, WatchEvent

__all__ = [
    "DecodeError",
    "EventType",
    "IndexFunction",
    "Listing",
    "ObjectDecoder",
    "Page",
    "Projection",
    "Store",
    "WatchEvent",
    "older",
]
