"""`smbpctl demo`: its options, and what it says when it cannot begin."""

import argparse
import stat
import sys
from pathlib import Path

import pytest

from smbpctl.cli import demo, execute
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.simulation.controlplane.binaries import CONTROL_PLANE

ROOT = Path(__file__).parents[3]


def program(path: Path, script: str) -> Path:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    """A folder of programs that end at once."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in CONTROL_PLANE:
        program(folder / name, f"touch {tmp_path}/started; exit 3")
    return folder


class TestOptions:
    def test_defaults(self) -> None:
        """The programs that the checkout builds, the sample, and no stay."""
        parser = argparse.ArgumentParser()
        demo.add_to(parser.add_subparsers())

        parsed = parser.parse_args(["demo"])

        assert (parsed.binaries, parsed.stay) == (None, False)
        assert parsed.filename == ROOT / "config" / "samples" / "bigpeer.yaml"
        assert parsed.filename.exists()

    def test_given(self) -> None:
        """Paths are paths."""
        parser = argparse.ArgumentParser()
        demo.add_to(parser.add_subparsers())

        parsed = parser.parse_args(["demo", "--binaries", "b", "-f", "p.yaml", "--stay"])

        assert (parsed.binaries, parsed.filename) == (Path("b"), Path("p.yaml"))
        assert parsed.stay is True


class TestExecute:
    def test_programs_that_are_missing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All of them are named in one line."""
        code = execute(["demo", "--binaries", str(tmp_path)])

        (line,) = capsys.readouterr().err.splitlines()
        assert code == 1
        assert line.startswith(f"smbpctl demo: not found in {tmp_path}: ")
        assert [name for name in CONTROL_PLANE if name not in line] == []

    def test_a_manifest_that_is_none(
        self, binaries: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is found out before anything is started."""
        file = tmp_path / "peer.yaml"
        file.write_text("kind: BigPeer\nmetadata: {name: demo}\nspec: {storage: {}}\n")

        code = execute(["demo", "--binaries", str(binaries), "-f", str(file)])

        assert code == 1
        assert "BigPeer default/demo is invalid: " in capsys.readouterr().err
        assert not (tmp_path / "started").exists()

    def test_programs_that_do_not_start(
        self, binaries: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The first that ended is named; there is no traceback."""
        code = execute(["demo", "--binaries", str(binaries)])

        err = capsys.readouterr().err
        assert (code, (tmp_path / "started").exists()) == (1, True)
        assert err.startswith("smbpctl demo: ")
        assert "etcd" in err
        assert "Traceback" not in err


class TestBuilt:
    def test_the_last_line_of_the_build_is_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it says before is for people."""
        build = tmp_path / "build.py"
        build.write_text("print('building')\nprint('/built/bin')\n")
        monkeypatch.setattr(demo, "_BUILD", build)

        assert demo._built() == Path("/built/bin")

    def test_a_build_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With its status; its own words are on standard error already."""
        build = tmp_path / "build.py"
        build.write_text("raise SystemExit(4)\n")
        monkeypatch.setattr(demo, "_BUILD", build)

        with pytest.raises(ConfigurationError, match=r"build\.py ended with status 4"):
            demo._built()

    def test_elsewhere_than_in_a_checkout(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An installed package has nothing to build from; the message says what to do."""
        monkeypatch.setattr(demo, "_BUILD", tmp_path / "absent.py")

        with pytest.raises(ConfigurationError, match="name --binaries"):
            demo._built()

    def test_without_the_packages_of_the_demo(
        self,
        binaries: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """An operator's image goes without them; the error says what to install."""
        for name in [each for each in sys.modules if each.startswith("smbpctl.sandbox.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "rich.console", None)

        code = execute(["demo", "--binaries", str(binaries)])

        assert code == 1
        assert "install smbpctl[demo]" in capsys.readouterr().err
