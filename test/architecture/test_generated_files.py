"""Generated files are never stale, and the generator says so when they are."""

from pathlib import Path

import pytest

from hack.generate import GENERATORS, main


def test_repository_is_fresh() -> None:
    """What is committed is what `make generate` writes."""
    assert main(["--check"]) == 0


def test_check_names_every_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --check nothing is written and every missing or changed file is named."""
    main([], root=tmp_path)
    changed, missing = sorted(GENERATORS)[:2]
    (tmp_path / changed).write_text("edited by hand", encoding="utf-8")
    (tmp_path / missing).unlink()
    capsys.readouterr()

    status = main(["--check"], root=tmp_path)

    assert status == 1
    complaints = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in complaints] == sorted([changed, missing])
    assert (tmp_path / changed).read_text(encoding="utf-8") == "edited by hand"
    assert not (tmp_path / missing).exists()


def test_writing_makes_the_check_pass(tmp_path: Path) -> None:
    """Writing is complete and stable: the check passes after it, in a folder of any age."""
    assert main(["--check"], root=tmp_path) == 1

    assert main([], root=tmp_path) == 0

    assert main(["--check"], root=tmp_path) == 0


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_generators_are_deterministic(name: str) -> None:
    """The same code gives the same text, ending in one line break."""
    text = GENERATORS[name]()

    assert text == GENERATORS[name]()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
