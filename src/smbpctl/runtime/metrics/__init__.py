"""Every Prometheus metric of the runtime; the only package that knows the metrics library.

Names and labels are those of controller-runtime, so that existing dashboards and alerts work, plus
a few of our own under `smbpctl_`. Label values come from closed sets (controller, kind, verb,
code), never from object names.
"""

from smbpctl.runtime.metrics.controllers import ControllerMetrics, ErrorClass, Outcome
from smbpctl.runtime.metrics.informers import InformerMetrics, InformerStatus
from smbpctl.runtime.metrics.leader import LeaderMetrics
from smbpctl.runtime.metrics.queues import QueueMetrics, QueueState
from smbpctl.runtime.metrics.registry import MAX_HOSTS, OTHER_HOSTS, Metrics

__all__ = [
    "MAX_HOSTS",
    "OTHER_HOSTS",
    "ControllerMetrics",
    "ErrorClass",
    "InformerMetrics",
    "InformerStatus",
    "LeaderMetrics",
    "Metrics",
    "Outcome",
    "QueueMetrics",
    "QueueState",
]
