"""`smbpctl crd`."""

from pathlib import Path

import pytest
import yaml

from smbpctl.api.v1alpha1.schema import crd
from smbpctl.cli import execute

GENERATED = Path(__file__).parents[3] / "config" / "crd" / "smbpctl.dev_bigpeers.yaml"


def test_it_prints_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    """One document, the same object as in the repository, and the same text each time."""
    assert execute(["crd"]) == 0
    first = capsys.readouterr().out
    execute(["crd"])
    second = capsys.readouterr().out

    assert yaml.safe_load(first) == crd() == yaml.safe_load(GENERATED.read_text())
    assert first == second
