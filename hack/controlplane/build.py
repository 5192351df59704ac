"""Build etcd and the Kubernetes control plane's programs into a cache folder, once a version.

Usage: python3 hack/controlplane/build.py [--print-key | --print-dir | --tidy]

Prints progress to stderr and, as the last line of stdout, the folder with the programs. Exit
status: 0 done, 1 not built, 2 wrong settings, 3 Go is needed and not installed.

KUBERNETES_VERSION   version to build; the one in go.mod unless set. For another version the
                     module is resolved into the cache folder; with --tidy it becomes the
                     committed one.
KUBEBUILDER_ASSETS   folder with ready-made etcd, kube-apiserver and kubectl. What it holds is
                     not built; its kube-apiserver must be of the same minor version.
SMBPCTL_CACHE        cache folder; $XDG_CACHE_HOME or ~/.cache unless set. Any folder below its
                     smbpctl/controlplane may be deleted at any time.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

# A script by path does not find its neighbours by their package's name.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hack import gobuild
from hack.controlplane import modules
from hack.gobuild import MISUSED, Refused

FROM_ASSETS = ("etcd", "kube-apiserver", "kubectl")
SAY = gobuild.Say("controlplane")


def recipe(version: str) -> gobuild.Recipe:
    """Return how the control plane of Kubernetes `version` is built."""
    kubernetes = modules.packages(modules.CONTROL_PLANE)
    return modules.recipe(version, {**kubernetes, "etcd": "./etcd"}, SAY)


def cache_key(version: str) -> str:
    """Return a name that changes with everything the programs are made from."""
    names = (*modules.FILES, "build.py", "modules.py")
    return f"{version}-{recipe(version).key(modules.HERE / name for name in names)}"


def assets(version: str) -> set[str]:
    """Return the programs that KUBEBUILDER_ASSETS supplies; refuse another minor version."""
    setting = os.environ.get("KUBEBUILDER_ASSETS")
    if not setting:
        return set()
    folder = Path(setting)
    if not folder.is_dir():
        raise Refused(f"KUBEBUILDER_ASSETS={setting}: no such folder", MISUSED)
    supplied = {name for name in FROM_ASSETS if os.access(folder / name, os.X_OK)}
    if "kube-apiserver" in supplied:
        check_minor(folder / "kube-apiserver", version)
    return supplied


def check_minor(api_server: Path, version: str) -> None:
    """Refuse an API server whose minor version is not that of `version`."""
    try:
        answer = subprocess.run(
            [api_server, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(f"{api_server} does not tell its version: {error}", MISUSED) from error
    found = answer.strip().rpartition("v")[2]
    if found.split(".")[:2] != version.split(".")[:2]:
        raise Refused(
            f"KUBEBUILDER_ASSETS holds kube-apiserver {found}, but the other programs would be "
            f"built from Kubernetes {version}: set KUBERNETES_VERSION={found}, or other assets",
            MISUSED,
        )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asks for; raise `Refused` when that is impossible."""
    version = modules.requested()
    if arguments.tidy:
        go = gobuild.find_go(["go.mod"], modules.go_version())
        modules.write(modules.HERE, version, go=go)
        return
    folder = gobuild.cache_folder("controlplane", cache_key(version))
    if arguments.print_key:
        print(folder.name)
        return
    supplied = assets(version)
    made = recipe(version)
    wanted = [name for name in made.programs if name not in supplied]
    missing = gobuild.missing_in(folder / "bin", wanted)
    if missing and arguments.print_dir:
        raise Refused(f"not built yet: {', '.join(missing)}")
    if missing:
        gobuild.find_go(missing, made.go_version)
        gobuild.build(made, folder, wanted, SAY)
    print(folder / "bin")


if __name__ == "__main__":
    sys.exit(gobuild.main(__doc__, run, SAY))
