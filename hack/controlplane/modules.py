"""The Go module that programs of one Kubernetes version are built from, and how it is written."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from hack import gobuild

HERE = Path(__file__).resolve().parent
KUBERNETES = "k8s.io/kubernetes"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE = ("kubelet", "kube-proxy")
FILES = ("go.mod", "go.sum", "etcd/main.go")
_STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
# The first Go that knows tool directives; tidying raises it to what Kubernetes asks for.
_MINIMUM_GO = "1.24.0"


def pinned(folder: Path = HERE) -> str:
    """Return the Kubernetes version that the go.mod in `folder` requires, without the v."""
    return gobuild.required(folder, KUBERNETES)


def go_version(folder: Path = HERE) -> str:
    """Return the Go version that the go.mod in `folder` asks for."""
    return gobuild.required(folder, "go")


def requested() -> str:
    """Return the version asked for by KUBERNETES_VERSION, or the pinned one."""
    version = os.environ.get("KUBERNETES_VERSION", "").removeprefix("v") or pinned()
    if re.fullmatch(r"1\.\d+\.\d+", version) is None:
        raise gobuild.Refused(
            f"KUBERNETES_VERSION={version!r}: want one like 1.36.3", gobuild.MISUSED
        )
    return version


def packages(commands: Iterable[str]) -> dict[str, str]:
    """Return the packages that Kubernetes' own commands are built from."""
    return {command: f"{KUBERNETES}/cmd/{command}" for command in commands}


def recipe(version: str, programs: Mapping[str, str], say: gobuild.Say) -> gobuild.Recipe:
    """Return how `programs` of this module are built, with Kubernetes `version` stamped in."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return gobuild.Recipe(
        title=f"Kubernetes {version}",
        programs=programs,
        module=partial(resolve, version, say),
        go_version=go_version(),
        stamps={f"{place}.{name}": value for place in _STAMPED for name, value in values.items()},
    )


def resolve(version: str, say: gobuild.Say, folder: Path, go: str) -> Path:
    """Return the folder of the module for `version`; one that is not ours is made in `folder`."""
    if version == pinned():
        return HERE
    module = folder / "module"
    if not (module / "go.mod").exists():
        say(f"resolving the Go modules of Kubernetes {version}")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".module-") as scratch:
            write(Path(scratch) / "module", version, go=go)
            (Path(scratch) / "module").rename(module)
    return module


def write(folder: Path, version: str, *, go: str) -> None:
    """Write go.mod, go.sum and etcd's main package for Kubernetes `version` into `folder`.

    Nothing is changed unless all of it succeeds. etcd takes the version that Kubernetes itself
    requires. Raises `subprocess.CalledProcessError` when Go cannot resolve the modules.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tidy-") as name:
        scratch = Path(name)
        (scratch / "etcd").mkdir()
        shutil.copyfile(HERE / "etcd" / "main.go", scratch / "etcd" / "main.go")
        (scratch / "go.mod").write_text(_unresolved(version, _staging(version, go=go)))
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        subprocess.run(
            [go, "mod", "tidy"], cwd=scratch, env=environment, check=True, stdout=sys.stderr
        )
        (folder / "etcd").mkdir(exist_ok=True)
        for file in FILES:
            shutil.copyfile(scratch / file, folder / file)


def _staging(version: str, *, go: str) -> list[str]:
    """Return the modules that Kubernetes develops in its own tree and releases one by one.

    Its go.mod replaces them by folders, which counts only inside that tree; a module that
    requires Kubernetes has to name their released versions itself.
    """
    query = [go, "mod", "download", "-json", f"{KUBERNETES}@v{version}"]
    answer = subprocess.run(
        query, cwd=tempfile.gettempdir(), check=False, stdout=subprocess.PIPE, text=True
    )
    facts = json.loads(answer.stdout or "{}")
    if answer.returncode != 0 or "GoMod" not in facts:
        sys.stderr.write(f"{facts.get('Error', '')}\n")
        raise subprocess.CalledProcessError(answer.returncode, query)
    text = Path(facts["GoMod"]).read_text()
    return sorted(re.findall(r"^\s*(?:replace )?(\S+) => \./staging/", text, re.MULTILINE))


def _unresolved(version: str, staging: list[str]) -> str:
    released = f"v0.{version.partition('.')[2]}"
    return "\n\n".join(
        [
            "module smbpctl/hack/controlplane",
            f"go {_MINIMUM_GO}",
            f"require {KUBERNETES} v{version}",
            _block("tool", list(packages((*CONTROL_PLANE, *NODE)).values())),
            _block("replace", [f"{module} => {module} {released}" for module in staging]),
        ]
    )


def _block(directive: str, lines: list[str]) -> str:
    return "\n".join([f"{directive} (", *(f"\t{line}" for line in lines), ")\n"])
