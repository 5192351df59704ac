"""A node's life as seen from the control plane: power on, power off, restart after a crash."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster import cgroups, network
from hack.cluster.plan import NodePlan, Plan

INIT = Path(__file__).with_name("init.py")
ROOT = Path(__file__).parents[2]


class NodeDied(Exception):
    """A node's first process ended by itself; the message holds the end of its log."""


@dataclass
class Machine:
    """One node. Its marker `power` turns it off: every process of it is gone at once."""

    plan: Plan
    node: NodePlan
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def _log(self) -> Path:
        return self.plan.files.logs / f"{self.node.name}.log"

    def tend(self) -> None:
        """Turn it on or off as its marker says; raise NodeDied when it went off by itself."""
        if self.plan.files.hold(self.node.name, "power").exists():
            self.power_off()
        elif self._process is None:
            self.power_on()
        elif self._process.poll() is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
            raise NodeDied(f"{self.node.name} ended: {tail}")

    def power_on(self) -> None:
        """Start its first process in namespaces of its own, and connect it."""
        files, name = self.plan.files, self.node.name
        # Groups do not survive a reboot; the kubelet would look for what ran in each of them.
        group = f"{self.plan.cgroup}/{name}"
        cgroups.remove(group)
        cgroups.create(group)
        for folder in (files.node(name), files.hold(name, "power").parent):
            folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--mount-proc"]
        command += ["--kill-child", "--propagation", "private", "--"]
        command += [sys.executable, "-I", "-S", str(INIT)]
        command += [sys.executable, "-m", "hack.cluster.node", self.plan.root]
        command += [str(self.node.number)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        network.attach(self.node, self._process.pid)
        assert self._process.stdin is not None
        self._process.stdin.write(b"connected\n")
        self._process.stdin.flush()
        files.node_process(name).write_text(str(first_child(self._process.pid)), encoding="ascii")

    def power_off(self) -> None:
        """End every process of it without a word; its disk stays."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        self.plan.files.node_process(self.node.name).unlink(missing_ok=True)


def first_child(process: int) -> int | None:
    """Return the number of a process's only child, None when there is none."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    except OSError:
        return None
    return int(children.split()[0]) if children.strip() else None
