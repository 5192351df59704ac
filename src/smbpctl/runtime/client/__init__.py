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
from smbpctl.runtime.client.changes import ABSENT, REDACTED, Change
from smbpctl.runtime.client.deletion import Propagation
from smbpctl.runtime.client.dry_run import DryRunRecorder, Effect, PlannedWrite
from smbpctl.runtime.client.guards import Fence, Verb, Write, WriteObserver, outcome_unknown
from smbpctl.runtime.client.intercepted import Hooks, intercepted
from smbpctl.runtime.client.live import Client
from smbpctl.runtime.client.namespaced import namespaced
from smbpctl.runtime.client.owned import with_field_owner
from smbpctl.runtime.client.reader import Reader

__all__ = [
    "ABSENT",
    "REDACTED",
    "Backend",
    "Change",
    "Client",
    "DryRunRecorder",
    "Effect",
    "Fence",
    "GetCall",
    "Hooks",
    "ListCall",
    "PlannedWrite",
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
    "intercepted",
    "namespaced",
    "outcome_unknown",
    "with_field_owner",
]
