"""What was built stays whole, found by a key of its inputs, and does not pile up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.caching import cache_root
from hack.images.cache import KEPT, digest_of, key_of, obtain


class Maker:
    """Writes `result` into the folder it is given, and remembers the folder."""

    def __init__(self, text: str, calls: list[Path]) -> None:
        self.text, self.calls = text, calls

    def __call__(self, folder: Path) -> None:
        assert list(folder.iterdir()) == []
        self.calls.append(folder)
        (folder / "result").write_text(self.text)


def write(text: str, calls: list[Path] | None = None) -> Maker:
    """A maker of one file."""
    return Maker(text, [] if calls is None else calls)


class TestObtain:
    """One folder for a key."""

    def test_it_is_made_once(self, tmp_path: Path) -> None:
        """The same key gives the same folder without making it again."""
        calls: list[Path] = []

        first = obtain(tmp_path, "a", write("one", calls))
        second = obtain(tmp_path, "a", write("two", calls))

        assert first == second == tmp_path / "a"
        assert (second / "result").read_text() == "one"
        assert len(calls) == 1

    def test_it_is_made_in_another_place(self, tmp_path: Path) -> None:
        """What is half made is never seen under its key."""
        calls: list[Path] = []

        obtain(tmp_path, "a", write("one", calls))

        assert calls[0] != tmp_path / "a"
        assert not calls[0].exists()

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        """After an error the next caller starts anew."""

        def fail(folder: Path) -> None:
            (folder / "half").touch()
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            obtain(tmp_path, "a", fail)

        assert [each.name for each in tmp_path.iterdir()] == ["lock"]
        assert (obtain(tmp_path, "a", write("whole")) / "result").read_text() == "whole"

    def test_a_failure_to_make_it_again_keeps_the_old(self, tmp_path: Path) -> None:
        """Refreshing without a network does not cost what is there."""

        def fail(folder: Path) -> None:
            raise OSError("no network")

        made = obtain(tmp_path, "a", write("one"))

        with pytest.raises(OSError, match="no network"):
            obtain(tmp_path, "a", fail, again=True)

        assert (made / "result").read_text() == "one"

    def test_again_replaces(self, tmp_path: Path) -> None:
        """Asked to, it is made again and replaces the old whole."""
        made = obtain(tmp_path, "a", write("one"))
        (made / "more").touch()

        obtain(tmp_path, "a", write("two"), again=True)

        assert (made / "result").read_text() == "two"
        assert not (made / "more").exists()

    def test_what_a_killed_maker_left_goes(self, tmp_path: Path) -> None:
        """Scratch folders do not pile up when makers are killed."""
        (tmp_path / ".new-killed" / "made").mkdir(parents=True)

        obtain(tmp_path, "a", write("one"))

        assert not (tmp_path / ".new-killed").exists()

    def test_the_least_recently_used_go(self, tmp_path: Path) -> None:
        """The newest few stay; use counts as new."""
        for number in range(KEPT):
            os.utime(obtain(tmp_path, f"k{number}", write("x")), ns=(number, number))

        obtain(tmp_path, "k0", write("not made again"))
        obtain(tmp_path, "new", write("x"))

        kept = {each.name for each in tmp_path.iterdir() if each.is_dir()}
        assert kept == {"k0", "k2", "k3", "k4", "new"}

    def test_two_processes_make_it_once(self, tmp_path: Path) -> None:
        """Whoever comes second waits for the first and takes what it made."""
        script = (
            "import os, sys; from pathlib import Path; from hack.images.cache import obtain\n"
            "def make(folder):\n"
            "    print('making', flush=True)\n"
            "    sys.stdin.readline()\n"
            "    (folder / 'result').write_text(str(os.getpid()))\n"
            "print((obtain(Path(sys.argv[1]), 'a', make) / 'result').read_text(), flush=True)\n"
        )

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(
                [sys.executable, "-c", script, tmp_path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        with start() as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "making\n"
            with start() as second:
                assert second.stderr is not None
                waiting = second.stderr.readline()
                own, _ = first.communicate("go\n")
                others, _ = second.communicate()

        assert "waiting" in waiting
        assert own == others == f"{first.pid}\n"


class TestKeys:
    """A key changes with any input."""

    def test_values(self) -> None:
        """Order, kind and borders of values count."""
        keys = [key_of("a", "b"), key_of("b", "a"), key_of("ab"), key_of(("a", "b")), key_of("a")]

        assert len(set(keys)) == len(keys)
        assert key_of("a", ("b",)) == key_of("a", ("b",))

    def test_files(self, tmp_path: Path) -> None:
        """Names and bytes count; order and place do not."""
        for folder in ("x", "y"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a").write_text("1")
            (tmp_path / folder / "b").write_text("2")
        files = sorted((tmp_path / "x").iterdir())

        before = digest_of(files, below=tmp_path / "x")

        assert digest_of(reversed(files), below=tmp_path / "x") == before
        assert digest_of((tmp_path / "y").iterdir(), below=tmp_path / "y") == before
        (tmp_path / "x" / "a").write_text("2")
        (tmp_path / "x" / "b").write_text("1")
        assert digest_of(files, below=tmp_path / "x") != before

    def test_the_folder_is_a_setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """SMBPCTL_CACHE goes before XDG_CACHE_HOME."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.delenv("SMBPCTL_CACHE", raising=False)

        assert cache_root() == tmp_path / "xdg" / "smbpctl"

        monkeypatch.setenv("SMBPCTL_CACHE", str(tmp_path / "own"))
        assert cache_root() == tmp_path / "own" / "smbpctl"
