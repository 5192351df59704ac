"""Only locked wheels for the image's Python come in, and their lists of files are true."""

import sys
from pathlib import Path

import pytest

from hack.images import contents, wheels
from hack.images.platforms import PLATFORMS
from hack.images.refusals import UNAVAILABLE, Refused


def command() -> list[str]:
    """The command that installs dependencies."""
    return wheels.install_command(Path("the.lock"), Path("/target"), PLATFORMS["x86_64"])


def test_only_wheels_with_the_locks_hashes() -> None:
    """No source is built, nothing unlocked comes along."""
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(command())
    assert command()[-4:] == ["--target", "/target", "--requirement", "the.lock"]


def test_wheels_are_for_the_image_not_for_the_builder() -> None:
    """Python's version and the newest C library that the image can run, newest first."""
    arguments = command()
    platforms = [each.partition("=")[2] for each in arguments if each.startswith("--platform=")]

    assert arguments[arguments.index("--python-version") + 1] == contents.PYTHON
    assert arguments[arguments.index("--abi") + 1] == "cp313"
    assert platforms[0] == "manylinux_2_41_x86_64"
    assert platforms[-2:] == ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]


def test_no_address_is_named() -> None:
    """Where wheels come from is the user's setting."""
    assert not [each for each in command() if "://" in each or "index" in each]


def test_a_missing_module_says_what_helps() -> None:
    """Status 3 and the make target."""
    with pytest.raises(Refused, match="run `make dev`") as caught:
        wheels.module_command("no_such_module")

    assert caught.value.status == UNAVAILABLE
    assert wheels.module_command("json", "x") == [sys.executable, "-m", "json", "x"]


def test_records_name_what_is_there(tmp_path: Path) -> None:
    """Dropped tests and commands are struck; the rest stays as it is, in order."""
    record = tmp_path / "a-1.dist-info/RECORD"
    record.parent.mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b,c.py").touch()
    (tmp_path / "a/d.py").touch()
    kept = '"a/b,c.py",sha256=x,1\na-1.dist-info/RECORD,,\na/d.py,sha256=y,2\n'
    record.write_text(f"../../bin/a,sha256=z,3\n{kept}a/tests/t.py,sha256=q,4\n")

    wheels.keep_what_is_there(record)

    assert record.read_text() == kept


class TestLock:
    """The image's lock is the lock, without what only developers need."""

    def locked(self, name: str) -> dict[str, str]:
        """Versions by name in a lock file."""
        lines = (contents.ROOT / name).read_text().splitlines()
        pins = [line.split(" ")[0] for line in lines if "==" in line and not line.startswith("#")]
        return dict(pin.split("==") for pin in pins)

    def test_versions_are_those_that_were_tested(self) -> None:
        """A dependency in the image has the version that the tests ran with."""
        image, everything = self.locked(contents.LOCK), self.locked("requirements.lock")

        assert image.items() <= everything.items()

    def test_what_runs_is_in_it_and_tools_are_not(self) -> None:
        """uvloop is; pytest and compilers are not."""
        image = self.locked(contents.LOCK)

        assert {"uvloop", "aiohttp", "pydantic", "msgspec"} <= image.keys()
        assert not {"pytest", "ruff", "mypy", "hatchling", "uv"} & image.keys()

    def test_every_requirement_has_hashes_and_no_address(self) -> None:
        """Otherwise pip refuses, or somebody's mirror is in everybody's repository."""
        text = (contents.ROOT / contents.LOCK).read_text()

        pins = [part for part in text.split("\n") if "==" in part]
        assert pins
        assert all(pin.endswith(" \\") for pin in pins), "a hash follows"
        assert "://" not in text
