"""Tests of hack/controlplane/build.py, run as people run it, with a script in the place of go."""

import re
import signal
from pathlib import Path

import psutil
import pytest

from test.architecture.go_sandbox import HACK, GoSandbox

SOURCE = HACK / "controlplane"
PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]


@pytest.fixture
def sandbox(tmp_path: Path) -> GoSandbox:
    """A fresh sandbox for a script that is called by its path."""
    return GoSandbox(tmp_path, [str(tmp_path / "hack/controlplane/build.py")], "controlplane")


@pytest.fixture
def paused(sandbox: GoSandbox) -> dict[str, str]:
    """Settings that make go stop in the middle of a build."""
    return sandbox.pauses()


def test_the_first_run_builds_and_the_second_finds(sandbox: GoSandbox) -> None:
    """All programs are built once; standard output ends with the folder that holds them."""
    first = sandbox.run()
    second = sandbox.run()

    folder = Path(first[1].splitlines()[-1])
    assert first[0] == second[0] == 0
    assert second[1] == f"{folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == PROGRAMS
    assert sorted(sandbox.built()) == PROGRAMS
    assert sandbox.leftovers() == []


def test_builds_are_static_read_only_and_stamped(sandbox: GoSandbox) -> None:
    """go may not change go.mod, and the version is linked in where clients report it."""
    sandbox.run(environment={"KUBERNETES_VERSION": ""})

    version = re.search(r"k8s.io/kubernetes v(\S+)", (SOURCE / "go.mod").read_text())
    assert version is not None
    for call in sandbox.calls():
        assert "-mod=readonly" in call
        assert f"-X k8s.io/component-base/version.gitVersion=v{version[1]}" in " ".join(call)


def test_print_dir_never_builds(sandbox: GoSandbox) -> None:
    """It fails as long as anything is missing, and prints the folder afterwards."""
    before = sandbox.run("--print-dir")
    built = sandbox.run()
    after = sandbox.run("--print-dir")

    assert before[0] == 1
    assert before[1] == ""
    assert "not built yet: " in before[2]
    assert after == (0, built[1].splitlines()[-1] + "\n", "")


def test_the_key_changes_with_whatever_is_built(sandbox: GoSandbox) -> None:
    """Another version, module or script is another key; without a change it stays."""
    keys = [sandbox.key() for _ in range(2)]
    other = sandbox.key({"KUBERNETES_VERSION": "1.35.4"})
    for name in ("go.sum", "build.py", "etcd/main.go"):
        sandbox.append_line_to(f"controlplane/{name}")
        keys.append(sandbox.key())

    assert keys[0] == keys[1]
    assert len({*keys, other}) == 5
    assert other.startswith("1.35.4-")
    assert not (sandbox.root / "cache").exists()


def test_what_only_nodes_need_is_not_built_and_not_in_the_key(sandbox: GoSandbox) -> None:
    """kubelet and kube-proxy share the module, but a control plane does without."""
    before = sandbox.key()
    for name in ("build.py", "go/containerd/go.sum", "go/coredns/main.go"):
        sandbox.append_line_to(f"cluster/{name}")
    sandbox.run()

    assert sandbox.key() == before
    assert "k8s.io/kubernetes/cmd/kubelet\n" in (SOURCE / "go.mod").read_text()
    assert "k8s.io/kubernetes/cmd/kube-proxy\n" in (SOURCE / "go.mod").read_text()
    assert {"kubelet", "kube-proxy"}.isdisjoint(sandbox.built())


def test_the_cache_lies_in_the_users_cache_folder(sandbox: GoSandbox) -> None:
    """Without SMBPCTL_CACHE the usual places are taken, never the source tree."""
    del sandbox.environment["SMBPCTL_CACHE"]

    home = sandbox.run()[1]
    xdg = sandbox.run(environment={"XDG_CACHE_HOME": str(sandbox.root / "xdg")})[1]

    assert home.startswith(str(sandbox.root / "home" / ".cache" / "smbpctl" / "controlplane"))
    assert xdg.startswith(str(sandbox.root / "xdg" / "smbpctl" / "controlplane"))


def test_a_malformed_version_is_refused(sandbox: GoSandbox) -> None:
    """A version is three numbers; the message shows what was given."""
    status, _, errors = sandbox.run(environment={"KUBERNETES_VERSION": "latest"})

    assert (status, errors) == (
        2,
        "controlplane: KUBERNETES_VERSION='latest': want one like 1.36.3\n",
    )


def assets(sandbox: GoSandbox, version: str) -> dict[str, str]:
    """Make ready-made programs and the setting that names them."""
    folder = sandbox.root / "assets"
    folder.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (folder / name).write_text(f"#!/bin/sh\necho Kubernetes v{version}\n")
        (folder / name).chmod(0o755)
    return {"KUBEBUILDER_ASSETS": str(folder), "KUBERNETES_VERSION": "1.36.3"}


def test_assets_are_used_and_the_rest_is_built(sandbox: GoSandbox) -> None:
    """Only the two programs that assets never hold are built; later the others on demand."""
    environment = assets(sandbox, "1.36.0")

    status, _, _ = sandbox.run(environment=environment)
    with_assets = sandbox.built()
    sandbox.run(environment={"KUBERNETES_VERSION": "1.36.3"})

    assert status == 0
    assert sorted(with_assets) == ["kube-controller-manager", "kube-scheduler"]
    assert sorted(sandbox.built()) == PROGRAMS


def test_assets_of_another_minor_version_are_refused(sandbox: GoSandbox) -> None:
    """The one line names both versions, and nothing is built."""
    status, _, errors = sandbox.run(environment=assets(sandbox, "1.35.4"))

    assert status == 2
    assert "holds kube-apiserver 1.35.4" in errors
    assert "built from Kubernetes 1.36.3" in errors
    assert errors.count("\n") == 1
    assert not (sandbox.root / "path" / "calls").exists()


def test_absent_assets_are_refused(sandbox: GoSandbox) -> None:
    """A setting that leads nowhere is an error, not a build of everything."""
    status, _, errors = sandbox.run(environment={"KUBEBUILDER_ASSETS": "/nowhere"})

    assert (status, errors) == (2, "controlplane: KUBEBUILDER_ASSETS=/nowhere: no such folder\n")


def test_without_go_one_line_says_what_to_install(sandbox: GoSandbox) -> None:
    """Status 3 is for the missing Go alone; what is built already needs none."""
    environment = assets(sandbox, "1.36.3")
    sandbox.run(environment=environment)
    sandbox.go.unlink()

    complete = sandbox.run(environment=environment)
    status, _, errors = sandbox.run(environment={"KUBERNETES_VERSION": "1.36.3"})

    assert complete[0] == 0
    assert status == 3
    assert re.fullmatch(
        r"controlplane: Go is not installed, and kube-apiserver, kubectl, etcd must be built: "
        r"install Go 1\.\d+(\.\d+)? or later\n",
        errors,
    )


def test_a_failed_build_leaves_what_was_finished_and_nothing_else(sandbox: GoSandbox) -> None:
    """The next run builds only what is missing."""
    failed = sandbox.run(environment={"FAKE_GO_FAILS": "kubectl"})
    before = sandbox.built()
    leftovers = sandbox.leftovers()
    again = sandbox.run()

    assert failed[0] == 1
    assert failed[1] == ""
    assert "go build of kubectl failed with status 1" in failed[2]
    assert leftovers == []
    assert again[0] == 0
    assert sandbox.built()[len(before) :] == ["kubectl", "etcd"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_build_ends_go_and_leaves_nothing_half(
    sandbox: GoSandbox, paused: dict[str, str], number: signal.Signals
) -> None:
    """An interrupt ends the compiler and takes the scratch folder away."""
    process = sandbox.start(environment=paused)
    with Path(paused["FAKE_GO_FIFO"]).open() as fifo:
        assert fifo.readline() == "half done\n"

        process.send_signal(number)

        # The pipe ends when its last writer, the fake go, has gone.
        assert fifo.read() == ""
    process.communicate()
    assert process.returncode == 128 + number
    assert sandbox.leftovers() == []
    assert sandbox.run("--print-dir")[0] == 1


def test_a_killed_build_is_cleared_away_by_the_next(
    sandbox: GoSandbox, paused: dict[str, str]
) -> None:
    """What SIGKILL leaves is never taken for a program and goes with the next build."""
    process = sandbox.start(environment=paused)
    with Path(paused["FAKE_GO_FIFO"]).open() as fifo:
        assert fifo.readline() == "half done\n"
        (compiler,) = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        compiler.kill()
        assert fifo.read() == ""
    process.communicate()
    left = sandbox.leftovers()

    again = sandbox.run()

    assert len(left) == 1
    assert again[0] == 0
    assert sandbox.leftovers() == []


def test_two_runs_at_once_build_once(sandbox: GoSandbox, paused: dict[str, str]) -> None:
    """The second run waits for the first and then finds everything done."""
    first = sandbox.start(environment=paused)
    with Path(paused["FAKE_GO_FIFO"]).open() as fifo:
        assert fifo.readline() == "half done\n"
        second = sandbox.start(environment=paused)
        assert second.stderr is not None
        waiting = second.stderr.readline()
        # Each open and close lets one build go on.
        Path(paused["FAKE_GO_GO_ON"]).write_text("")
        assert fifo.read() == ""
    for _ in PROGRAMS[1:]:
        with Path(paused["FAKE_GO_FIFO"]).open() as fifo:
            assert fifo.readline() == "half done\n"
            Path(paused["FAKE_GO_GO_ON"]).write_text("")
            assert fifo.read() == ""

    outcomes = [process.communicate()[0].splitlines()[-1] for process in (first, second)]

    assert waiting == "controlplane: another build is running; waiting for it\n"
    assert (first.returncode, second.returncode) == (0, 0)
    assert outcomes[0] == outcomes[1]
    assert sorted(sandbox.built()) == PROGRAMS


def test_another_version_gets_a_module_of_its_own_in_the_cache(sandbox: GoSandbox) -> None:
    """Upstream's staging modules are replaced by their releases; the source stays untouched."""
    ours = (sandbox.hack / "controlplane" / "go.mod").read_bytes()

    status, output, _ = sandbox.run(environment={"KUBERNETES_VERSION": "1.35.4"})

    module = Path(output.splitlines()[-1]).parent / "module"
    text = (module / "go.mod").read_text()
    assert status == 0
    assert "require k8s.io/kubernetes v1.35.4" in text
    assert "k8s.io/api => k8s.io/api v0.35.4\n" in text
    assert "k8s.io/kubectl => k8s.io/kubectl v0.35.4\n" in text
    assert "other/thing" not in text
    assert "\tk8s.io/kubernetes/cmd/kubelet\n" in text
    assert {call[0] for call in sandbox.calls() if call[1] == "build"} == {str(module)}
    assert (sandbox.hack / "controlplane" / "go.mod").read_bytes() == ours


def test_tidy_makes_a_version_the_pinned_one(sandbox: GoSandbox) -> None:
    """--tidy rewrites the committed module; afterwards its version is the default."""

    status, _, _ = sandbox.run("--tidy", environment={"KUBERNETES_VERSION": "1.37.0"})

    assert status == 0
    assert (sandbox.hack / "controlplane" / "go.sum").read_text() == "tidied\n"
    assert sandbox.key().startswith("1.37.0-")


def test_the_committed_module_is_of_one_kubernetes_release() -> None:
    """Every replaced module has the version that belongs to the required Kubernetes."""
    text = (SOURCE / "go.mod").read_text()

    minor_and_patch = re.search(r"k8s.io/kubernetes v1\.(\S+)", text)
    replaced = re.findall(r"^\t(\S+) => (\S+) v(\S+)$", text, re.MULTILINE)
    assert minor_and_patch is not None
    assert len(replaced) > 25
    assert {version for _, _, version in replaced} == {f"0.{minor_and_patch[1]}"}
    assert all(left == right for left, right, _ in replaced)
