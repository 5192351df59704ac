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
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import modules

PROGRAMS = {
    **{name: f"{modules.KUBERNETES}/cmd/{name}" for name in modules.COMMANDS},
    "etcd": "./etcd",
}
FROM_ASSETS = ("etcd", "kube-apiserver", "kubectl")
_STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_HEARTBEAT_SECONDS = 30
FAILED, MISUSED, NO_GO = 1, 2, 3


class Refused(Exception):
    """Nothing can be built; carries the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def kubernetes_version() -> str:
    """Return the version asked for by KUBERNETES_VERSION, or the pinned one."""
    version = os.environ.get("KUBERNETES_VERSION", "").removeprefix("v") or modules.pinned()
    if re.fullmatch(r"1\.\d+\.\d+", version) is None:
        raise Refused(f"KUBERNETES_VERSION={version!r}: want one like 1.36.3", MISUSED)
    return version


def cache_key(version: str) -> str:
    """Return a name that changes with everything the programs are made from."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
    for name in (*modules.FILES, "build.py", "modules.py"):
        digest.update((modules.HERE / name).read_bytes())
    return f"{version}-{digest.hexdigest()[:12]}"


def cache_folder(key: str) -> Path:
    """Return the folder of one build, below the user's cache folder."""
    default = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(os.environ.get("SMBPCTL_CACHE") or default)
    return root.absolute() / "smbpctl" / "controlplane" / key


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


def missing_in(folder: Path, wanted: list[str]) -> list[str]:
    """Return those of `wanted` that are not in `folder` yet."""
    return [name for name in wanted if not os.access(folder / name, os.X_OK)]


def find_go(missing: list[str]) -> str:
    """Return the go command, or refuse in one line that says what to install."""
    go = shutil.which("go")
    if go is None:
        raise Refused(
            f"Go is not installed, and {', '.join(missing)} must be built: "
            f"install Go {modules.go_version()} or later",
            NO_GO,
        )
    return go


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time work in `folder`; the kernel unlocks when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def module_for(version: str, folder: Path, go: str) -> Path:
    """Return the folder of the Go module for `version`, resolving it when it is not ours."""
    if version == modules.pinned():
        return modules.HERE
    module = folder / "module"
    if not (module / "go.mod").exists():
        say(f"resolving the Go modules of Kubernetes {version}")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".module-") as scratch:
            modules.write(Path(scratch) / "module", version, go=go)
            (Path(scratch) / "module").rename(module)
    return module


def build(version: str, folder: Path, wanted: list[str]) -> None:
    """Build what is missing of `wanted` into `folder`/bin; each program appears at once, whole."""
    with locked(folder):
        missing = missing_in(folder / "bin", wanted)
        if not missing:
            return
        go = find_go(missing)
        # We hold the lock: a scratch folder that is here was left by a build that was killed.
        for stale in folder.glob(".*-*"):
            shutil.rmtree(stale)
        (folder / "bin").mkdir(exist_ok=True)
        module = module_for(version, folder, go)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
            for number, name in enumerate(missing, start=1):
                say(f"building {name} for Kubernetes {version} ({number} of {len(missing)})")
                started = time.monotonic()
                compile_program(name, version, module, scratch=Path(scratch), go=go)
                (Path(scratch) / name).rename(folder / "bin" / name)
                say(f"built {name} in {time.monotonic() - started:.0f} s")


def compile_program(name: str, version: str, module: Path, *, scratch: Path, go: str) -> None:
    """Build one program into `scratch`; when this process is ended, so are the compilers."""
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    command += ["-ldflags", link_flags(version), "-o", str(scratch / name), PROGRAMS[name]]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTMPDIR": str(scratch)}
    process = subprocess.Popen(
        command, cwd=module, env=environment, stdout=sys.stderr, process_group=0
    )
    try:
        while (status := wait_a_little(process)) is None:
            say(f"still building {name}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status != 0:
        raise Refused(f"go build of {name} failed with status {status}")


def wait_a_little(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit status, or None when the process runs on after a heartbeat's time."""
    try:
        return process.wait(_HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def link_flags(version: str) -> str:
    """Return linker flags that leave debug tables out and stamp the Kubernetes version."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X {p}.{name}={value}" for p in _STAMPED for name, value in values.items()]
    return " ".join(["-s", "-w", *stamps])


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"controlplane: {message}", file=sys.stderr, flush=True)


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asks for; raise `Refused` when that is impossible."""
    version = kubernetes_version()
    if arguments.tidy:
        modules.write(modules.HERE, version, go=find_go(["go.mod"]))
        return
    folder = cache_folder(cache_key(version))
    if arguments.print_key:
        print(folder.name)
        return
    supplied = assets(version)
    wanted = [name for name in PROGRAMS if name not in supplied]
    missing = missing_in(folder / "bin", wanted)
    if missing and arguments.print_dir:
        raise Refused(f"not built yet: {', '.join(missing)}")
    if missing:
        find_go(missing)
        build(version, folder, wanted)
    print(folder / "bin")


def main() -> int:
    """Parse the command line, run, and turn refusals into one line and an exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print-key", action="store_true", help="print the cache key and exit")
    choice.add_argument("--print-dir", action="store_true", help="print the folder; never build")
    choice.add_argument("--tidy", action="store_true", help="rewrite go.mod and go.sum here")
    # As an exception, so that lock, scratch folder and compilers are cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        run(parser.parse_args())
    except Refused as refusal:
        say(str(refusal))
        return refusal.status
    except subprocess.CalledProcessError as error:
        say(f"{error}")
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
