"""Where the programs come from: our own interpreter, or what is built for the peers.

Peers are built into the user's cache folder, once for each state of their lock files. One whose
tools are not installed is `Absent`, with the reason.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, final

from benchmarks.errors import Refused
from hack import gobuild
from hack.caching import locked

PEERS: Final = Path(__file__).parent / "peers"

_SOURCE: Final = re.compile(r'source = "registry\+[^"]*"')
_ANY_SOURCE: Final = 'source = "registry"'

_SUBJECT: Final = ("-m", "benchmarks.subject")


class Absent(Exception):
    """A program is not to be had here; the message is the reason."""


class Kind(Enum):
    """What runs a program."""

    OURS = "ours"
    PYTHON = "python"
    GO = "go"
    RUST = "rust"


PROGRAMS: Final[Mapping[str, tuple[Kind, Sequence[str]]]] = {
    **{
        name: (Kind.OURS, (name,))
        for name in (
            *("ours", "ours-metadata", "ours-list", "ours-list-gzip", "ours-list-metadata"),
            *("ours-applies", "ours-resync", "ours-stall", "ours-import", "ours-empty"),
            *("kubernetes-asyncio-list", "kubernetes-asyncio-list-gzip"),
            *("kubernetes-asyncio-watch", "kubernetes-asyncio-patches", "plain-list"),
            *("work-queue", "work-queue-metrics", "asyncio-queue"),
            *("cache-get", "cache-meta", "deepcopy"),
        )
    },
    **{
        f"{name}-uvloop": (Kind.OURS, (name, "--loop=uvloop"))
        for name in ("ours", "ours-applies", "ours-stall")
    },
    **{name: (Kind.PYTHON, (name,)) for name in ("kopf", "lightkube", "cloudcoil")},
    **{
        f"controller-runtime-{form}": (Kind.GO, (f"--form={form}",))
        for form in ("unstructured", "typed", "metadata")
    },
    "kube-rs": (Kind.RUST, ("--form=dynamic",)),
    "kube-rs-streaming": (Kind.RUST, ("--form=dynamic", "--list=streaming")),
    "kube-rs-typed": (Kind.RUST, ("--form=typed",)),
    "kube-rs-metadata": (Kind.RUST, ("--form=metadata",)),
}
"""What runs each program, and with which arguments of its own."""

ALL_PEERS: Final = frozenset({Kind.PYTHON, Kind.GO, Kind.RUST})


@final
class Programs:
    """Finds the command of each program; the first use of a peer builds it."""

    def __init__(self, peers: Collection[Kind], say: Callable[[str], object]) -> None:
        self._peers = peers
        self._say = say
        self._found: dict[Kind, Sequence[str] | Absent] = {}

    def command(self, name: str) -> Sequence[str]:
        """Return the command that runs a program; raise `Absent` when there is none here."""
        kind, arguments = PROGRAMS[name]
        if kind not in self._found:
            self._found[kind] = self._find(kind)
        found = self._found[kind]
        if isinstance(found, Absent):
            raise found
        return [*found, *arguments]

    def _find(self, kind: Kind) -> Sequence[str] | Absent:
        if kind is Kind.OURS:
            return [sys.executable, *_SUBJECT]
        if kind not in self._peers:
            return Absent(f"without the {kind.value} peers")
        makers = {Kind.PYTHON: self._python, Kind.GO: self._go, Kind.RUST: self._rust}
        try:
            return makers[kind]()
        except Absent as absent:
            return absent

    def _python(self) -> Sequence[str]:
        """Install the locked libraries into a virtual environment of their own."""
        lock = PEERS / "requirements.lock"
        folder = _folder("python", [lock], sys.version)
        interpreter = folder / "venv" / "bin" / "python"
        with locked(folder, self._say):
            done = folder / "done"
            if not done.exists():
                self._say("installing the Python peers")
                _run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")])
                install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                _run([str(interpreter), *install, "--require-hashes", "-r", str(lock)])
                done.touch()
        return [str(interpreter), *_SUBJECT]

    def _go(self) -> Sequence[str]:
        """Compile the controller-runtime peer."""
        module = PEERS / "go"
        recipe = gobuild.Recipe(
            title="the benchmarks",
            programs={"controller-runtime-peer": "."},
            module=lambda _folder, _go: module,
            go_version=gobuild.required(module, "go"),
            stamps={},
        )
        folder = gobuild.cache_folder("peers", f"go-{recipe.key(sorted(module.glob('*[!_]')))}")
        try:
            gobuild.build(recipe, folder, recipe.programs, gobuild.Say("benchmarks"))
        except gobuild.Refused as refusal:
            if refusal.status == gobuild.NO_GO:
                raise Absent("Go is not installed") from refusal
            raise Refused(str(refusal)) from refusal
        return [str(folder / "bin" / "controller-runtime-peer")]

    def _rust(self) -> Sequence[str]:
        """Compile the kube-rs peer."""
        crate = PEERS / "rust"
        cargo = shutil.which("cargo")
        if cargo is None:
            raise Absent("cargo is not installed")
        # By what takes minutes, the libraries; cargo itself sees whether the program is stale.
        folder = _folder("rust", sorted(crate.glob("Cargo.*")), platform.machine())
        program = folder / "release" / "kube-rs-peer"
        with locked(folder, self._say):
            if not program.exists():
                self._say("building the kube-rs peer; this takes minutes")
            copy = folder / "crate"
            shutil.copytree(crate, copy, dirs_exist_ok=True)
            if not (copy / "Cargo.lock").exists():
                _complete_lock(cargo, copy)
            manifest = ["--manifest-path", str(copy / "Cargo.toml")]
            flags = ["--release", "--locked", "--quiet", "--target-dir", str(folder)]
            _run([cargo, "build", *flags, *manifest])
        return [str(program)]


def _complete_lock(cargo: str, crate: Path) -> None:
    """Write a crate's lock file with the registry that this machine's cargo uses.

    The lock of the project names versions and checksums, not where they come from. How cargo
    calls its registry shows in the lock that it makes for a crate with one small dependency.
    """
    probe = crate.parent / "probe"
    (probe / "src").mkdir(parents=True, exist_ok=True)
    (probe / "src" / "lib.rs").touch()
    (probe / "Cargo.toml").write_text(
        '[package]\nname = "probe"\nedition = "2021"\n[dependencies]\nlibc = "0.2"\n'
    )
    _run([cargo, "generate-lockfile", "--quiet", "--manifest-path", str(probe / "Cargo.toml")])
    found = _SOURCE.search((probe / "Cargo.lock").read_text())
    if found is None:
        raise Refused("cargo does not say from which registry it takes crates")
    template = (crate / "Cargo.lock.in").read_text()
    (crate / "Cargo.lock").write_text(template.replace(_ANY_SOURCE, found.group()))


def _folder(name: str, files: Sequence[Path], also: str) -> Path:
    """Return the cache folder of one build, which changes with the files and the machine."""
    digest = hashlib.sha256(also.encode())
    for file in files:
        digest.update(file.read_bytes())
    return gobuild.cache_folder("peers", f"{name}-{digest.hexdigest()[:12]}")


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise Refused(f"{' '.join(command[:4])} … ended with status {ended.returncode}")
