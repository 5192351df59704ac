"""Keeps what was built under a key of everything it was built from."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from hack.caching import locked

KEPT = 5
"""How many results of one part stay: the newest by last use."""


def key_of(*inputs: object) -> str:
    """Return a name that changes with any of `inputs`; each must tell all of itself by repr()."""
    return hashlib.sha256("\0".join(map(repr, inputs)).encode()).hexdigest()[:16]


def digest_of(files: Iterable[Path], *, below: Path) -> str:
    """Return a digest of the names below `below` and the bytes of `files`, in any order."""
    digest = hashlib.sha256()
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(below).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def obtain(part: Path, key: str, make: Callable[[Path], None], *, again: bool = False) -> Path:
    """Return `part`/`key`, calling `make` with an empty folder if it is not there (or `again`).

    The folder appears at once and whole, or not at all; one process at a time makes something in
    `part`, others wait. The kernel ends the wait when the maker dies, and what a killed maker left
    is cleared away by the next. Only the newest `KEPT` folders stay.
    """
    made = part / key
    with locked(part, say):
        if again or not made.is_dir():
            _replace(made, make)
        os.utime(made)
        _sweep(part)
    return made


def _replace(made: Path, make: Callable[[Path], None]) -> None:
    # We hold the lock: a scratch folder that is here was left by a maker that was killed.
    for stale in made.parent.glob(".new-*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".new-") as scratch:
        folder = Path(scratch) / "made"
        folder.mkdir()
        make(folder)
        if made.is_dir():
            made.rename(Path(scratch) / "former")
        folder.rename(made)


def _sweep(part: Path) -> None:
    made = [each for each in part.iterdir() if each.is_dir() and not each.name.startswith(".")]
    for old in sorted(made, key=lambda each: each.stat().st_mtime_ns, reverse=True)[KEPT:]:
        shutil.rmtree(old)


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"images: {message}", file=sys.stderr, flush=True)
