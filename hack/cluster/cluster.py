"""A Kubernetes cluster with real nodes on this machine, in namespaces of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from hack.cluster import cgroups, prerequisites
from hack.cluster.machine import ROOT, first_child
from hack.cluster.plan import MAXIMUM_NODES, Files, Plan

_STOP_SECONDS = 60


class ClusterError(Exception):
    """The cluster cannot be started or is not in the state that a call needs."""


class Cluster:
    """Control plane, nodes, DNS and storage; a context manager, or `start` and `stop`.

    `folder` is absent or empty, or holds what an earlier cluster left there. Nothing outside it is
    written, no setting of the machine is changed, and when this process ends for any reason the
    cluster ends too (unless it was started `detached`). Needs root; `prerequisites.Missing` says
    in plain words what else.

    `programs` and `control_plane` are the folders with the programs of nodes and servers, `images`
    the OCI archives that each node holds from the start; no other image can ever be pulled.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: Path,
        control_plane: Path,
        nodes: int = 3,
        images: Sequence[Path] = (),
        ready_timeout: timedelta = timedelta(seconds=240),
    ) -> None:
        if not 1 <= nodes <= MAXIMUM_NODES:
            raise ClusterError(f"nodes must be between 1 and {MAXIMUM_NODES}, not {nodes}")
        self.plan = Plan(
            root=str(folder.absolute()),
            programs=str(programs.absolute()),
            control_plane=str(control_plane.absolute()),
            cgroup="",
            nodes=nodes,
            images=tuple(str(image.absolute()) for image in images),
        )
        self._timeout = ready_timeout
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def files(self) -> Files:
        """Where everything lies."""
        return self.plan.files

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for any program on this machine."""
        return self.files.kubeconfig

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, detached: bool = False) -> float:
        """Start everything; return the seconds until every node was Ready.

        A `detached` cluster outlives this process, until `stop_detached`. Raises
        `prerequisites.Missing`, or ClusterError when a cluster runs in this folder already or
        does not become ready; whatever was started is gone then.
        """
        prerequisites.check(self.files.root)
        if keeper_of(self.files) is not None:
            raise ClusterError(f"a cluster runs in {self.files.root} already")
        started = time.monotonic()
        self._prepare()
        try:
            self._start_keeper(detached=detached)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            stop_detached(self.files)
            raise
        return time.monotonic() - started

    def stop(self) -> None:
        """End everything and remove all but the logs; harmless when nothing runs."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.terminate()
        try:
            keeper.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if keeper.stdin is not None:
            keeper.stdin.close()

    def kubectl(
        self, *arguments: str, stdin: str = "", check: bool = True, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator from outside and return its output.

        With `check` a failure raises CalledProcessError with a note of what kubectl said.
        """
        command = [str(Path(self.plan.control_plane) / "kubectl")]
        command += [f"--kubeconfig={self.kubeconfig}", *arguments]
        answer = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
        if check and answer.returncode != 0:
            error = subprocess.CalledProcessError(
                answer.returncode, command, answer.stdout, answer.stderr
            )
            error.add_note(answer.stderr.strip())
            raise error
        return answer

    def inside(self, command: Sequence[str], *, node: str = "") -> list[str]:
        """Return `command` such that it runs on the control plane, or on a node.

        Raises ClusterError when that does not run.
        """
        return entering(self.files, command, node=node)

    def hold(self, node: str, program: str) -> None:
        """Kill a program of a node and keep it down; "power" is the node itself."""
        marker = self.files.hold(node, program)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def release(self, node: str, program: str) -> None:
        """Let a program of a node, or the node itself, start again."""
        self.files.hold(node, program).unlink(missing_ok=True)

    def _prepare(self) -> None:
        self.files.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The pods' users have to reach their volumes through this folder.
        self.files.root.chmod(0o755)
        for stale in (self.files.failure, self.files.ready):
            stale.unlink(missing_ok=True)
        self.files.logs.mkdir(exist_ok=True)
        self.plan.write()

    def _start_keeper(self, *, detached: bool) -> None:
        command = [sys.executable, "-m", "hack.cluster.keeper", str(self.files.root)]
        with (self.files.logs / "keeper.log").open("ab") as log:
            keeper = subprocess.Popen(
                [*command, "--detached"] if detached else command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
            )
        if detached:
            # It has left a child that belongs to nobody, and ended.
            keeper.wait()
        else:
            self._keeper = keeper

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._timeout.total_seconds()
        kept = False
        while not self.files.ready.exists():
            runs = keeper_of(self.files) is not None
            kept = kept or runs
            ended = kept and not runs if self._keeper is None else self._keeper.poll() is not None
            if ended:
                raise ClusterError(f"the cluster did not start: {self._reason()}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the cluster is not ready after {self._timeout.total_seconds():g} s; "
                    f"its logs are in {self.files.logs}"
                )
            time.sleep(0.05)

    def _reason(self) -> str:
        if self.files.failure.exists():
            return self.files.failure.read_text(encoding="utf-8").strip()
        return f"see {self.files.logs}"


def keeper_of(files: Files) -> int | None:
    """Return the process that keeps the cluster of a folder, None when none runs."""
    try:
        record = json.loads(files.keeper.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pid = int(record["pid"])
    return pid if cgroups.start_time(pid) == record["started"] else None


def entering(files: Files, command: Sequence[str], *, node: str = "") -> list[str]:
    """Return `command` such that it runs inside the cluster of a folder; see `Cluster.inside`."""
    if keeper_of(files) is None:
        raise ClusterError(f"no cluster runs in {files.root}")
    record = json.loads(files.keeper.read_text(encoding="utf-8"))
    process = first_child(record["unshare"])
    if process is None:
        raise ClusterError(f"the cluster in {files.root} has just ended")
    prefix = ["nsenter", f"--target={process}", "--mount", "--pid", "--net", "--ipc", "--uts"]
    if node:
        try:
            inner = files.node_process(node).read_text(encoding="ascii")
        except OSError as error:
            raise ClusterError(f"{node} does not run") from error
        prefix += ["nsenter", f"--target={inner}", "--mount", "--pid", "--net", "--uts"]
    return [*prefix, *command]


def stop_detached(files: Files) -> bool:
    """End the detached cluster of a folder; return whether one ran."""
    keeper = keeper_of(files)
    if keeper is None:
        return False
    os.kill(keeper, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while keeper_of(files) == keeper and time.monotonic() < deadline:
        time.sleep(0.05)
    if keeper_of(files) == keeper:
        raise ClusterError(f"the keeper (process {keeper}) did not end in {_STOP_SECONDS} s")
    return True


def _environment() -> dict[str, str]:
    # The tools of the system administrator are not on every user's path.
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
