"""What a bare control plane lacks, acting through the API alone: nodes that run pods, volumes."""

from smbpctl.runtime.simulation.agents.agent import AgentOptions, NodeAgent
from smbpctl.runtime.simulation.agents.claims import EXPANDABLE_CLASS, FIXED_CLASS
from smbpctl.runtime.simulation.agents.failures import Failure, FailureRule, FailureRules
from smbpctl.runtime.simulation.agents.pod_steps import Timing
from smbpctl.runtime.simulation.agents.workload import Health, IdleWorkload, Workload

__all__ = [
    "EXPANDABLE_CLASS",
    "FIXED_CLASS",
    "AgentOptions",
    "Failure",
    "FailureRule",
    "FailureRules",
    "Health",
    "IdleWorkload",
    "NodeAgent",
    "Timing",
    "Workload",
]
