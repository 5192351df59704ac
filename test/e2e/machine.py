"""An outside witness of the machine: everything that a cluster could change and must not."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Counters and random values: they change by themselves.
_RESTLESS = (
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/aio-nr",
    "fs/quota",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random",
    "net/netfilter/nf_conntrack_count",
)
# Where container runtimes like to leave folders.
_FOLDERS = ("/etc", "/etc/cni", "/opt", "/run", "/var/lib", "/var/lib/cni", "/var/log", "/var/run")
_GROUP = "smbpctl-"


@dataclass(frozen=True)
class MachineState:
    """Settings, control groups, interfaces, mounts, loop devices and folders at one moment."""

    settings: dict[str, str]
    groups: frozenset[str]
    interfaces: frozenset[str]
    mounts: frozenset[str]
    loops: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def now(cls, folder: Path) -> "MachineState":
        """Look at everything but what belongs to clusters that others keep outside `folder`."""
        return cls(
            settings=_settings(),
            groups=frozenset(str(each) for each in groups(folder)),
            interfaces=frozenset(os.listdir("/sys/class/net")),
            mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
            loops=loops(folder),
            folders=frozenset(
                str(entry) for f in _FOLDERS if Path(f).is_dir() for entry in Path(f).iterdir()
            ),
        )

    def changes(self, later: "MachineState") -> list[str]:
        """Say what is not the same any more, one line each."""
        found = [
            f"{name}: {value!r} -> {later.settings.get(name)!r}"
            for name, value in self.settings.items()
            if later.settings.get(name) != value
        ]
        for what in ("groups", "interfaces", "mounts", "loops", "folders"):
            before, after = getattr(self, what), getattr(later, what)
            found += [f"{what}: {each} is new" for each in sorted(after - before)]
            found += [f"{what}: {each} is gone" for each in sorted(before - after)]
        return found


def groups(folder: Path) -> list[Path]:
    """Return every control group of a cluster below `folder`, or of one whose keeper is gone."""
    found = Path("/sys/fs/cgroup").glob(f"**/{_GROUP}*")
    return sorted(group for group in found if not _kept_elsewhere(group.name, folder))


def _kept_elsewhere(name: str, folder: Path) -> bool:
    keeper = name.removeprefix(_GROUP).partition("-")[0]
    try:
        command = Path(f"/proc/{keeper}/cmdline").read_bytes().decode()
    except OSError:
        return False
    return command != "" and str(folder) not in command


def loops(folder: Path) -> frozenset[str]:
    """Return the attached loop devices whose file is below `folder`."""
    answer = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True)
    return frozenset(line for line in answer.stdout.splitlines() if str(folder) in line)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name a cluster's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


def _settings() -> dict[str, str]:
    found = {}
    root = Path("/proc/sys")
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            key = str(path.relative_to(root))
            if key.startswith(_RESTLESS):
                continue
            try:
                found[key] = path.read_text(errors="replace").strip()
            except OSError:
                continue
    return found
