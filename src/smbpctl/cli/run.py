"""`smbpctl run`: the operator, in a cluster or from outside it."""

import argparse
import asyncio
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, cast

import structlog

from smbpctl import __version__
from smbpctl.app import configure_logging, run_operator
from smbpctl.cli.command import Subcommands
from smbpctl.runtime.transport import load_config
from smbpctl.settings import Settings, read_settings


def add_to(commands: Subcommands) -> None:
    """Add the subcommand; its flags are the fields of `Settings`."""
    parser = commands.add_parser("run", help="run the operator")
    add_settings(parser)
    parser.set_defaults(execute=execute)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one flag per setting; absent flags leave the word to environment and defaults."""
    for name, field in Settings.model_fields.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            default=argparse.SUPPRESS,
            metavar="VALUE",
            help=(field.description or "").replace("%", "%%"),
        )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of parsed flags; raise ConfigurationError naming each wrong one."""
    return read_settings({n: v for n, v in vars(arguments).items() if n in Settings.model_fields})


def execute(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    settings = settings_of(arguments)
    configure_logging(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    config = await load_config(settings.kubeconfig, settings.context)
    structlog.get_logger().info(
        "operator starting",
        version=__version__,
        server=config.server,
        source=config.source,
        namespace=settings.namespace or "all",
    )
    await run_operator(settings, config)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra is installed, else None for asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    uvloop: Any = importlib.import_module("uvloop")
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)
