"""Build programs of Go modules into the user's cache folder: each once, and whole or not at all."""

import argparse
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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.caching import cache_root, locked

FAILED, MISUSED, NO_GO = 1, 2, 3
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
_SETTINGS = {"CGO_ENABLED": "0", "GOWORK": "off"}
_STRIPPED = ("-s", "-w")  # leave debug tables out
_HEARTBEAT_SECONDS = 30


class Refused(Exception):
    """Nothing can be built; carries the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Say:
    """Progress of one script, a line each on standard error."""

    script: str

    def __call__(self, message: str) -> None:
        """Print one line."""
        print(f"{self.script}: {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the programs of one Go module are compiled.

    `programs` maps their names to their packages, `title` names what they belong to, and
    `go_version` is what the module asks for. `module` returns the module's folder; it is called
    with the cache folder of the build, in which it may write, and the go command.
    """

    title: str
    programs: Mapping[str, str]
    module: Callable[[Path, str], Path]
    go_version: str
    tags: str = ""
    stamps: Mapping[str, str]

    def command(self, go: str, name: str, target: Path) -> list[str]:
        """Return the command that builds program `name` as `target`."""
        values = [f"-X {variable}={value}" for variable, value in self.stamps.items()]
        command = [go, "build", *_FLAGS, *(["-tags", self.tags] if self.tags else [])]
        command += ["-ldflags", " ".join([*_STRIPPED, *values])]
        return [*command, "-o", str(target), self.programs[name]]

    def key(self, files: Iterable[Path]) -> str:
        """Return a name that changes with commands, settings, machine and the given files."""
        digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
        commands = [self.command("go", name, Path(name)) for name in self.programs]
        digest.update(f"{commands} {_SETTINGS}\n".encode())
        for path in files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


def cache_folder(part: str, key: str) -> Path:
    """Return the folder of one build, below the user's cache folder."""
    return cache_root() / part / key


def required(module: Path, name: str) -> str:
    """Return the version of `name` ("go", or a module) that the go.mod in `module` requires.

    Without the v. Raises `ValueError` when there is none.
    """
    text = (module / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require )?{re.escape(name)} v?(\S+)", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"{module / 'go.mod'} requires no {name}")
    return match.group(1)


def missing_in(folder: Path, wanted: Iterable[str]) -> list[str]:
    """Return those of `wanted` that are not in `folder` yet."""
    return [name for name in wanted if not os.access(folder / name, os.X_OK)]


def find_go(missing: Iterable[str], version: str) -> str:
    """Return the go command, or refuse in one line that says what to install."""
    go = shutil.which("go")
    if go is None:
        raise Refused(
            f"Go is not installed, and {', '.join(missing)} must be built: "
            f"install Go {version} or later",
            NO_GO,
        )
    return go


def build(recipe: Recipe, folder: Path, wanted: Iterable[str], say: Say) -> None:
    """Build what is missing of `wanted` into `folder`/bin; each program appears at once, whole.

    Raises `Refused` when Go is absent or a build fails; what was finished before stays.
    """
    with locked(folder, say):
        missing = missing_in(folder / "bin", wanted)
        if not missing:
            return
        go = find_go(missing, recipe.go_version)
        # We hold the lock: a scratch folder that is here was left by a build that was killed.
        for stale in folder.glob(".*-*"):
            shutil.rmtree(stale)
        (folder / "bin").mkdir(exist_ok=True)
        module = recipe.module(folder, go)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
            for number, name in enumerate(missing, start=1):
                say(f"building {name} for {recipe.title} ({number} of {len(missing)})")
                started = time.monotonic()
                target = Path(scratch) / name
                _compile(recipe.command(go, name, target), module, target, say)
                target.rename(folder / "bin" / name)
                say(f"built {name} in {time.monotonic() - started:.0f} s")


def _compile(command: list[str], module: Path, target: Path, say: Say) -> None:
    """Run one build; when this process is ended, so are the compilers."""
    environment = {**os.environ, **_SETTINGS, "GOTMPDIR": str(target.parent)}
    process = subprocess.Popen(
        command, cwd=module, env=environment, stdout=sys.stderr, process_group=0
    )
    try:
        while (status := _wait_a_little(process)) is None:
            say(f"still building {target.name}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status != 0:
        raise Refused(f"go build of {target.name} failed with status {status}")


def _wait_a_little(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit status, or None when the process runs on after a heartbeat's time."""
    try:
        return process.wait(_HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _exit(number: int, _frame: object) -> None:
    # As an exception, so that lock, scratch folder and compilers are cleared away.
    sys.exit(128 + number)


def main(description: str | None, run: Callable[[argparse.Namespace], None], say: Say) -> int:
    """Parse the command line, run, and turn refusals into one line and an exit status."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print-key", action="store_true", help="print the cache key and exit")
    choice.add_argument("--print-dir", action="store_true", help="print the folder; never build")
    choice.add_argument("--tidy", action="store_true", help="rewrite go.mod and go.sum here")
    signal.signal(signal.SIGTERM, _exit)
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
