"""The command line: one file per subcommand, and the only place that decides on exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

from smbpctl.cli import crd, demo, render, run, version
from smbpctl.runtime.errors import ConfigurationError, TerminalError

_COMMANDS = (run, render, crd, demo, version)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 0, or 1 after an error, or 2 for wrong usage."""
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """Run one subcommand and return its exit code; errors end as one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="smbpctl", description="Operator for a Self-Managed Big Peer on Kubernetes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    parsed = parser.parse_args(arguments)
    try:
        code: int = parsed.execute(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); the interpreter must not flush into the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ConfigurationError, TerminalError) as error:
        sys.stderr.write(f"smbpctl {parsed.command}: {error}\n")
        return 1
    return code
