"""What a cluster needs of the machine, and plain words for what is missing."""

import ctypes
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hack.cluster import cgroups

FREE_BYTES = 3 * 1024**3
"""Free space below which a cluster is not started: images unpacked on three nodes, and logs."""

PACKAGES = {
    "ip": "iproute2",
    "mkfs.xfs": "xfsprogs",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "xfs_growfs": "xfsprogs",
}
"""Programs that are not built from source, with the Debian package that each is in."""

_KERNEL_FILES = {
    "network namespaces": "/proc/self/ns/net",
    "process namespaces": "/proc/self/ns/pid",
    "control groups": "/sys/fs/cgroup",
    "loop devices": "/dev/loop-control",
}
_FILE_SYSTEMS = ("overlay", "tmpfs", "xfs")
_LIBRARY = "libc.so.6"


class Missing(Exception):
    """The machine cannot run a cluster. `problems` says why, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def missing_programs(names: Iterable[str] = PACKAGES) -> list[str]:
    """Return the programs that are not installed."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [name for name in names if shutil.which(name, path=path) is None]


def problems(folder: Path) -> list[str]:
    """Return what keeps this machine from running a cluster in `folder`, in plain words."""
    if platform.system() != "Linux":
        return [f"a cluster needs Linux, and this is {platform.system()}"]
    if os.geteuid() != 0:
        return ["a cluster needs root, for namespaces, mounts and control groups"]
    found = [f"the kernel has no {name} ({f})" for name, f in _KERNEL_FILES.items() if _absent(f)]
    known = Path("/proc/filesystems").read_text(encoding="ascii").split()
    found += [
        f"the kernel does not know the file system {n}" for n in _FILE_SYSTEMS if n not in known
    ]
    lacking = missing_programs()
    if lacking:
        packages = " ".join(sorted({PACKAGES[name] for name in lacking}))
        found.append(f"{', '.join(lacking)} not installed (make cluster-tools installs {packages})")
    if not found and not may_unshare():
        found.append("the kernel refuses new namespaces to this process (a container, or seccomp)")
    if not found and not cgroups.writable():
        found.append(f"control groups cannot be made below {cgroups.ROOT}")
    return found + full_disk(folder)


def full_disk(folder: Path) -> list[str]:
    """Return the complaint that the disk of `folder` is full, if it is."""
    existing = next(each for each in [folder, *folder.parents] if each.exists())
    free = shutil.disk_usage(existing).free
    if free >= FREE_BYTES:
        return []
    needed = FREE_BYTES / 1024**3
    return [f"the disk of {existing} has {free / 1024**3:.1f} GiB free; a cluster needs {needed:g}"]


def check(folder: Path) -> None:
    """Raise Missing with everything that is in the way."""
    found = problems(folder)
    if found:
        raise Missing(found)


def may_unshare() -> bool:
    """Tell whether new namespaces are allowed, by trying in a child."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        # CLONE_NEWNS | CLONE_NEWNET; the child and its namespaces are gone at once.
        os._exit(0 if ctypes.CDLL(_LIBRARY).unshare(0x00020000 | 0x40000000) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _absent(path: str) -> bool:
    return not Path(path).exists()
