"""A cluster leaves nothing behind, however it ends, and changes nothing of the machine."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster import cgroups, prerequisites
from hack.cluster.assemble import Parts
from hack.cluster.cluster import Cluster, ClusterError, keeper_of, stop_detached
from hack.cluster.machine import ROOT
from test.e2e.machine import MachineState, groups, processes_of

pytestmark = pytest.mark.xdist_group("cluster")

# Starts a cluster and then does nothing, until somebody kills it.
PARENT = """
import sys, time
from pathlib import Path
from hack.cluster.cluster import Cluster
folder, programs, control_plane, pause = map(Path, sys.argv[1:])
Cluster(folder, programs=programs, control_plane=control_plane, nodes=1, images=[pause]).start()
print("started", flush=True)
time.sleep(600)
"""


def pause_image(parts: Parts) -> Path:
    """The one image without which no pod runs."""
    return next(image for image in parts.images if image.name == "pause.tar")


def cluster(parts: Parts, folder: Path, *, nodes: int = 1) -> Cluster:
    """A cluster that is not started yet."""
    return Cluster(
        folder,
        programs=parts.programs,
        control_plane=parts.control_plane,
        nodes=nodes,
        images=[pause_image(parts)],
    )


def soon(what: str, probe: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `probe` is true."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[MachineState]:
    """The machine before the test; after it the machine is the same and nothing runs."""
    before = MachineState.now(tmp_path)
    yield before
    soon("the end of all processes", lambda: not processes_of(tmp_path))
    try:
        soon("the machine to be as it was", lambda: not before.changes(MachineState.now(tmp_path)))
    except AssertionError:
        # Said by what is different, not by how long that lasted.
        assert before.changes(MachineState.now(tmp_path)) == []


def test_machine_is_the_same_while_a_cluster_runs_and_after_it(
    parts: Parts, tmp_path: Path, untouched: MachineState
) -> None:
    """No setting, interface, mount or folder of the machine differs, even while nodes run."""
    folder = tmp_path / "cluster"

    with cluster(parts, folder, nodes=2) as made:
        made.kubectl("create", "deployment", "idle", "--image=registry.test/smbpctl/pause:3.10")
        made.kubectl("wait", "--for=condition=Available", "deployment/idle")
        during = untouched.changes(MachineState.now(tmp_path))
        assert made.kubectl("get", "nodes", "-o=name").stdout.split() == [
            "node/node1",
            "node/node2",
        ]

    assert [each for each in during if not each.startswith("groups:")] == []
    assert during, "the pods of a cluster live in control groups of its own"
    assert {entry.name for entry in folder.iterdir()} == {"logs", "plan.json"}


@pytest.mark.parametrize("victim", ["parent", "keeper"])
def test_nothing_is_left_when_somebody_is_killed(
    parts: Parts, tmp_path: Path, untouched: MachineState, victim: str
) -> None:
    """SIGKILL of who started the cluster, or of who keeps it, ends every process of it.

    A killed keeper cannot remove control groups; whoever starts a cluster next does.
    """
    folder = tmp_path / "cluster"
    command = [sys.executable, "-c", PARENT, str(folder), str(parts.programs)]
    command += [str(parts.control_plane), str(pause_image(parts))]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(parent.kill)
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        keeper = keeper_of(cluster(parts, folder).files)
        assert keeper is not None

        os.kill(parent.pid if victim == "parent" else keeper, signal.SIGKILL)
        soon("the keeper's end", lambda: cgroups.start_time(keeper) == 0)

    soon("the end of all processes", lambda: not processes_of(folder))
    if victim == "keeper":
        assert groups(tmp_path), "nobody was there to remove them"
        with cluster(parts, tmp_path / "next"):
            pass
    assert groups(tmp_path) == []


def test_containerd_killed_comes_back_and_keeps_its_pods(
    parts: Parts, tmp_path: Path, untouched: MachineState
) -> None:
    """SIGKILL of containerd is survived as on a real node, and leaves nothing in the end."""
    with cluster(parts, tmp_path / "cluster") as made:
        made.kubectl("run", "idle", "--image=registry.test/smbpctl/pause:3.10")
        made.kubectl("wait", "--for=condition=Ready", "pod/idle")
        kill = ["pkill", "-KILL", "-x", "containerd"]

        subprocess.run(made.inside(kill, node="node1"), check=True)
        made.kubectl("run", "second", "--image=registry.test/smbpctl/pause:3.10")
        made.kubectl("wait", "--for=condition=Ready", "pod/second")

        restarts = "-o=jsonpath={.status.containerStatuses[0].restartCount}"
        assert made.kubectl("get", "pod", "idle", restarts).stdout == "0"


def test_second_start_in_the_same_folder_is_refused(
    parts: Parts, tmp_path: Path, untouched: MachineState
) -> None:
    """It says so, and the running cluster does not notice."""
    folder = tmp_path / "cluster"
    with cluster(parts, folder) as made:
        with pytest.raises(ClusterError, match=f"a cluster runs in {folder} already"):
            cluster(parts, folder).start()

        assert made.kubectl("get", "--raw", "/readyz").stdout == "ok"


def test_detached_cluster_outlives_its_parent_until_it_is_stopped(
    parts: Parts, tmp_path: Path, untouched: MachineState
) -> None:
    """This is `make cluster-up` and `make cluster-down`; a second stop says that none runs."""
    made = cluster(parts, tmp_path / "cluster")

    made.start(detached=True)
    ready = cluster(parts, tmp_path / "cluster").kubectl("get", "--raw", "/readyz").stdout

    assert ready == "ok"
    assert stop_detached(made.files)
    assert not stop_detached(made.files)


def test_full_disk_is_refused_before_anything_starts(
    parts: Parts, tmp_path: Path, untouched: MachineState
) -> None:
    """The message names the disk, what is free and what is needed."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(
            prerequisites.Missing, match=rf"the disk of {small} has 0.1 GiB free; .* needs 3"
        ):
            cluster(parts, small / "cluster").start()
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_disk_that_fills_up_during_the_start_is_named(
    parts: Parts, tmp_path: Path, untouched: MachineState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was free at first can be gone a second later: the reason is still said."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)], check=True)
    monkeypatch.setattr(prerequisites, "FREE_BYTES", 1)
    try:
        with pytest.raises(ClusterError, match=f"the disk of {small / 'cluster'} is full"):
            cluster(parts, small / "cluster").start()
    finally:
        soon("the end of all processes", lambda: not processes_of(small))
        subprocess.run(["umount", str(small)], check=True)


def test_without_root_the_reason_is_plain(parts: Parts, tmp_path: Path) -> None:
    """Another user gets one line, and nothing is started."""
    nobody = 65534
    code = (
        "import os, sys; from pathlib import Path; from hack.cluster import prerequisites as p;"
        f"os.setgid({nobody}); os.setuid({nobody}); print(p.problems(Path('/tmp')))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert answer.stdout == "['a cluster needs root, for namespaces, mounts and control groups']\n"


def test_programs_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at once, with the command that installs them on Debian."""
    monkeypatch.setitem(prerequisites.PACKAGES, "no-such-program", "its-package")

    found = prerequisites.problems(tmp_path)

    expected = "no-such-program not installed (make cluster-tools installs its-package)"
    assert found == [expected]
    assert shutil.which("no-such-program") is None
