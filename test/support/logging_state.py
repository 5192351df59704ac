"""Gives logging back as it was: it is the process's, and tests configure it on the way."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog._config import BoundLoggerLazyProxy


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo, at the end of the block, what `configure_logging` did in it."""
    client = logging.getLogger("kubernetes_asyncio")
    before, level = structlog.get_config(), client.level
    try:
        yield
    finally:
        structlog.configure(**before)
        client.setLevel(level)
        _forget_first_use()


def _forget_first_use() -> None:
    """Free module-level loggers from the configuration of their first use, which they keep."""
    ours = [each for name, each in list(sys.modules.items()) if name.startswith("smbpctl.")]
    for value in [value for module in ours for value in vars(module).values()]:
        if isinstance(value, BoundLoggerLazyProxy):
            vars(value).pop("bind", None)
