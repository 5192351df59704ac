"""`smbpctl version`: which smbpctl this is, and which Big Peer releases it can run."""

import argparse
import platform
import sys

from smbpctl import __version__
from smbpctl.api.v1alpha1.versions import SUPPORTED_LINES
from smbpctl.cli.command import Subcommands


def add_to(commands: Subcommands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("version", help="print versions")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the versions."""
    sys.stdout.write(
        f"smbpctl {__version__}\n"
        f"Python {platform.python_version()}\n"
        f"Big Peer {SUPPORTED_LINES[0]} to {SUPPORTED_LINES[-1]}\n"
    )
    return 0
