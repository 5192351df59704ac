"""The composition root: the only place that puts the operator together."""

import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from smbpctl import __version__
from smbpctl.operand.client import AdminClient, MemberDoor
from smbpctl.operand.doors import DirectDoor, PortForwardDoor
from smbpctl.reconcilers import cluster, networking, tls, transaction_log
from smbpctl.reconcilers.operator import FIELD_OWNERS, Operator
from smbpctl.resources.permissions import LEASE
from smbpctl.runtime.clock import Clock, SystemClock
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.gcpolicy import ProcessPolicy
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.manager import Manager, ManagerOptions
from smbpctl.runtime.transport import (
    ClusterConfig,
    ForwardedHttp,
    HttpTransport,
    PortForwarder,
)
from smbpctl.settings import LogFormat, MemberAccess, Settings

_USER_AGENT: Final = f"smbpctl/{__version__}"


def configure_logging(settings: Settings) -> None:
    """Send structured log lines to standard error, as the settings say."""
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.log_format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.log_level.value.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # At debug level the client library prints whole response bodies, Secrets included.
    logging.getLogger("kubernetes_asyncio").setLevel(logging.INFO)


def manager_options(settings: Settings) -> ManagerOptions:
    """Return how the manager of these settings runs."""
    return ManagerOptions(
        namespaces=frozenset({settings.namespace} - {""}),
        field_owners=FIELD_OWNERS,
        probe_address=settings.probe_address or None,
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_seconds),
        user_agent=_USER_AGENT,
        process_policy=ProcessPolicy.OWN,
        leader_election=leader_election(settings),
    )


def leader_election(settings: Settings) -> LeaderElection | None:
    """Return how one of several operators is elected; None where this one is alone.

    Raise ConfigurationError when the durations leave no room for each other, or when it is not
    said in which namespace the Lease is.
    """
    if not settings.leader_elect:
        return None
    if not settings.operator_namespace:
        raise ConfigurationError("--leader-elect needs --operator-namespace: the Lease is there")
    try:
        return LeaderElection(
            lease_name=LEASE,
            namespace=settings.operator_namespace,
            lease_duration=timedelta(seconds=settings.lease_duration_seconds),
            renew_deadline=timedelta(seconds=settings.renew_deadline_seconds),
            retry_period=timedelta(seconds=settings.retry_period_seconds),
        )
    except ValueError as error:
        raise ConfigurationError(f"leader election: {error}") from error


def forwards_ports(settings: Settings, config: ClusterConfig) -> bool:
    """Tell whether members are reached through the API server instead of at their addresses."""
    if settings.member_access is MemberAccess.AUTO:
        return not config.in_cluster
    return settings.member_access is MemberAccess.PORT_FORWARD


@asynccontextmanager
async def member_door(
    settings: Settings, config: ClusterConfig, clock: Clock
) -> AsyncGenerator[MemberDoor]:
    """Open the way to members that the settings ask for; its connections end with the block."""
    if forwards_ports(settings, config):
        transport = HttpTransport(config, user_agent=_USER_AGENT, clock=clock)
        http = ForwardedHttp(PortForwarder(transport), user_agent=_USER_AGENT)
        door: MemberDoor = PortForwardDoor(http)
    else:
        transport = HttpTransport(user_agent=_USER_AGENT, clock=clock)
        door = DirectDoor(transport)
    try:
        yield door
    finally:
        await transport.close()


async def run_operator(
    settings: Settings, config: ClusterConfig, *, handle_signals: bool = True
) -> None:
    """Run the operator against one cluster until it is told to stop.

    Raises the error of whatever ended it; see `Manager.run`.
    """
    clock = SystemClock()
    operator = Operator(
        image_prefix=settings.image_prefix,
        namespace=settings.operator_namespace,
        file_system_group=settings.file_system_group,
    )
    timeout = timedelta(seconds=settings.admin_timeout_seconds)
    options = manager_options(settings)
    async with (
        member_door(settings, config, clock) as door,
        Manager.from_config(config, options=options, clock=clock) as manager,
    ):
        admin = AdminClient(door, clock=clock, timeout=timeout)
        cluster.setup(manager, operator, admin, workers=settings.workers)
        networking.setup(manager, operator, workers=settings.workers)
        tls.setup(manager, workers=settings.workers)
        transaction_log.setup(manager, workers=settings.workers)
        await manager.run(handle_signals=handle_signals)
