"""Tests of hack/controlplane/build.py, run as people run it, with a script in the place of go."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

SOURCE = Path(__file__).parents[2] / "hack" / "controlplane"
PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]
# Records its arguments. FAKE_GO_FIFO makes it write half a program and then hold the named pipe
# open until somebody writes to FAKE_GO_GO_ON.
FAKE_GO = """
import json, os, sys
from pathlib import Path
here = Path(sys.argv[0]).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([os.getcwd(), *arguments]) + "\\n")
if arguments[:2] == ["mod", "download"]:
    print(json.dumps({"GoMod": str(here / "upstream.mod")}))
elif arguments[:2] == ["mod", "tidy"]:
    Path("go.sum").write_text("tidied\\n")
elif arguments[0] == "build":
    target = Path(arguments[arguments.index("-o") + 1])
    target.write_text("#!/bin/sh\\n")
    if "FAKE_GO_FIFO" in os.environ:
        with open(os.environ["FAKE_GO_FIFO"], "w") as fifo:
            fifo.write("half done\\n")
            fifo.flush()
            open(os.environ["FAKE_GO_GO_ON"]).read()
    target.chmod(0o755)
    sys.exit(1 if os.environ.get("FAKE_GO_FAILS") == target.name else 0)
"""


@dataclass
class Sandbox:
    """A copy of the script, an empty cache, and a PATH that holds the fake go alone."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(SOURCE, self.root / "source")
        (self.root / "path").mkdir()
        self.go.write_text(f"#!{sys.executable} -IS\n{FAKE_GO}")
        self.go.chmod(0o755)
        self.environment = {
            "HOME": str(self.root / "home"),
            "SMBPCTL_CACHE": str(self.root / "cache"),
            "PATH": str(self.root / "path"),
        }

    @property
    def go(self) -> Path:
        return self.root / "path" / "go"

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(
            [sys.executable, str(self.root / "source" / "build.py"), *arguments],
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a shell without job control interrupts are ignored, and that is
            # inherited; a person at a terminal has them.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run the script; return status, output and error output."""
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate()
        return process.returncode, out, err

    def calls(self) -> list[list[str]]:
        """Working folder and arguments of each run of go."""
        record = self.root / "path" / "calls"
        return [json.loads(line) for line in record.read_text().splitlines()]

    def built(self) -> list[str]:
        """The names of the programs that go was asked to build."""
        return [Path(c[c.index("-o") + 1]).name for c in self.calls() if c[1] == "build"]

    def leftovers(self) -> list[str]:
        """Everything in the cache that is neither a program nor the lock."""
        files = (self.root / "cache").glob("smbpctl/controlplane/*/*")
        return [path.name for path in files if path.name not in {"bin", "lock"}]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A fresh sandbox."""
    return Sandbox(tmp_path)


@pytest.fixture
def paused(sandbox: Sandbox) -> dict[str, str]:
    """Settings that make go stop in the middle of a build; see FAKE_GO."""
    names = {"FAKE_GO_FIFO": sandbox.root / "fifo", "FAKE_GO_GO_ON": sandbox.root / "go-on"}
    for path in names.values():
        os.mkfifo(path)
    return {name: str(path) for name, path in names.items()}


def test_the_first_run_builds_and_the_second_finds(sandbox: Sandbox) -> None:
    """All programs are built once; standard output ends with the folder that holds them."""
    first = sandbox.run()
    second = sandbox.run()

    folder = Path(first[1].splitlines()[-1])
    assert first[0] == second[0] == 0
    assert second[1] == f"{folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == PROGRAMS
    assert sorted(sandbox.built()) == PROGRAMS
    assert sandbox.leftovers() == []


def test_builds_are_static_read_only_and_stamped(sandbox: Sandbox) -> None:
    """go may not change go.mod, and the version is linked in where clients report it."""
    sandbox.run(environment={"KUBERNETES_VERSION": ""})

    version = re.search(r"k8s.io/kubernetes v(\S+)", (SOURCE / "go.mod").read_text())
    assert version is not None
    for call in sandbox.calls():
        assert "-mod=readonly" in call
        assert f"-X k8s.io/component-base/version.gitVersion=v{version[1]}" in " ".join(call)


def test_print_dir_never_builds(sandbox: Sandbox) -> None:
    """It fails as long as anything is missing, and prints the folder afterwards."""
    before = sandbox.run("--print-dir")
    built = sandbox.run()
    after = sandbox.run("--print-dir")

    assert before[0] == 1
    assert before[1] == ""
    assert "not built yet: " in before[2]
    assert after == (0, built[1].splitlines()[-1] + "\n", "")


def test_the_key_changes_with_whatever_is_built(sandbox: Sandbox) -> None:
    """Another version, module or script is another key; without a change it stays."""
    keys = [sandbox.run("--print-key")[1] for _ in range(2)]
    other = sandbox.run("--print-key", environment={"KUBERNETES_VERSION": "1.35.4"})[1]
    for name in ("go.sum", "build.py"):
        with (sandbox.root / "source" / name).open("a") as file:
            file.write("\n")
        keys.append(sandbox.run("--print-key")[1])

    assert keys[0] == keys[1]
    assert len({*keys, other}) == 4
    assert other.startswith("1.35.4-")
    assert not (sandbox.root / "cache").exists()


def test_the_cache_lies_in_the_users_cache_folder(sandbox: Sandbox) -> None:
    """Without SMBPCTL_CACHE the usual places are taken, never the source tree."""
    del sandbox.environment["SMBPCTL_CACHE"]

    home = sandbox.run()[1]
    xdg = sandbox.run(environment={"XDG_CACHE_HOME": str(sandbox.root / "xdg")})[1]

    assert home.startswith(str(sandbox.root / "home" / ".cache" / "smbpctl" / "controlplane"))
    assert xdg.startswith(str(sandbox.root / "xdg" / "smbpctl" / "controlplane"))


def test_a_malformed_version_is_refused(sandbox: Sandbox) -> None:
    """A version is three numbers; the message shows what was given."""
    status, _, errors = sandbox.run(environment={"KUBERNETES_VERSION": "latest"})

    assert (status, errors) == (
        2,
        "controlplane: KUBERNETES_VERSION='latest': want one like 1.36.3\n",
    )


def assets(sandbox: Sandbox, version: str) -> dict[str, str]:
    """Make ready-made programs and the setting that names them."""
    folder = sandbox.root / "assets"
    folder.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (folder / name).write_text(f"#!/bin/sh\necho Kubernetes v{version}\n")
        (folder / name).chmod(0o755)
    return {"KUBEBUILDER_ASSETS": str(folder), "KUBERNETES_VERSION": "1.36.3"}


def test_assets_are_used_and_the_rest_is_built(sandbox: Sandbox) -> None:
    """Only the two programs that assets never hold are built; later the others on demand."""
    environment = assets(sandbox, "1.36.0")

    status, _, _ = sandbox.run(environment=environment)
    with_assets = sandbox.built()
    sandbox.run(environment={"KUBERNETES_VERSION": "1.36.3"})

    assert status == 0
    assert sorted(with_assets) == ["kube-controller-manager", "kube-scheduler"]
    assert sorted(sandbox.built()) == PROGRAMS


def test_assets_of_another_minor_version_are_refused(sandbox: Sandbox) -> None:
    """The one line names both versions, and nothing is built."""
    status, _, errors = sandbox.run(environment=assets(sandbox, "1.35.4"))

    assert status == 2
    assert "holds kube-apiserver 1.35.4" in errors
    assert "built from Kubernetes 1.36.3" in errors
    assert errors.count("\n") == 1
    assert not (sandbox.root / "path" / "calls").exists()


def test_absent_assets_are_refused(sandbox: Sandbox) -> None:
    """A setting that leads nowhere is an error, not a build of everything."""
    status, _, errors = sandbox.run(environment={"KUBEBUILDER_ASSETS": "/nowhere"})

    assert (status, errors) == (2, "controlplane: KUBEBUILDER_ASSETS=/nowhere: no such folder\n")


def test_without_go_one_line_says_what_to_install(sandbox: Sandbox) -> None:
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


def test_a_failed_build_leaves_what_was_finished_and_nothing_else(sandbox: Sandbox) -> None:
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
    sandbox: Sandbox, paused: dict[str, str], number: signal.Signals
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
    sandbox: Sandbox, paused: dict[str, str]
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


def test_two_runs_at_once_build_once(sandbox: Sandbox, paused: dict[str, str]) -> None:
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


UPSTREAM = """module k8s.io/kubernetes

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kubectl => ./staging/src/k8s.io/kubectl
\tgithub.com/other/thing => github.com/fork/thing v1.0.0
)
"""


def test_another_version_gets_a_module_of_its_own_in_the_cache(sandbox: Sandbox) -> None:
    """Upstream's staging modules are replaced by their releases; the source stays untouched."""
    (sandbox.root / "path" / "upstream.mod").write_text(UPSTREAM)
    ours = (sandbox.root / "source" / "go.mod").read_bytes()

    status, output, _ = sandbox.run(environment={"KUBERNETES_VERSION": "1.35.4"})

    module = Path(output.splitlines()[-1]).parent / "module"
    text = (module / "go.mod").read_text()
    assert status == 0
    assert "require k8s.io/kubernetes v1.35.4" in text
    assert "k8s.io/api => k8s.io/api v0.35.4\n" in text
    assert "k8s.io/kubectl => k8s.io/kubectl v0.35.4\n" in text
    assert "other/thing" not in text
    assert {call[0] for call in sandbox.calls() if call[1] == "build"} == {str(module)}
    assert (sandbox.root / "source" / "go.mod").read_bytes() == ours


def test_tidy_makes_a_version_the_pinned_one(sandbox: Sandbox) -> None:
    """--tidy rewrites the committed module; afterwards its version is the default."""
    (sandbox.root / "path" / "upstream.mod").write_text(UPSTREAM)

    status, _, _ = sandbox.run("--tidy", environment={"KUBERNETES_VERSION": "1.37.0"})

    assert status == 0
    assert (sandbox.root / "source" / "go.sum").read_text() == "tidied\n"
    assert sandbox.run("--print-key")[1].startswith("1.37.0-")


def test_the_committed_module_is_of_one_kubernetes_release() -> None:
    """Every replaced module has the version that belongs to the required Kubernetes."""
    text = (SOURCE / "go.mod").read_text()

    minor_and_patch = re.search(r"k8s.io/kubernetes v1\.(\S+)", text)
    replaced = re.findall(r"^\t(\S+) => (\S+) v(\S+)$", text, re.MULTILINE)
    assert minor_and_patch is not None
    assert len(replaced) > 25
    assert {version for _, _, version in replaced} == {f"0.{minor_and_patch[1]}"}
    assert all(left == right for left, right, _ in replaced)
