"""Archives are found by a key of all inputs, and changed packages are told."""

from pathlib import Path

import pytest

from hack.images import archives, contents
from hack.images.archives import build, code, package_changes, project_digest
from hack.images.refusals import MISUSED, UNAVAILABLE, Refused


def test_changed_packages_are_named() -> None:
    """When a digest changes for Debian's sake, one sees why."""
    before, after = "a=1\nb=1\nc=1\n", "a=1\nb=2\nd=1\n"

    assert package_changes(before, after) == ["- b=1", "- c=1", "+ b=2", "+ d=1"]
    assert package_changes(after, after) == []
    assert package_changes(None, after) == []


def test_every_source_of_the_project_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code, metadata and licence change the key; compiled files do not."""
    monkeypatch.setattr(contents, "ROOT", tmp_path)
    for name in ("pyproject.toml", "README.md", "LICENSE", "src/smbpctl/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    digests = [project_digest()]

    (tmp_path / "src/smbpctl/__pycache__").mkdir()
    (tmp_path / "src/smbpctl/__pycache__/a.pyc").touch()

    assert project_digest() == digests[0]
    for name in ("pyproject.toml", "README.md", "LICENSE", "src/smbpctl/a.py", "src/smbpctl/b.py"):
        (tmp_path / name).write_text("changed")
        digests.append(project_digest())
    assert len(set(digests)) == len(digests)


def test_the_builders_own_code_counts(tmp_path: Path) -> None:
    """A change of how images are made makes them anew; each step by its own modules."""
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    whole, part = code(tmp_path), code(tmp_path, ["a.py"])

    (tmp_path / "b.py").write_text("2")

    assert code(tmp_path) != whole
    assert code(tmp_path, ["a.py"]) == part


def test_modules_that_count_exist() -> None:
    """A renamed module must not drop out of the keys."""
    for name in (*archives.ROOT_CODE, *archives.DEPENDENCIES_CODE):
        assert (archives.HERE / name).is_file()


def test_a_missing_pause_program_is_misuse(tmp_path: Path) -> None:
    """Said before anything is built."""
    with pytest.raises(Refused, match="no such file") as caught:
        build(pause=tmp_path / "pause", folder=tmp_path / "cache")

    assert caught.value.status == MISUSED
    assert not (tmp_path / "cache").exists()


def test_without_tools_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without mmdebstrap is told so; no half-made root stays in the cache."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Refused, match="mmdebstrap") as caught:
        build(folder=tmp_path / "cache")

    assert caught.value.status == UNAVAILABLE
    assert [each.name for each in (tmp_path / "cache/images-root").iterdir()] == ["lock"]
