"""What the subcommands share: the type of argparse's registry, for which it has no public name."""

import argparse
from typing import Protocol


class Subcommands(Protocol):
    """What `ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:
        """Add a subcommand and return its parser."""
        ...
