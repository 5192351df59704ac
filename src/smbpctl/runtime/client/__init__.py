"""Live verbs on Kubernetes objects: every read asks the server, every write names its owner."""

from smbpctl.runtime.client.call import RequestMetrics
from smbpctl.runtime.client.calls import (
    Backend,
    GetCall,
    ListCall,
    RawCall,
    Validation,
    WatchCall,
    WriteCall,
    WriteOptions,
)
from smbpctl.runtime.client.deletion import Propagation
from smbpctl.runtime.client.guards import Fence, Verb, Write, WriteObserver, outcome_unknown
from smbpctl.runtime.client.live import Client
from smbpctl.runtime.client.reader import Reader

__all__ = [
    "Backend",
    "Client",
    "Fence",
    "GetCall",
    "ListCall",
    "Propagation",
    "RawCall",
    "Reader",
    "RequestMetrics",
    "Validation",
    "Verb",
    "WatchCall",
    "Write",
    "WriteCall",
    "WriteObserver",
    "WriteOptions",
    "outcome_unknown",
]
