"""Embedders get types: their code is checked by both checkers, and the surface leaves no gaps."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test.architecture.source_tree import ROOT, SRC

EMBEDDERS = ("test/typing", "examples")
# A cold cache on a busy machine; with a warm one each takes a few seconds.
SLOW = pytest.mark.timeout(240)


def check(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a type checker in the project."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def incomplete(report: dict[str, Any]) -> list[str]:
    """Return the symbols whose type is not all there, with the reason that is their own."""
    return sorted(
        f"{symbol['name']}: {diagnostic['message'].splitlines()[0]}"
        for symbol in report["typeCompleteness"]["symbols"]
        for diagnostic in symbol["diagnostics"]
        # What is only derived from another symbol is mended there.
        if "partially unknown" not in diagnostic["message"]
    )


@SLOW
class TestTypes:
    """The public API, as type checkers see it."""

    @pytest.mark.parametrize("checker", ["mypy", "pyright"])
    def test_embedders_code_is_accepted_and_their_mistakes_are_refused(self, checker: str) -> None:
        """Mistakes are marked in the code; a mark that refuses nothing is an error as well."""
        ran = check(checker, *EMBEDDERS)

        assert ran.returncode == 0, ran.stdout + ran.stderr

    def test_the_public_surface_is_typed_in_full(self, tmp_path: Path) -> None:
        """No public name leaves it to the checker to infer its type."""
        # The checker looks for a package among its dependencies, where an editable one is not.
        site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
        for installed in site.iterdir():
            (tmp_path / installed.name).symlink_to(installed)
        (tmp_path / "smbpctl").unlink(missing_ok=True)
        (tmp_path / "smbpctl").symlink_to(SRC)

        arguments = ("--verifytypes", "smbpctl.runtime", "--ignoreexternal", "--outputjson")
        ran = check("pyright", *arguments, PYTHONPATH=str(tmp_path))
        report = json.loads(ran.stdout)

        assert report["typeCompleteness"]["exportedSymbolCounts"]["withKnownType"] > 500
        assert incomplete(report) == []
