"""Control groups: the only thing of a cluster that outlives its namespaces, so it is swept."""

import contextlib
import os
import re
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "smbpctl-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-(\d+)")
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


def start_time(process: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 when it has ended.

    With its number it names a process for all time (proc_pid_stat(5), fields 3 and 22).
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The second field is a name in parentheses that may hold blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])


def name_for(process: int) -> str:
    """Return the name of the control group of the cluster that `process` keeps."""
    return f"{_PREFIX}{process}-{start_time(process)}"


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Return the folders in which groups are made: one a controller in version 1, one in 2.

    A hybrid machine has both; the container runtime makes groups in all of them.
    """
    if (root / "cgroup.controllers").exists():
        return [root]
    return [each for each in sorted(root.iterdir()) if (each / "cgroup.procs").exists()]


def create(name: str, root: Path = ROOT) -> None:
    """Make the group `name` (a path such as `cluster/node1`) in every hierarchy."""
    for hierarchy in hierarchies(root):
        folder = hierarchy
        for part in Path(name).parts:
            parent, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            _inherit(parent, folder)


def _inherit(parent: Path, folder: Path) -> None:
    # Version 1: a group without processors takes no process. Version 2: a group has only the
    # controllers that its parent hands down.
    for name in _CPUSET_FILES:
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((parent / name).read_text())
    available = folder / "cgroup.controllers"
    if available.exists() and available.read_text().strip():
        wanted = " ".join(f"+{each}" for each in available.read_text().split())
        (folder / "cgroup.subtree_control").write_text(wanted)


def remove(name: str, *, root: Path = ROOT, seconds: float = 10) -> list[Path]:
    """Remove a group with all below it; return what still holds a process when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        left = [h / name for h in hierarchies(root) if not _removed(h / name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()


def stale(root: Path = ROOT) -> list[str]:
    """Return the groups of clusters whose keeper is gone: somebody killed it."""
    names = {entry.name for h in hierarchies(root) for entry in h.glob(f"{_PREFIX}*")}
    return sorted(name for name in names if _is_stale(name))


def _is_stale(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and start_time(int(match[1])) != int(match[2])


def writable(root: Path = ROOT) -> bool:
    """Tell whether groups can be made, by making one and removing it."""
    name = name_for(os.getpid())
    try:
        create(name, root)
    except OSError:
        return False
    finally:
        remove(name, root=root, seconds=1)
    return True
