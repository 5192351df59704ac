"""Makes the upper layers: the locked dependencies, and the project itself."""

import csv
import importlib.util
import os
import shutil
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from hack.images import contents, layers, programs, trees
from hack.images.interpreter import Interpreter
from hack.images.platforms import Platform
from hack.images.refusals import UNAVAILABLE, Refused

DEPENDENCIES, PROJECT = "dependencies.tar.gz", "project.tar.gz"
"""The layers' files."""

_OLDEST_GLIBC_MINOR = 17


def make_dependencies(folder: Path, python: Interpreter) -> None:
    """Make the layer of what the project needs in `folder`, compiled by the image's Python."""
    with TemporaryDirectory(dir=folder, prefix=".tree-") as scratch:
        tree = Path(scratch)
        site = trees.inside(tree, contents.SITE)
        programs.run(
            install_command(contents.ROOT / contents.LOCK, site, python.platform),
            purpose="get the locked wheels",
        )
        trees.drop(tree, contents.DEPENDENCIES_DROPPED)
        for record in sorted(site.glob("*.dist-info/RECORD")):
            keep_what_is_there(record)
        _write(tree, folder / DEPENDENCIES, python, made_by=contents.LOCK)


def install_command(lock: Path, target: Path, platform: Platform) -> list[str]:
    """Return the command that installs `lock` for the image's Python, whatever runs the builder.

    Only wheels, only with the lock's hashes, newest permitted C library first.
    """
    minors = range(contents.GLIBC_MINOR, _OLDEST_GLIBC_MINOR - 1, -1)
    tags = [f"manylinux_2_{minor}_{platform.machine}" for minor in minors]
    return [
        *module_command("pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"),
        *("--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
        *("--python-version", contents.PYTHON, "--implementation", "cp"),
        *("--abi", f"cp{contents.PYTHON.replace('.', '')}"),
        *(f"--platform={tag}" for tag in (*tags, f"manylinux2014_{platform.machine}")),
        *("--target", str(target), "--requirement", str(lock)),
    ]


def module_command(module: str, *arguments: str) -> list[str]:
    """Return a command that runs `module` in this interpreter; refuse when it is not there."""
    if importlib.util.find_spec(module) is None:
        raise Refused(f"{module} is missing in {sys.executable}: run `make dev`", UNAVAILABLE)
    return [sys.executable, "-m", module, *arguments]


def keep_what_is_there(record: Path) -> None:
    """Strike from a distribution's list of files what was dropped.

    Among that are its commands, whose first line, and so their hash, names the builder's Python.
    """
    site = record.parent.parent
    with record.open(newline="", encoding="utf-8") as listed:
        rows = [row for row in csv.reader(listed) if row and (site / row[0]).is_file()]
    with record.open("w", newline="", encoding="utf-8") as kept:
        csv.writer(kept, lineterminator="\n").writerows(rows)


def make_project(folder: Path, python: Interpreter) -> None:
    """Make the layer of the project in `folder`, compiled by the image's Python."""
    with TemporaryDirectory(dir=folder, prefix=".tree-") as scratch:
        tree = Path(scratch) / "tree"
        programs.run(
            module_command("hatchling", "build", "--target", "wheel", "--directory", scratch),
            purpose="build the project's wheel",
            folder=contents.ROOT,
            environment={**os.environ, "SOURCE_DATE_EPOCH": str(contents.EPOCH)},
        )
        (wheel,) = Path(scratch).glob("*.whl")
        # A pure wheel without data: unpacking it is all there is to installing it.
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(trees.inside(tree, contents.SITE))
        trees.add(tree, contents.PROJECT_FILES)
        licence = trees.inside(tree, contents.LICENSE)
        licence.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(contents.ROOT / "LICENSE", licence)
        _write(tree, folder / PROJECT, python, made_by="The project's own wheel")


def _write(tree: Path, file: Path, python: Interpreter, *, made_by: str) -> None:
    python.compile(tree, contents.SITE)
    layers.write_layer(tree, file, made_by=made_by, compress=python.compress)
