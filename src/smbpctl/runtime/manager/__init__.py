"""The life of a process of controllers: what starts when, what stops when, and on whose word."""

from smbpctl.runtime.manager.lifecycle import ShutdownTimeout
from smbpctl.runtime.manager.manager import Manager, ManagerOptions
from smbpctl.runtime.manager.runnable import GracefulRunnable, Phase, ReadyRunnable, Runnable

__all__ = [
    "GracefulRunnable",
    "Manager",
    "ManagerOptions",
    "Phase",
    "ReadyRunnable",
    "Runnable",
    "ShutdownTimeout",
]
