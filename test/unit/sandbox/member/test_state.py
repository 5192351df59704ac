"""Tests of a member's state: it reads its mounts anew each time, and survives what it finds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smbpctl.operand.contract import Component
from smbpctl.operand.members import Topology
from smbpctl.sandbox.behaviour import Behaviour
from smbpctl.sandbox.member.container import read_container
from smbpctl.sandbox.member.state import State, crashes
from test.support.containers import Kubelet


def state(root: Path, component: Component = Component.STORE) -> State:
    """Return the state of a member that has all it needs."""
    kubelet = Kubelet(root, component)
    kubelet.mount()
    return State(read_container(kubelet.environment(), root), "me")


def publish(made: State, text: str) -> None:
    """Change the mounted document as a kubelet does: whole folders, swapped by a link."""
    file = made.container.topology_file
    new = file.parent / f"..{len(list(file.parent.iterdir()))}"
    new.mkdir()
    (new / file.name).write_text(text)
    link = file.parent / "..data_tmp"
    link.symlink_to(new.name)
    link.rename(file.parent / "..data")
    file.unlink()
    file.symlink_to(Path("..data") / file.name)


async def test_a_member_is_who_its_container_says(tmp_path: Path) -> None:
    """Name, component and version come from outside."""
    made = state(tmp_path, Component.AUTH)

    assert (made.component, made.version) == (Component.AUTH, "1.64.0")
    assert made.name.startswith("demo-auth-server-")


async def test_a_new_topology_is_read_without_a_restart(tmp_path: Path) -> None:
    """The kubelet's swap of the folder is noticed at the next question."""
    made = state(tmp_path)
    before = Topology.from_json(await made.topology())

    publish(made, before.to_json().replace('"id":1', '"id":8'))

    assert (before.current.id, Topology.from_json(await made.topology()).current.id) == (1, 8)
    assert await made.unready() == ""


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda file: file.unlink(), "No such file or directory"),
        (lambda file: file.write_bytes(file.read_bytes()[:40]), "not JSON"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), "not JSON"),
        (lambda file: file.write_bytes(b"{}"), "current is missing"),
        (lambda file: (file.unlink(), file.mkdir()), "Is a directory"),
    ],
)
async def test_a_topology_that_cannot_be_read_is_a_reason(
    tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    """The member goes on living, is not ready, and says why; it recovers by itself."""
    made = state(tmp_path)
    file = made.container.topology_file
    good = file.read_bytes()
    harm(file)

    ill = await made.unready()
    if file.is_dir():
        file.rmdir()
    file.write_bytes(good)

    assert ill.startswith("no topology: ")
    assert reason in ill
    assert await made.unready() == ""


async def test_a_member_that_is_not_listed_is_not_ready(tmp_path: Path) -> None:
    """The topology is another's, or the member is one too many."""
    made = state(tmp_path)
    file = made.container.topology_file
    text = file.read_text().replace("demo-store-0-1", "demo-store-0-9")
    file.write_text(
        text.replace('"ordinal":1', '"ordinal":7').replace('"ordinal":2', '"ordinal":8')
    )

    assert await made.unready() == "the topology lacks demo-store-0-1"


def test_only_crashes_outlive_the_process(tmp_path: Path) -> None:
    """A hanging process is cured by a restart; one that crashes at each start is not."""
    made = state(tmp_path)

    made.behave(Behaviour(hangs=True))
    hung = crashes(made.container)
    made.behave(Behaviour(crashes=True))

    assert not hung
    assert crashes(made.container)
    assert made.behaviour == Behaviour(crashes=True)


def test_a_crash_that_cannot_be_remembered_is_an_error(tmp_path: Path) -> None:
    """It would be over after one restart; the member stays as it was instead."""
    made = state(tmp_path)
    (tmp_path / "tmp").rmdir()

    with pytest.raises(FileNotFoundError):
        made.behave(Behaviour(crashes=True))

    assert made.behaviour == Behaviour()
