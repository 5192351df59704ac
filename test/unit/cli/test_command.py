"""What the subcommands have in common."""

import argparse

from smbpctl.cli import crd, demo, render, run, version
from smbpctl.cli.command import Subcommands


def test_argparse_s_registry_is_what_subcommands_are_added_to() -> None:
    """Each subcommand adds one parser, with help and with what executes it."""
    parser = argparse.ArgumentParser()
    commands: Subcommands = parser.add_subparsers(dest="command")

    for each in (crd, demo, render, run, version):
        each.add_to(commands)

    for name in ("crd", "demo", "render -f x", "run", "version"):
        parsed = parser.parse_args(name.split())
        assert parsed.execute.__module__ == f"smbpctl.cli.{parsed.command}"
