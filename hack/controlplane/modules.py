"""Write the Go module from which a control plane of one Kubernetes version is built."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES = "k8s.io/kubernetes"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
FILES = ("go.mod", "go.sum", "etcd/main.go")
# The first Go that knows tool directives; tidying raises it to what Kubernetes asks for.
_MINIMUM_GO = "1.24.0"


def pinned(folder: Path = HERE) -> str:
    """Return the Kubernetes version that the go.mod in `folder` requires, without the v."""
    return _line(folder, rf"{KUBERNETES} v(\S+)")


def go_version(folder: Path = HERE) -> str:
    """Return the Go version that the go.mod in `folder` asks for."""
    return _line(folder, r"go (\S+)")


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


def _line(folder: Path, pattern: str) -> str:
    text = (folder / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require )?{pattern}", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"{folder / 'go.mod'} has no line like {pattern!r}")
    return match.group(1)


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
            _block("tool", [f"{KUBERNETES}/cmd/{command}" for command in COMMANDS]),
            _block("replace", [f"{module} => {module} {released}" for module in staging]),
        ]
    )


def _block(directive: str, lines: list[str]) -> str:
    return "\n".join([f"{directive} (", *(f"\t{line}" for line in lines), ")\n"])
