"""Runs the demonstration on the terminal, and says in a line why it cannot begin."""

import asyncio

from rich.console import Console

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.simulation.controlplane import (
    BinariesError,
    NotReady,
    PortTaken,
    ProcessDied,
)
from smbpctl.sandbox.demo import Demo, DemoOptions

_NO_CONTROL_PLANE = (BinariesError, NotReady, PortTaken, ProcessDied)
"""What keeps a control plane from starting; each says so in words."""


def show(options: DemoOptions) -> bool:
    """Return whether the BigPeer became available; True also when somebody ended it.

    Raises ConfigurationError when the control plane does not start or the manifest is invalid.
    """
    try:
        return asyncio.run(Demo(options, Console()).run())
    except KeyboardInterrupt:
        return True
    except _NO_CONTROL_PLANE as error:
        raise ConfigurationError(str(error)) from error
