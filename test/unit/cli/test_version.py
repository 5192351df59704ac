"""`smbpctl version`."""

import platform

import pytest

from smbpctl import __version__
from smbpctl.api.v1alpha1.versions import supported
from smbpctl.cli import execute


def test_it_names_all_that_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """The operator, Python, and the releases it can run: both ends are supported."""
    assert execute(["version"]) == 0

    own, python, peer = capsys.readouterr().out.splitlines()
    oldest, newest = peer.removeprefix("Big Peer ").split(" to ")
    assert own == f"smbpctl {__version__}"
    assert python == f"Python {platform.python_version()}"
    assert supported(f"{oldest}.0")
    assert supported(f"{newest}.0")
