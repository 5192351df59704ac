"""Leader election by a Lease: one process of many writes, and it knows for how long it may.

`Elector` is what a manager runs. `Election` holds the rules, without I/O and clock; `Campaign` acts
them out against the API server; `LeaseFence` stands before every write.
"""

from smbpctl.runtime.leader.elector import Elector, default_identity, exit_process
from smbpctl.runtime.leader.fence import LeaseFence
from smbpctl.runtime.leader.probes import leader_or_standby, renewing
from smbpctl.runtime.leader.settings import LeaderElection

__all__ = [
    "Elector",
    "LeaderElection",
    "LeaseFence",
    "default_identity",
    "exit_process",
    "leader_or_standby",
    "renewing",
]
