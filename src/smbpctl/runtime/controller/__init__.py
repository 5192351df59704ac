"""The controller: takes keys, runs the reconciler, and turns each outcome into what comes next."""

from smbpctl.runtime.controller.controller import Controller
from smbpctl.runtime.controller.failures import (
    ReconcileTimedOut,
    StrayCancellation,
    cancelled_by_nobody,
    single_cause,
)
from smbpctl.runtime.controller.hotloop import HotLoop, HotLoopGuard, HotLoopPolicy
from smbpctl.runtime.controller.options import ControllerOptions
from smbpctl.runtime.controller.protocols import (
    Gate,
    ReconcileMetrics,
    ReconcileQueue,
    RunListener,
    RunRecord,
    RunReport,
    Wait,
)
from smbpctl.runtime.controller.verdicts import (
    FORBIDDEN_RETRY,
    QUIET_CONFLICTS,
    Verdict,
    judge_error,
    judge_result,
)
from smbpctl.runtime.controller.watchdog import StuckPolicy, Watchdog

__all__ = [
    "FORBIDDEN_RETRY",
    "QUIET_CONFLICTS",
    "Controller",
    "ControllerOptions",
    "Gate",
    "HotLoop",
    "HotLoopGuard",
    "HotLoopPolicy",
    "ReconcileMetrics",
    "ReconcileQueue",
    "ReconcileTimedOut",
    "RunListener",
    "RunRecord",
    "RunReport",
    "StrayCancellation",
    "StuckPolicy",
    "Verdict",
    "Wait",
    "Watchdog",
    "cancelled_by_nobody",
    "judge_error",
    "judge_result",
    "single_cause",
]
