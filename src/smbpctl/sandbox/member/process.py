"""The life of a member's process: start, serve until told to end, stop within a second."""

import argparse
import asyncio
import errno
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, final

import structlog
from aiohttp import web

from smbpctl.operand.contract import Component
from smbpctl.runtime.clock import Clock, LoopClock, Random, system_random
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.serving import parse_address
from smbpctl.sandbox.answers import Answers
from smbpctl.sandbox.identity import identity_of, kept_identity
from smbpctl.sandbox.member.container import Container, read_container
from smbpctl.sandbox.member.control import PREFIX, Control
from smbpctl.sandbox.member.state import State, crashes

WRONG_ENVIRONMENT: Final = 2
"""The exit status when the pod does not give what the process needs."""

_CRASHED: Final = 1
# How long an answer may still take at the end; what hangs is cut off then.
_SHUTDOWN_SECONDS: Final = 0.1
_EVERYWHERE: Final = ("0.0.0.0", "::")
# What a machine answers that has one of the two only; the other must do then.
_NO_SUCH_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})

_log = structlog.get_logger(__name__)


@final
class MemberProcess:
    """Serves one member's answers, and the control of it, on the addresses given.

    An address is a host and a port; a host of None stands for every address of the machine, over
    IPv4 and IPv6 where it has them.
    """

    def __init__(self, state: State, *, clock: Clock, address: tuple[str | None, int]) -> None:
        self.addresses: list[str] = []
        """Where it listens, as `host:port`."""
        self._state = state
        self._answers = Answers(state)
        self._control = Control(state, clock=clock, end=self.end)
        self._address = address
        self._status = 0
        self._ended = asyncio.Event()
        self._listening = asyncio.Event()

    def end(self, status: int) -> None:
        """Have `run` stop and return this status; the first call counts."""
        if not self._ended.is_set():
            self._status = status
        self._ended.set()

    async def wait_listening(self) -> None:
        """Return when connections are accepted."""
        await self._listening.wait()

    async def run(self) -> int:
        """Serve until told to end; return the status.

        Raises ConfigurationError when no address can be listened on.
        """
        runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await runner.setup()
        try:
            await self._listen(runner)
            container = self._state.container
            _log.info(
                "member started",
                version=container.version or "unknown",
                component=container.component.value,
                pod=container.pod,
                server_id=self._state.server_id,
                addresses=self.addresses,
            )
            self._listening.set()
            await self._ended.wait()
        finally:
            await runner.cleanup()
        _log.info("member stopped", status=self._status)
        return self._status

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._address
        failures: list[OSError] = []
        for each in _EVERYWHERE if host is None else (host,):
            try:
                await web.TCPSite(runner, each, port).start()
            except OSError as error:
                failures.append(error)
        grave = [error for error in failures if error.errno not in _NO_SUCH_FAMILY]
        if grave or not runner.addresses:
            reason = next(iter([*grave, *failures]), OSError("the machine has no address for it"))
            raise ConfigurationError(f"port {port} cannot be had: {reason}") from reason
        self.addresses = [_shown(address) for address in runner.addresses]

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", PREFIX + "/{path:.*}", self._control.handle)
        application.router.add_route("*", "/{path:.*}", self._answers.handle)
        return application


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a member's process with these arguments and variables; return its exit status."""
    options = _parser().parse_args(arguments)
    configure_logging()
    try:
        container = read_container(environment, options.root)
        identity = identity_in(container, system_random())
        address = (None, container.port) if options.listen is None else options.listen
        if crashes(container):
            _log.error("member crashed as it was told")
            return _CRASHED
        return asyncio.run(_serve(State(container, identity), address))
    except ConfigurationError as error:
        _log.error("environment refused", problem=str(error))
        return WRONG_ENVIRONMENT


def identity_in(container: Container, random: Random) -> str:
    """Return who a member is: the store's is kept with its data, a front-end's is its pod's.

    Raises ConfigurationError when a store's data folder cannot be written.
    """
    if container.component is Component.STORE:
        return kept_identity(container.data_folder, random)
    return identity_of(f"{container.namespace}/{container.pod}")


def configure_logging() -> None:
    """Send one JSON line per event to standard error, those of libraries included."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


async def _serve(state: State, address: tuple[str | None, int]) -> int:
    process = MemberProcess(state, clock=LoopClock(), address=address)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.end, 0)
    return await process.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smbpctl.sandbox.member", description="A fake member of a Big Peer."
    )
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="the folder below which the mounts are"
    )
    parser.add_argument(
        "--listen",
        type=_address,
        metavar="HOST:PORT",
        help="instead of the component's port on every address",
    )
    return parser


def _address(text: str) -> tuple[str | None, int]:
    try:
        return parse_address(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _shown(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
