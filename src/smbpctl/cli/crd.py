"""`smbpctl crd`: print the CustomResourceDefinition, for `kubectl apply --server-side -f -`."""

import argparse
import sys

from smbpctl.api.v1alpha1.schema import crd, to_yaml
from smbpctl.cli.command import Subcommands


def add_to(commands: Subcommands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("crd", help="print the CustomResourceDefinition")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the CRD as YAML."""
    sys.stdout.write(to_yaml(crd()))
    return 0
