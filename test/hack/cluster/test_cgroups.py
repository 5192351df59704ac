"""Control groups are made in every hierarchy, and swept when their maker is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster import cgroups


@pytest.fixture
def version1(tmp_path: Path) -> Path:
    """Hierarchies of version 1 beside an empty one of version 2, as on a hybrid machine."""
    for name in ("cpu", "cpuset", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "unified" / "cgroup.controllers").touch()
    (tmp_path / "README").touch()
    return tmp_path


@pytest.fixture
def version2(tmp_path: Path) -> Path:
    """One hierarchy of version 2."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    return tmp_path


def test_a_group_is_made_in_every_hierarchy(version1: Path) -> None:
    """Also its parents; and again without complaint."""
    for _ in range(2):
        cgroups.create("smbpctl-1-2/node1", version1)

    made = {str(p.relative_to(version1)) for p in version1.glob("*/smbpctl-1-2/node1")}
    assert made == {f"{h}/smbpctl-1-2/node1" for h in ("cpu", "cpuset", "unified")}


def test_version_2_has_one_hierarchy(version2: Path) -> None:
    """Its root itself."""
    assert cgroups.hierarchies(version2) == [version2]


def test_removal_takes_what_is_below(version1: Path) -> None:
    """Whatever the container runtime made in it."""
    cgroups.create("smbpctl-1-2/node1/kubepods/pod1", version1)

    left = cgroups.remove("smbpctl-1-2", root=version1, seconds=1)

    assert left == []
    assert list(version1.glob("*/smbpctl-*")) == []


def test_what_cannot_be_removed_is_told(version1: Path) -> None:
    """A group that holds something stays, and is named."""
    cgroups.create("smbpctl-1-2", version1)
    (version1 / "cpu" / "smbpctl-1-2" / "busy").touch()

    assert cgroups.remove("smbpctl-1-2", root=version1, seconds=0) == [
        version1 / "cpu" / "smbpctl-1-2"
    ]


def test_only_groups_of_ended_makers_are_stale(version1: Path) -> None:
    """This process lives; a number that was given to another process does not count as alive."""
    mine = cgroups.name_for(os.getpid())
    reused = f"smbpctl-{os.getpid()}-1"
    foreign = "smbpctl-notes"
    for name in (mine, reused, foreign, "smbpctl-999999999-5"):
        cgroups.create(name, version1)

    assert cgroups.stale(version1) == sorted([reused, "smbpctl-999999999-5"])


def test_a_process_that_nobody_waited_for_has_ended() -> None:
    """A zombie keeps its number but keeps no cluster."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert cgroups.start_time(child.pid) == 0
    assert cgroups.start_time(os.getpid()) > 0
