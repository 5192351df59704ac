"""Read-your-writes: what this process wrote is read by it, and its keys wait for slow caches."""

from smbpctl.runtime.consistency.gate import PATIENCE, Gate, GateMetrics, Wait
from smbpctl.runtime.consistency.ledger import WriteLedger
from smbpctl.runtime.consistency.overlay import Overlay, Pending, StoreView
from smbpctl.runtime.consistency.run import NEVER_WRITTEN, Need, Run, current_run
from smbpctl.runtime.consistency.scope import LiveReads, Scope, Scopes

__all__ = [
    "NEVER_WRITTEN",
    "PATIENCE",
    "Gate",
    "GateMetrics",
    "LiveReads",
    "Need",
    "Overlay",
    "Pending",
    "Run",
    "Scope",
    "Scopes",
    "StoreView",
    "Wait",
    "WriteLedger",
    "current_run",
]
