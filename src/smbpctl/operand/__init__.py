"""The Ditto Server as the operator meets it: its image contract, its answers, its admin client."""

from smbpctl.operand.contract import (
    CAPABILITIES,
    COMPONENTS,
    Capabilities,
    Component,
    ComponentContract,
)
from smbpctl.operand.members import (
    Backfill,
    Configuration,
    ContractViolation,
    MemberAddress,
    MemberReport,
    Topology,
    Unreachable,
    caught_up,
)

__all__ = [
    "CAPABILITIES",
    "COMPONENTS",
    "Backfill",
    "Capabilities",
    "Component",
    "ComponentContract",
    "Configuration",
    "ContractViolation",
    "MemberAddress",
    "MemberReport",
    "Topology",
    "Unreachable",
    "caught_up",
]
