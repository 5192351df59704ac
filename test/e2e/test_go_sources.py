"""Our own Go sources: formatted, free of what vet finds, and their tests pass."""

import os
import subprocess
from pathlib import Path

import pytest

from hack.cluster.assemble import Parts
from test.support.conversation import ROOT

SOURCES = ROOT / "hack" / "cluster" / "go"
TESTED = sorted({path.parent for path in SOURCES.rglob("*_test.go")})


def test_sources_are_formatted() -> None:
    """As gofmt writes them."""
    command = ["gofmt", "-l", str(ROOT / "hack")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert answer.stdout == ""


@pytest.mark.parametrize("package", TESTED, ids=lambda package: package.name)
def test_sources_are_sound(parts: Parts, package: Path) -> None:
    """Vet is silent and the tests pass. The build has fetched and compiled what they need."""
    # With the build's own settings, so that nothing is compiled twice.
    settings = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false"}
    for command in (["go", "vet", "."], ["go", "test", "."]):
        answer = subprocess.run(
            command, cwd=package, env=settings, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, f"{' '.join(command)}: {answer.stdout}{answer.stderr}"
