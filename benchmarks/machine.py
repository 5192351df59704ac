"""Describes the machine in general terms: what a reader needs to judge figures, and no names."""

import os
import platform
from importlib import metadata

import psutil

_LIBRARIES = ("aiohttp", "kubernetes_asyncio", "msgspec")
_GIB = 1 << 30


def machine() -> dict[str, str | int]:
    """Return processor, memory, Python and the libraries that do the work."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / _GIB),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES),
    }


def load() -> float:
    """Return how many processes wanted a core during the last minute, on average."""
    return round(os.getloadavg()[0], 1)
