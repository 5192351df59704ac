"""Build every program of a node into one cache folder: kubelet, containerd, CNI, DNS and storage.

Usage: python3 -m hack.cluster.build [--print-key | --print-dir | --tidy]

Prints progress to stderr and, as the last line of stdout, the folder with the programs. Exit
status: 0 done, 1 not built, 2 wrong settings, 3 Go is needed and not installed. --tidy tidies
the modules below hack/cluster/go; that of Kubernetes belongs to hack/controlplane/build.py.

KUBERNETES_VERSION   version of kubelet and kube-proxy; the one that hack/controlplane requires
                     unless set.
SMBPCTL_CACHE        cache folder; $XDG_CACHE_HOME or ~/.cache unless set. Any folder below its
                     smbpctl/cluster may be deleted at any time.

Each part has a folder of its own beside the one that is printed, which holds hard links: after a
change in one Go module only that one is built again.
"""

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack import gobuild
from hack.controlplane import modules

SAY = gobuild.Say("cluster")
MODULES = Path(__file__).resolve().parent / "go"
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins/plugins"
_CSI = "github.com/kubernetes-csi"
_CONTAINERD_PROGRAMS = {
    name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")
}
_CNI_PLUGINS = {
    "bridge": f"{_CNI}/main/bridge",
    "host-local": f"{_CNI}/ipam/host-local",
    "loopback": f"{_CNI}/main/loopback",
    "portmap": f"{_CNI}/meta/portmap",
}
_SIDECARS = {
    "csi-provisioner": f"{_CSI}/external-provisioner/v6/cmd/csi-provisioner",
    "csi-resizer": f"{_CSI}/external-resizer/v2/cmd/csi-resizer",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Programs that are built together; `key` changes with everything they are made from."""

    recipe: gobuild.Recipe
    key: str

    @property
    def folder(self) -> Path:
        """The part's own cache folder."""
        return gobuild.cache_folder("cluster", self.key)

    @property
    def missing(self) -> list[str]:
        """The programs that are not built yet."""
        return gobuild.missing_in(self.folder / "bin", self.recipe.programs)


def parts(version: str) -> list[Part]:
    """Return the parts of a node of Kubernetes `version`."""
    containerd = "v" + gobuild.required(MODULES / "containerd", _CONTAINERD)
    return [
        _kubernetes(version),
        _part(
            "containerd",
            _CONTAINERD_PROGRAMS,
            tags="no_btrfs,no_zfs,no_devmapper",
            stamps={f"{_CONTAINERD}/version.Version": containerd},
        ),
        _part("cni", _CNI_PLUGINS, module="containerd"),
        _part("coredns", {"coredns": "."}),
        _part("sidecars", _SIDECARS, module="storage"),
        _part("volumes", {"smbpctl-volumes": "./volumes"}, module="storage"),
        _part("pause", {"pause": "."}),
    ]


def _kubernetes(version: str) -> Part:
    recipe = modules.recipe(version, modules.packages(modules.NODE), SAY)
    files = [modules.HERE / name for name in ("go.mod", "go.sum", "modules.py")]
    return Part(recipe, f"kubernetes-{version}-{recipe.key(files)}")


def _part(
    name: str,
    programs: Mapping[str, str],
    *,
    module: str = "",
    tags: str = "",
    stamps: Mapping[str, str] | None = None,
) -> Part:
    """Return a part that is built from the module of its own name, or from another's."""
    folder = MODULES / (module or name)
    recipe = gobuild.Recipe(
        title=f"the part {name}",
        programs=programs,
        module=lambda _folder, _go: folder,
        go_version=gobuild.required(folder, "go"),
        tags=tags,
        stamps=stamps or {},
    )
    sources = [path for package in programs.values() for path in _sources(folder, package)]
    return Part(recipe, f"{name}-{recipe.key([*sorted(folder.glob('go.*')), *sources])}")


def _sources(folder: Path, package: str) -> list[Path]:
    """Return the source files of a package of ours; those of others are fixed by go.sum."""
    if not package.startswith("."):
        return []
    return sorted(p for p in (folder / package).glob("*.go") if not p.match("*_test.go"))


def cache_folder(made: list[Part], version: str) -> Path:
    """Return the cache folder for all parts; its name changes with any of theirs."""
    keys = "\n".join(part.key for part in made)
    digest = hashlib.sha256(keys.encode()).hexdigest()[:12]
    return gobuild.cache_folder("cluster", f"{version}-{digest}")


def build(made: list[Part], folder: Path) -> None:
    """Build what is not there yet, and have all programs in `folder`/bin.

    Raises `gobuild.Refused` when Go is absent or a build fails; what was finished before stays.
    """
    for part in made:
        gobuild.build(part.recipe, part.folder, part.recipe.programs, SAY)
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for part in made:
        for name in part.recipe.programs:
            # Another run may have come first, with the same program.
            with contextlib.suppress(FileExistsError):
                os.link(part.folder / "bin" / name, folder / "bin" / name)


def refuse_without_go(made: list[Part]) -> None:
    """Refuse when any part has to be built and there is no Go, naming all that needs it."""
    unbuilt = {name: part.recipe.go_version for part in made for name in part.missing}
    if unbuilt:
        newest = max(unbuilt.values(), key=lambda text: [int(n) for n in text.split(".")])
        gobuild.find_go(unbuilt, newest)


def tidy() -> None:
    """Tidy our own modules. Raises `subprocess.CalledProcessError` when Go cannot."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    for module in sorted(path.parent for path in MODULES.glob("*/go.mod")):
        go = gobuild.find_go(["go.mod"], gobuild.required(module, "go"))
        subprocess.run(
            [go, "mod", "tidy"], cwd=module, env=environment, check=True, stdout=sys.stderr
        )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asks for; raise `Refused` when that is impossible."""
    version = modules.requested()
    if arguments.tidy:
        tidy()
        return
    made = parts(version)
    folder = cache_folder(made, version)
    if arguments.print_key:
        print(folder.name)
        return
    programs = [name for part in made for name in part.recipe.programs]
    missing = gobuild.missing_in(folder / "bin", programs)
    if missing and arguments.print_dir:
        raise gobuild.Refused(f"not built yet: {', '.join(missing)}")
    if missing:
        refuse_without_go(made)
        build(made, folder)
    print(folder / "bin")


if __name__ == "__main__":
    sys.exit(gobuild.main(__doc__, run, SAY))
