"""The image's own Python compiles and compresses, by way of the image's own loader."""

import gzip
import sys
from pathlib import Path

import pytest

from hack.images.contents import PYTHON
from hack.images.interpreter import Interpreter
from hack.images.platforms import PLATFORMS
from hack.images.refusals import Refused

PLATFORM = PLATFORMS["x86_64"]


@pytest.fixture
def python(tmp_path: Path) -> Interpreter:
    """A root whose loader checks what it gets and then starts the Python that runs the tests."""
    root = tmp_path / "root"
    libraries = root / "usr/lib" / PLATFORM.libraries
    libraries.mkdir(parents=True)
    loader = libraries / PLATFORM.loader
    loader.write_text(
        "#!/bin/sh\n"
        f'test "$1 $2" = "--library-path {libraries}" || exit 91\n'
        f'test "$3" = "{root}/usr/bin/python{PYTHON}" || exit 92\n'
        f'test "$PYTHONHOME $PYTHONHASHSEED" = "{root}/usr 0" || exit 93\n'
        "unset PYTHONHOME; shift 3\n"
        f'exec {sys.executable} "$@"\n'
    )
    loader.chmod(0o755)
    return Interpreter(root, PLATFORM)


def compiled(tree: Path) -> bytes:
    """The one compiled file of a tree."""
    (file,) = tree.rglob("*.pyc")
    return file.read_bytes()


class TestCompile:
    """Compiled files suit a read-only root and do not tell where they were made."""

    def test_they_are_trusted_and_name_paths_of_the_image(
        self, tmp_path: Path, python: Interpreter
    ) -> None:
        """Flags 1: by hash, not checked. The builder's folder is in no traceback."""
        (tmp_path / "tree/app").mkdir(parents=True)
        (tmp_path / "tree/app/one.py").write_text("x = {'a', 'b'}\n")

        python.compile(tmp_path / "tree", "/app")

        content = compiled(tmp_path / "tree")
        assert int.from_bytes(content[4:8], "little") == 1
        assert b"/app/one.py" in content
        assert str(tmp_path).encode() not in content

    def test_they_are_the_same_every_time(self, tmp_path: Path, python: Interpreter) -> None:
        """Sets of strings, too, whose order would follow the hash seed."""
        text = f"x = y in {{{', '.join(repr(f'name{n}') for n in range(40))}}}\n"
        for name in ("a", "b"):
            (tmp_path / name / "app").mkdir(parents=True)
            (tmp_path / name / "app/one.py").write_text(text)
            python.compile(tmp_path / name, "/app")

        assert compiled(tmp_path / "a") == compiled(tmp_path / "b")

    def test_what_cannot_be_compiled_is_an_error(self, tmp_path: Path, python: Interpreter) -> None:
        """A wheel for another Python is found now, not in the cluster."""
        (tmp_path / "tree/app").mkdir(parents=True)
        (tmp_path / "tree/app/one.py").write_text("print 'old'\n")

        with pytest.raises(Refused, match="cannot compile /app"):
            python.compile(tmp_path / "tree", "/app")


def test_compressed_bytes_hold_content_only(tmp_path: Path, python: Interpreter) -> None:
    """Neither name nor time of the source is in them."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"content" * 1000)
        python.compress(tmp_path / name, tmp_path / f"{name}.gz")

    packed = (tmp_path / "a.gz").read_bytes()
    assert gzip.decompress(packed) == b"content" * 1000
    assert packed == (tmp_path / "b.gz").read_bytes()
    assert packed[3:8] == bytes(5), "no flags, no time"
