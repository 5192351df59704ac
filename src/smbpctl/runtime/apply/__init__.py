"""Server-side apply of an ordered set with no-op skip and prune, and of status."""

from smbpctl.runtime.apply.applier import Applier, ApplyReport
from smbpctl.runtime.apply.convergence import ObjectId
from smbpctl.runtime.apply.expectation import (
    Absent,
    Adopt,
    ApplyConflict,
    Existing,
    Expectation,
    FieldConflict,
    ObjectTerminating,
    StaleView,
)
from smbpctl.runtime.apply.ownership import owner_annotation
from smbpctl.runtime.apply.protocols import ApplyCache, ApplyClient, ApplyMetrics
from smbpctl.runtime.apply.status import carry_transition_times, owned_status

__all__ = [
    "Absent",
    "Adopt",
    "Applier",
    "ApplyCache",
    "ApplyClient",
    "ApplyConflict",
    "ApplyMetrics",
    "ApplyReport",
    "Existing",
    "Expectation",
    "FieldConflict",
    "ObjectId",
    "ObjectTerminating",
    "StaleView",
    "carry_transition_times",
    "owned_status",
    "owner_annotation",
]
