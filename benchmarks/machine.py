"""Describes the machine in general terms: what a reader needs to judge figures, and no names."""

import os
import platform
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil

from hack import gobuild

_LIBRARIES = ("aiohttp", "kubernetes_asyncio", "msgspec", "uvloop")
_PEERS = Path(__file__).parent / "peers"
_LOCKED = re.compile(r"^(kopf|lightkube|cloudcoil)==(\S+)( ; python_full_version < \S+)? \\$")
_GIB = 1 << 30


def machine() -> dict[str, str | int]:
    """Return processor, memory, Python and the libraries that do the work."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / _GIB),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join([*_libraries(), *_peers()]),
    }


def _libraries() -> Iterator[str]:
    for name in _LIBRARIES:
        yield f"{name} {metadata.version(name)}"


def _peers() -> Iterator[str]:
    """Yield what the lock files of the peers name, whether or not they were built."""
    for line in (_PEERS / "requirements.lock").read_text("utf-8").splitlines():
        if (found := _LOCKED.match(line)) is not None:
            yield f"{found[1]} {found[2]}"
    yield f"controller-runtime {gobuild.required(_PEERS / 'go', 'sigs.k8s.io/controller-runtime')}"
    manifest = tomllib.loads((_PEERS / "rust" / "Cargo.toml").read_text("utf-8"))
    yield f"kube-rs {manifest['dependencies']['kube']['version'].lstrip('=')}"


def load() -> float:
    """Return how many processes wanted a core during the last minute, on average."""
    return round(os.getloadavg()[0], 1)
