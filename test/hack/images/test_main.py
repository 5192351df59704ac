"""`python -m hack.images`: one line for a refusal, its status, and nothing on standard output."""

import subprocess
import sys
from pathlib import Path

import pytest

from hack.images.__main__ import main
from hack.images.contents import ROOT
from hack.images.refusals import MISUSED, UNAVAILABLE


def test_a_refusal_is_a_status_and_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Callers tell by the status whether the machine lacks something."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SMBPCTL_CACHE", str(tmp_path / "cache"))

    status = main([])

    output, messages = capsys.readouterr()
    assert status == UNAVAILABLE
    assert output == ""
    assert "mmdebstrap is missing" in messages.splitlines()[-1]


def test_misuse_is_another_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is the caller's fault."""
    assert main(["--pause", str(tmp_path / "none")]) == MISUSED
    assert "no such file" in capsys.readouterr().err


def test_help_needs_nothing() -> None:
    """It runs as a module and explains itself."""
    answer = subprocess.run(
        [sys.executable, "-m", "hack.images", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0
    assert "manager.tar" in answer.stdout
