"""Runs the Python that is inside the image, on whatever Python the builder itself runs."""

from dataclasses import dataclass
from pathlib import Path

from hack.images import programs, trees
from hack.images.contents import PYTHON
from hack.images.platforms import Platform

_COMPRESS = """
import gzip, shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=target, mtime=0) as packed:
        shutil.copyfileobj(source, packed, 1 << 20)
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python in the Debian root `root`.

    The root's own loader starts it, so that neither root rights nor a matching host are needed;
    what it makes depends on the root's packages and not on the builder's machine.
    """

    root: Path
    platform: Platform

    def compile(self, tree: Path, folder: str) -> None:
        """Compile the Python sources below the image's `folder` in `tree`.

        The compiled files name paths as they are in the image, are trusted without a look at their
        sources (no times, no hashing at start), and are the same every time.
        """
        options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "/"]
        place = str(trees.inside(tree, folder))
        self._run("-m", "compileall", *options, place, purpose=f"compile {folder}")

    def compress(self, source: Path, target: Path) -> None:
        """Write `source` to `target`, compressed without name and time.

        Another zlib would give other bytes, and so another digest: this one is the root's.
        """
        self._run("-c", _COMPRESS, str(source), str(target), purpose=f"compress {source.name}")

    def _run(self, *arguments: str, purpose: str) -> None:
        libraries = self.root / "usr/lib" / self.platform.libraries
        loader = [str(libraries / self.platform.loader), "--library-path", str(libraries)]
        python = [str(self.root / "usr/bin" / f"python{PYTHON}"), "-S", "-P", "-B"]
        programs.run(
            [*loader, *python, *arguments],
            purpose=purpose,
            folder=Path("/"),
            environment={
                "PYTHONHOME": str(self.root / "usr"),
                "PYTHONHASHSEED": "0",
                "LC_ALL": "C.UTF-8",
            },
        )
