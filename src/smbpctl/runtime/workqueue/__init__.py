"""The queue of keys to reconcile: a synchronous kernel with the rules, an async shell to wait."""

from smbpctl.runtime.workqueue.kernel import (
    AGED_SHARE,
    LOW_PRIORITY,
    MOST_CAUSES,
    PATIENCE,
    KeyQueue,
)
from smbpctl.runtime.workqueue.queue import QueueShutDown, WorkQueue

__all__ = [
    "AGED_SHARE",
    "LOW_PRIORITY",
    "MOST_CAUSES",
    "PATIENCE",
    "KeyQueue",
    "QueueShutDown",
    "WorkQueue",
]
