"""Dropping and adding works on paths as they are inside the image."""

from pathlib import Path

import pytest

from hack.images import trees
from hack.images.contents import DEPENDENCIES_DROPPED, ROOT_DROPPED, SITE, TextFile


def grown(tree: Path, *paths: str) -> Path:
    """A tree with these files."""
    for path in paths:
        trees.inside(tree, path).parent.mkdir(parents=True, exist_ok=True)
        trees.inside(tree, path).touch()
    return tree


def left(tree: Path) -> set[str]:
    """The files that are left, as seen from inside."""
    return {f"/{each.relative_to(tree)}" for each in tree.rglob("*") if not each.is_dir()}


class TestDrop:
    """What matches goes, with all below it."""

    def test_a_folder_goes_whole(self, tmp_path: Path) -> None:
        """A pattern that names a folder needs no star."""
        tree = grown(tmp_path, "/usr/share/man/man1/a.gz", "/usr/share/mango")

        trees.drop(tree, ["/usr/share/man"])

        assert left(tree) == {"/usr/share/mango"}
        assert not (tree / "usr/share/man").exists()

    def test_a_link_goes_and_its_target_stays(self, tmp_path: Path) -> None:
        """A link to a folder is a file."""
        tree = grown(tmp_path, "/a/file")
        (tree / "b").symlink_to("a")

        trees.drop(tree, ["/b"])

        assert left(tree) == {"/a/file"}

    def test_nothing_outside_goes(self, tmp_path: Path) -> None:
        """Links out of the tree are not followed."""
        outside = grown(tmp_path / "outside", "/keep/tests/file")
        tree = grown(tmp_path / "tree", "/x")
        (tree / "link").symlink_to(outside)

        trees.drop(tree, ["*/tests", "*/file"])

        assert left(outside) == {"/keep/tests/file"}

    def test_licences_stay(self, tmp_path: Path) -> None:
        """Of Debian's documentation the copyright files stay, and nothing else."""
        tree = grown(
            tmp_path,
            "/usr/share/doc/libc6/copyright",
            "/usr/share/doc/libc6/changelog.Debian.gz",
            "/usr/share/doc/libc6/NEWS.gz",
            "/usr/share/doc/python/examples/copyright.py",
            "/usr/share/common-licenses/GPL-3",
        )
        (tree / "usr/share/doc/libgcc").symlink_to("gcc")

        trees.drop(tree, ROOT_DROPPED)

        assert left(tree) == {
            "/usr/share/doc/libc6/copyright",
            "/usr/share/common-licenses/GPL-3",
            "/usr/share/doc/libgcc",
        }

    def test_wheels_keep_what_runs_and_licences(self, tmp_path: Path) -> None:
        """Sources of extensions, tests and commands go."""
        kept = {
            f"{SITE}/a/__init__.py",
            f"{SITE}/a/fast.cpython-313-x86_64-linux-gnu.so",
            f"{SITE}/a/py.typed",
            f"{SITE}/a/testing.py",
            f"{SITE}/a-1.dist-info/licenses/LICENSE.md",
        }
        gone = {
            f"{SITE}/a/fast.c",
            f"{SITE}/a/fast.pyx",
            f"{SITE}/a/tests/test_a.py",
            f"{SITE}/a/deep/tests/data/x.bin",
            f"{SITE}/bin/a",
            f"{SITE}/README.md",
        }
        tree = grown(tmp_path, *kept, *gone)

        trees.drop(tree, DEPENDENCIES_DROPPED)

        assert left(tree) == kept


class TestAdd:
    """Files and links that no package brings."""

    @pytest.mark.parametrize(("executable", "mode"), [(False, 0o644), (True, 0o755)])
    def test_files(self, tmp_path: Path, *, executable: bool, mode: int) -> None:
        """Text, mode, and the folders on the way."""
        trees.add(tmp_path, [TextFile("/etc/deep/file", ("one", "two"), executable=executable)])

        assert (tmp_path / "etc/deep/file").read_text() == "one\ntwo\n"
        assert (tmp_path / "etc/deep/file").stat().st_mode & 0o777 == mode

    def test_links(self, tmp_path: Path) -> None:
        """Targets are written as they are, whatever they would be on the builder."""
        trees.link(tmp_path, {"/usr/lib/ssl/certs": "/etc/ssl/certs"})

        assert (tmp_path / "usr/lib/ssl/certs").readlink() == Path("/etc/ssl/certs")
