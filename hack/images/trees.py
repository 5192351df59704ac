"""Changes a folder that becomes a layer: drops, adds, links."""

import shutil
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from hack.images.contents import TextFile


def inside(tree: Path, path: str) -> Path:
    """Return where the image's absolute `path` is in `tree`."""
    return tree / path.lstrip("/")


def drop(tree: Path, patterns: Iterable[str]) -> None:
    """Remove every path that matches, as seen from inside the image, with all that is below it."""
    wanted = tuple(patterns)
    # Parents first: what went with its folder is gone by its own turn.
    for path in sorted(tree.rglob("*")):
        name = f"/{path.relative_to(tree).as_posix()}"
        if any(fnmatchcase(name, pattern) for pattern in wanted):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def add(tree: Path, files: Iterable[TextFile]) -> None:
    """Write the files, with the folders they need."""
    for file in files:
        place = inside(tree, file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file.text, encoding="utf-8")
        place.chmod(0o755 if file.executable else 0o644)


def link(tree: Path, links: Mapping[str, str]) -> None:
    """Make the symbolic links, with the folders they need."""
    for path, target in links.items():
        place = inside(tree, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
