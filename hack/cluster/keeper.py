"""Stands outside a cluster's namespaces: starts them, waits, and leaves nothing when they end.

Run as `python -m hack.cluster.keeper FOLDER`. It ends the cluster on SIGTERM, on SIGINT, or when
its standard input ends, as it does when the process that started it dies in any way.
"""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from hack.cluster import cgroups
from hack.cluster.machine import INIT, ROOT, first_child
from hack.cluster.plan import Files, Plan

_NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts")
_END_SECONDS = 20
# With less than this left nothing works; programs say so in a hundred ways, or not at all.
_FULL_BYTES = 4 * 1024**2
_KEPT = ("logs", "failure", "plan.json")


def start(plan: Plan) -> subprocess.Popen[bytes]:
    """Start the first process inside; it dies with this one, and everything dies with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    # The kernel ends `unshare` when this process is gone, and process 1 when `unshare` is.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--fork", "--mount-proc"]
    command += ["--kill-child", "--propagation", "private", "--"]
    command += [sys.executable, "-I", "-S", str(INIT), sys.executable, "-m", "hack.cluster.inside"]
    command += [plan.root, str(listener.fileno())]
    with (plan.files.logs / "inside.log").open("ab") as log, listener:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End everything inside, and wait until it is gone."""
    inside = first_child(process.pid)
    started = cgroups.start_time(inside) if inside else 0
    process.kill()
    process.wait()
    # Process 1 of a namespace is the last of it: the kernel has it wait for all others.
    deadline = time.monotonic() + _END_SECONDS
    while inside and cgroups.start_time(inside) == started and time.monotonic() < deadline:
        time.sleep(0.02)


def set_at_end_of_input(stop: threading.Event) -> None:
    """Set `stop` when standard input ends, which needs no word from the other side."""
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    stop.set()


def clear(files: Files) -> None:
    """Remove everything of a cluster that has ended, but its logs."""
    servers = files.control_plane / "logs"
    if servers.exists():
        shutil.rmtree(files.logs / "controlplane", ignore_errors=True)
        servers.rename(files.logs / "controlplane")
    for entry in files.root.iterdir():
        if entry.name not in _KEPT:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def complains_of_full_disk(logs: Path) -> bool:
    """Tell whether any program has met a full disk; the space may be free again meanwhile."""
    words = os.strerror(errno.ENOSPC).lower()
    return any(words in log.read_text(errors="replace").lower() for log in logs.rglob("*.log"))


def main(arguments: list[str]) -> int:
    """Keep the cluster until it is told to end; return 0 unless it ended by itself."""
    detached = "--detached" in arguments
    if detached and os.fork() != 0:
        # Whoever started this need not wait for it, nor keep count of it.
        return 0
    plan = Plan.read(Path(arguments[0]))
    files = plan.files
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    for name in cgroups.stale():
        cgroups.remove(name)
    group = cgroups.name_for(os.getpid())
    plan = replace(plan, cgroup=group)
    plan.write()
    cgroups.create(group)
    record = {"pid": os.getpid(), "started": cgroups.start_time(os.getpid())}
    process = start(plan)
    files.keeper.write_text(json.dumps({**record, "unshare": process.pid}), encoding="utf-8")
    if not detached:
        threading.Thread(target=set_at_end_of_input, args=(stop,), daemon=True).start()
    while process.poll() is None and not stop.wait(0.1):
        pass
    by_itself = not stop.is_set()
    full = shutil.disk_usage(files.root).free < _FULL_BYTES
    end(process)
    left = cgroups.remove(group)
    clear(files)
    if by_itself and (full or complains_of_full_disk(files.logs)):
        # Only now is there room for the reason.
        files.failure.write_text(f"the disk of {files.root} is full", encoding="utf-8")
    for folder in left:
        print(f"{folder} could not be removed", file=sys.stderr)
    return 1 if by_itself or left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
