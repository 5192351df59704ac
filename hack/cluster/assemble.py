"""Brings together what a cluster is made of: built programs and images, from caches if possible."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.machine import ROOT

GO_MISSING = 3
"""Exit status of the build scripts when Go is needed and not installed."""

_CONTROL_PLANE = [str(ROOT / "hack" / "controlplane" / "build.py")]
_NODES = ["-m", "hack.cluster.build"]


class BuildFailed(Exception):
    """A build script ended without what it should have built; it has said why on stderr."""

    def __init__(self, command: list[str], status: int) -> None:
        super().__init__(f"{' '.join(command)} ended with status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Parts:
    """The folders with programs, and the images that every node gets."""

    control_plane: Path
    programs: Path
    images: tuple[Path, ...]


def assemble() -> Parts:
    """Build what is not in the caches; progress goes to stderr, for a cold build takes minutes."""
    control_plane, programs = _folder(_CONTROL_PLANE), _folder(_NODES)
    images = _folder(["-m", "hack.images", "--pause", str(programs / "pause")])
    return Parts(control_plane, programs, tuple(sorted(images.glob("*.tar"))))


def _folder(command: list[str]) -> Path:
    """Run a build script and return the folder that it names in its last line."""
    answer = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise BuildFailed(command, answer.returncode)
    return Path(answer.stdout.splitlines()[-1])
