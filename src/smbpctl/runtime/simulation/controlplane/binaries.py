"""Find the five programs of a control plane and check that their versions belong together."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_VERSION = re.compile(r"v(\d+\.\d+\.\d+\S*)")
_VERSION_TIMEOUT_SECONDS = 30


class BinariesError(Exception):
    """A program is missing, cannot be executed, or is of another Kubernetes version."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the programs. The two controllers are needed only where controllers are to run."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path

    @classmethod
    def in_directory(
        cls, path: Path, assets: Path | None = None, *, controllers: bool = True
    ) -> Self:
        """Return the programs found in `assets` (where given) or else in `path`.

        `assets` is a folder as `KUBEBUILDER_ASSETS` names it: etcd, kube-apiserver and kubectl.
        Raises `BinariesError` naming every absent program; without `controllers` the controller
        manager and the scheduler may be absent.
        """
        folders = [path] if assets is None else [assets, path]
        found = {name: _find(name, folders) for name in CONTROL_PLANE}
        optional = () if controllers else CONTROLLERS
        missing = [n for n, where in found.items() if where is None and n not in optional]
        if missing:
            looked_in = " and ".join(str(folder) for folder in folders)
            raise BinariesError(f"not found in {looked_in}: {', '.join(missing)}")
        paths = {name: where or path / name for name, where in found.items()}
        return cls(**{name.replace("-", "_"): where for name, where in paths.items()})

    def kubernetes_version(self) -> str:
        """Return the API server's version without the v, such as "1.36.3"."""
        return _version([str(self.kube_apiserver), "--version"])

    def check_versions(self, *, controllers: bool = True) -> None:
        """Raise `BinariesError` unless all Kubernetes programs are of one minor version.

        Kubernetes supports some skew between them; a test bed with skew by accident only gives
        riddles. Executes each program once.
        """
        expected = self.kubernetes_version()
        commands = [[str(self.kubectl), "version", "--client"]]
        if controllers:
            commands += [
                [str(path), "--version"]
                for path in (self.kube_controller_manager, self.kube_scheduler)
            ]
        for command in commands:
            actual = _version(command)
            if _minor(actual) != _minor(expected):
                raise BinariesError(
                    f"{command[0]} is version {actual}, {self.kube_apiserver} is {expected}"
                )


def _find(name: str, folders: list[Path]) -> Path | None:
    for folder in folders:
        # which() also checks that the file may be executed.
        where = shutil.which(name, path=str(folder))
        if where is not None:
            return Path(where).absolute()
    return None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _version(command: list[str]) -> str:
    try:
        answer = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesError(f"{command[0]} does not tell its version: {error}") from error
    match = _VERSION.search(answer.stdout)
    if match is None:
        raise BinariesError(f"{command[0]} does not tell its version: {answer.stdout[:200]!r}")
    return match.group(1)
