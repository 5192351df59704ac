"""Tests of hack/cluster/build.py, run as people run it, with a script in the place of go."""

import re
import shutil
from pathlib import Path

import pytest

from test.architecture.go_sandbox import HACK, GoSandbox

MODULES = HACK / "cluster" / "go"
KUBERNETES = ["kubelet", "kube-proxy"]
CONTAINERD = ["containerd", "containerd-shim-runc-v2", "ctr"]
CNI = ["bridge", "host-local", "loopback", "portmap"]
STORAGE = ["csi-provisioner", "csi-resizer", "smbpctl-volumes"]
PROGRAMS = [*KUBERNETES, *CONTAINERD, *CNI, "coredns", *STORAGE, "pause"]


@pytest.fixture
def sandbox(tmp_path: Path) -> GoSandbox:
    """A fresh sandbox for a script that is called by its module's name."""
    return GoSandbox(tmp_path, ["-m", "hack.cluster.build"], "cluster")


def test_the_first_run_builds_and_the_second_finds(sandbox: GoSandbox) -> None:
    """All programs are built once; the folder that output ends with holds them and no more."""
    first = sandbox.run()
    second = sandbox.run()

    folder = Path(first[1].splitlines()[-1])
    assert first[0] == second[0] == 0
    assert second[1] == f"{folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == sorted(PROGRAMS)
    assert sandbox.built() == PROGRAMS
    assert sandbox.leftovers() == []


def test_each_program_comes_from_its_module(sandbox: GoSandbox) -> None:
    """Kubernetes' own come from the control plane's module, of which there is only one."""
    sandbox.run()

    modules = {name: Path(call[0]) for name, call in sandbox.builds().items()}
    assert {modules[name] for name in KUBERNETES} == {sandbox.hack / "controlplane"}
    places = {name: modules[name].name for name in PROGRAMS if name not in KUBERNETES}
    assert {places[name] for name in (*CONTAINERD, *CNI)} == {"containerd"}
    assert {places[name] for name in STORAGE} == {"storage"}
    assert (places["coredns"], places["pause"]) == ("coredns", "pause")


def test_builds_are_read_only_and_stamped(sandbox: GoSandbox) -> None:
    """go may not change go.mod; the versions that nodes report are those of the modules."""
    sandbox.run(environment={"KUBERNETES_VERSION": ""})

    builds = {name: " ".join(call) for name, call in sandbox.builds().items()}
    kubernetes = re.search(r"k8s.io/kubernetes (v\S+)", (HACK / "controlplane/go.mod").read_text())
    containerd = re.search(
        r"github.com/containerd/containerd/v2 (v\S+)", (MODULES / "containerd/go.mod").read_text()
    )
    assert kubernetes is not None
    assert containerd is not None
    assert all("-mod=readonly" in call for call in builds.values())
    assert f"component-base/version.gitVersion={kubernetes[1]} " in builds["kubelet"]
    assert f"containerd/v2/version.Version={containerd[1]} " in builds["containerd"]
    assert "-tags no_btrfs,no_zfs,no_devmapper" in builds["containerd"]
    assert "-tags" not in builds["kubelet"]


def test_print_dir_never_builds(sandbox: GoSandbox) -> None:
    """It fails as long as anything is missing, and prints the folder afterwards."""
    before = sandbox.run("--print-dir")
    built = sandbox.run()
    after = sandbox.run("--print-dir")

    assert before[:2] == (1, "")
    assert before[2].startswith("cluster: not built yet: kubelet, ")
    assert after == (0, built[1].splitlines()[-1] + "\n", "")


@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        ("controlplane/go.sum", KUBERNETES),
        ("cluster/go/containerd/go.mod", [*CONTAINERD, *CNI]),
        ("cluster/go/coredns/main.go", ["coredns"]),
        ("cluster/go/storage/go.sum", STORAGE),
        ("cluster/go/storage/volumes/node.go", ["smbpctl-volumes"]),
        ("cluster/go/pause/main.go", ["pause"]),
    ],
)
def test_a_change_is_a_new_key_and_rebuilds_its_part(
    sandbox: GoSandbox, changed: str, rebuilt: list[str]
) -> None:
    """The rest is taken from the earlier build, into a folder that is complete again."""
    first = sandbox.run()[1]
    sandbox.append_line_to(changed)

    status, second, _ = sandbox.run()

    folder = Path(second.splitlines()[-1])
    assert status == 0
    assert second != first
    assert sandbox.built()[len(PROGRAMS) :] == rebuilt
    assert sorted(path.name for path in folder.iterdir()) == sorted(PROGRAMS)


@pytest.mark.parametrize(
    "name",
    [
        "controlplane/build.py",
        "controlplane/etcd/main.go",
        "cluster/go/storage/volumes/controller_test.go",
    ],
)
def test_what_no_program_is_made_from_is_not_in_the_key(sandbox: GoSandbox, name: str) -> None:
    """The control plane's own sources, and tests, rebuild nothing."""
    before = sandbox.key()
    sandbox.append_line_to(name)

    assert sandbox.key() == before


def test_another_kubernetes_rebuilds_its_own_programs_alone(sandbox: GoSandbox) -> None:
    """The version is in the folder's name; its module is resolved in the cache."""
    sandbox.run()
    status, output, _ = sandbox.run(environment={"KUBERNETES_VERSION": "1.35.4"})

    folder = Path(output.splitlines()[-1])
    assert status == 0
    assert folder.parent.name.startswith("1.35.4-")
    assert sandbox.built()[len(PROGRAMS) :] == KUBERNETES
    assert "gitVersion=v1.35.4 " in " ".join(sandbox.builds()["kubelet"])
    module = Path(sandbox.builds()["kubelet"][0])
    assert folder.parents[1] in module.parents
    assert "require k8s.io/kubernetes v1.35.4" in (module / "go.mod").read_text()


def test_a_malformed_version_is_refused(sandbox: GoSandbox) -> None:
    """A version is three numbers; the message shows what was given."""
    status, _, errors = sandbox.run(environment={"KUBERNETES_VERSION": "latest"})

    assert (status, errors) == (2, "cluster: KUBERNETES_VERSION='latest': want one like 1.36.3\n")


def test_without_go_one_line_says_what_to_install(sandbox: GoSandbox) -> None:
    """Status 3 is for the missing Go alone; the newest that any of the modules needs is named."""
    sandbox.run()
    sandbox.go.unlink()
    complete = sandbox.run()
    sandbox.append_line_to("cluster/go/containerd/go.sum")
    sandbox.append_line_to("cluster/go/pause/main.go")

    status, _, errors = sandbox.run()

    newest = re.search(r"^go (\S+)", (MODULES / "containerd/go.mod").read_text(), re.MULTILINE)
    assert newest is not None
    assert complete[0] == 0
    assert (status, errors) == (
        3,
        f"cluster: Go is not installed, and {', '.join([*CONTAINERD, *CNI, 'pause'])} must be "
        f"built: install Go {newest[1]} or later\n",
    )


def test_what_was_built_is_linked_again_without_go(sandbox: GoSandbox) -> None:
    """Either folder may be deleted: the whole one is made from parts, and needs none of them."""
    folder = Path(sandbox.run()[1].splitlines()[-1])
    sandbox.go.unlink()

    shutil.rmtree(folder.parent)
    relinked = sandbox.run()
    for part in folder.parents[1].iterdir():
        if part != folder.parent:
            shutil.rmtree(part)
    alone = sandbox.run()

    assert relinked == (0, f"{folder}\n", "")
    assert alone == (0, f"{folder}\n", "")
    assert sorted(path.name for path in folder.iterdir()) == sorted(PROGRAMS)


def test_a_failed_build_leaves_what_was_finished_and_nothing_else(sandbox: GoSandbox) -> None:
    """The next run builds only what is missing."""
    failed = sandbox.run(environment={"FAKE_GO_FAILS": "ctr"})
    before = sandbox.built()
    leftovers = sandbox.leftovers()
    again = sandbox.run()

    assert failed[:2] == (1, "")
    assert "cluster: go build of ctr failed with status 1\n" in failed[2]
    assert leftovers == []
    assert again[0] == 0
    assert sandbox.built()[len(before) :] == ["ctr", *PROGRAMS[PROGRAMS.index("ctr") + 1 :]]


def test_tidy_tidies_our_modules_where_they_are(sandbox: GoSandbox) -> None:
    """That of Kubernetes has a version to be set, and a script of its own for it."""
    status, output, _ = sandbox.run("--tidy")

    assert (status, output) == (0, "")
    assert {Path(call[0]).name for call in sandbox.calls()} == {
        "containerd",
        "coredns",
        "pause",
        "storage",
    }
    assert {tuple(call[1:]) for call in sandbox.calls()} == {("mod", "tidy")}


def test_the_storage_controllers_are_built_with_one_kubernetes_release() -> None:
    """Minor versions of its libraries do not mix: they stop compiling."""
    text = (MODULES / "storage" / "go.mod").read_text()

    versions = re.findall(r"^\tk8s.io/\S+ v(0\.[1-9]\d*\.\d+)\b", text, re.MULTILINE)
    assert len(versions) > 5
    assert len(set(versions)) == 1
