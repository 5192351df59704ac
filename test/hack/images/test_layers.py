"""A layer depends on the names, bytes and links of a folder, and on nothing else."""

import dataclasses
import gzip
import hashlib
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.images.contents import EPOCH
from hack.images.layers import Layer, write_layer
from hack.images.refusals import Refused


def tree(folder: Path, *, backwards: bool = False) -> Path:
    """A folder with one of everything; the order of making it must not matter."""
    names = ["etc/passwd", "usr/bin/tool", "usr/lib/" + "long" * 60, "usr/lib/ünicode"]
    for name in reversed(names) if backwards else names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "usr/bin/tool").chmod(0o755)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "tmp").mkdir()
    return folder


def compress(source: Path, target: Path) -> None:
    """Compression that anybody can check."""
    target.write_bytes(gzip.compress(source.read_bytes(), mtime=0))


def layer_of(folder: Path, file: Path) -> Layer:
    """The layer of a folder."""
    return write_layer(folder, file, made_by="test", compress=compress)


def entries(layer: Layer) -> dict[str, tarfile.TarInfo]:
    """The layer's entries by name."""
    with tarfile.open(layer.file) as archive:
        return {entry.name: entry for entry in archive}


class TestDeterminism:
    """Equal folders give equal bytes."""

    def test_order_and_time_do_not_show(self, tmp_path: Path) -> None:
        """Made backwards, elsewhere and at another time, it is the same layer."""
        one, other = tree(tmp_path / "one"), tree(tmp_path / "elsewhere/other", backwards=True)
        for path in other.rglob("*"):
            os.utime(path, (1, 1), follow_symlinks=False)

        first = layer_of(one, tmp_path / "1.tar.gz")
        second = layer_of(other, tmp_path / "2.tar.gz")

        assert first.digest == second.digest
        assert first.file.read_bytes() == second.file.read_bytes()

    def test_masks_do_not_show(self, tmp_path: Path) -> None:
        """What the builder's umask made of modes is made good."""
        one, other = tree(tmp_path / "one"), tree(tmp_path / "other")
        for path in other.rglob("*"):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700 | 0o022)

        first = layer_of(one, tmp_path / "1.tar.gz")

        assert layer_of(other, tmp_path / "2.tar.gz").digest == first.digest

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda t: (t / "etc/passwd").write_text("other"), id="bytes"),
            pytest.param(lambda t: (t / "etc/passwd").rename(t / "etc/p"), id="name"),
            pytest.param(lambda t: (t / "etc/passwd").chmod(0o755), id="executable"),
            pytest.param(lambda t: (t / "empty").mkdir(), id="folder"),
            pytest.param(lambda t: (t / "lib").symlink_to("usr/lib"), id="link"),
        ],
    )
    def test_content_shows(self, tmp_path: Path, change: Callable[[Path], object]) -> None:
        """Whatever the image would notice changes the digest."""
        folder = tree(tmp_path / "tree")
        before = layer_of(folder, tmp_path / "1.tar.gz")

        change(folder)

        assert layer_of(folder, tmp_path / "2.tar.gz").digest != before.digest


class TestEntries:
    """What a layer may hold."""

    def test_they_are_sorted(self, tmp_path: Path) -> None:
        """By name, whatever order the file system has them in; a folder comes before its files."""
        folder = tmp_path / "tree"
        for number in range(60):
            (folder / f"{number * 37 % 60}/a").mkdir(parents=True)

        names = list(entries(layer_of(folder, tmp_path / "1.tar.gz")))

        assert len(names) == 120
        assert names == sorted(names)

    def test_modes_and_owners(self, tmp_path: Path) -> None:
        """Root owns all by number, nothing is setuid, only /tmp is open to everybody."""
        folder = tree(tmp_path / "tree")
        (folder / "usr/bin/tool").chmod(0o6777)
        (folder / "var/tmp").mkdir(parents=True)
        (folder / "var/tmp").chmod(0o1777)

        found = entries(layer_of(folder, tmp_path / "1.tar.gz"))

        assert {(e.uid, e.gid, e.uname, e.gname) for e in found.values()} == {(0, 0, "", "")}
        assert {e.mtime for e in found.values()} == {EPOCH}
        assert found["usr/bin/tool"].mode == 0o755
        assert found["etc/passwd"].mode == 0o644
        assert [n for n, e in found.items() if e.mode & 0o002 and not e.issym()] == ["tmp"]
        assert found["tmp"].mode == 0o1777

    def test_links_stay_links(self, tmp_path: Path) -> None:
        """A link to a folder is not followed, even if its target is outside of the tree."""
        folder = tree(tmp_path / "tree")
        (folder / "etc/out").symlink_to(tmp_path)

        found = entries(layer_of(folder, tmp_path / "1.tar.gz"))

        assert found["bin"].issym()
        assert found["bin"].linkname == "usr/bin"
        assert found["etc/out"].issym()
        assert not any(name.startswith(("bin/", "etc/out/")) for name in found)

    def test_devices_and_sockets_are_refused(self, tmp_path: Path) -> None:
        """What is no file, folder or link cannot come from a package."""
        folder = tree(tmp_path / "tree")
        os.mkfifo(folder / "etc/pipe")

        with pytest.raises(Refused, match="/etc/pipe"):
            layer_of(folder, tmp_path / "1.tar.gz")

    def test_digests_are_of_the_file_and_of_its_content(self, tmp_path: Path) -> None:
        """A blob is named by its compressed bytes, the diff id is the digest of the tar."""
        layer = layer_of(tree(tmp_path / "tree"), tmp_path / "1.tar.gz")

        packed = layer.file.read_bytes()
        assert layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
        assert layer.size == len(packed)
        content = hashlib.sha256(gzip.decompress(packed)).hexdigest()
        assert layer.content_digest == f"sha256:{content}"

    def test_nothing_else_stays(self, tmp_path: Path) -> None:
        """What was written on the way is gone."""
        (tmp_path / "made").mkdir()

        layer_of(tree(tmp_path / "tree"), tmp_path / "made/1.tar.gz")

        assert sorted(each.name for each in (tmp_path / "made").iterdir()) == [
            "1.tar.gz",
            "1.tar.json",
        ]

    def test_it_is_loaded_as_it_was_saved(self, tmp_path: Path) -> None:
        """A cached layer is known without reading it, wherever its folder is by then."""
        (tmp_path / "made").mkdir()
        layer = layer_of(tree(tmp_path / "tree"), tmp_path / "made/1.tar.gz")
        moved = (tmp_path / "made").rename(tmp_path / "moved") / "1.tar.gz"

        assert Layer.load(moved) == dataclasses.replace(layer, file=moved)
