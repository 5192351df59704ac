"""`python -m smbpctl`."""

import subprocess
import sys

from smbpctl import __version__


def test_it_is_the_command() -> None:
    """With its arguments and its exit code."""
    ran, wrong = (
        subprocess.run(
            [sys.executable, "-m", "smbpctl", argument],
            capture_output=True,
            text=True,
            check=False,
        )
        for argument in ("version", "nonsense")
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"smbpctl {__version__}\n")
    assert (wrong.returncode, wrong.stdout) == (2, "")
