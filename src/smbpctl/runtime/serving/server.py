"""The socket on which probes and metrics are served."""

import asyncio
import ipaddress
from typing import final

import structlog

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.health import Health
from smbpctl.runtime.serving.exposition import Exposition

_log = structlog.get_logger(__name__)


@final
class ProbeServer:
    """Serves the checks of a `Health` and the metrics over plain HTTP.

    `/healthz` and `/readyz` answer 200 with `ok`, or 500 with a line for each check, the reasons
    included, when one fails. `?verbose` shows the lines always, `?exclude=name` leaves a check
    out and may be repeated; `/readyz/name` asks one check alone. `/metrics` is Prometheus text.

    `address` is `host:port`, with an IPv6 host in brackets; without a host it listens everywhere.
    Port 0 lets the system choose one, which `port` then tells.
    """

    def __init__(self, health: Health, metrics: Exposition, *, address: str) -> None:
        """Make a server that does not listen yet; raise ConfigurationError for a bad address."""
        self._health = health
        self._metrics = metrics
        self._host, self._wanted_port = parse_address(address)
        self._address = address
        self._port: int | None = None
        self._listening = asyncio.Event()

    @property
    def port(self) -> int:
        """Return the port the server listens on; raise RuntimeError before it does."""
        if self._port is None:
            raise RuntimeError(f"the probe server at {self._address} does not listen")
        return self._port

    async def wait_ready(self) -> None:
        """Return when connections are accepted."""
        await self._listening.wait()

    async def run(self) -> None:
        """Serve until cancelled; raise ConfigurationError when the address cannot be had."""
        # Here, because a web server takes longer to import than most of the runtime.
        from smbpctl.runtime.serving.probes import Probes

        probes = Probes(self._health, self._metrics)
        try:
            async with probes.listening(self._host, self._wanted_port) as self._port:
                self._listening.set()
                _log.info("probe server started", address=self._address, port=self._port)
                await asyncio.Event().wait()
        except OSError as error:
            raise ConfigurationError(f"probe address {self._address}: {error}") from error
        finally:
            self._listening.clear()
            self._port = None


def parse_address(address: str) -> tuple[str | None, int]:
    """Split `host:port`; a host of None means every interface."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    try:
        number = int(port)
        if bracketed:
            ipaddress.IPv6Address(host)
    except ValueError:
        number = -1
    if not colon or not 0 <= number <= 65535 or (":" in host and not bracketed):
        raise ConfigurationError(f"probe address {address!r} is not host:port")
    return host or None, number
