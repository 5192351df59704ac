"""Opens an API server with the runtime, as a manager composes it."""

import importlib
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from benchmarks.access import Access
from benchmarks.parcel import GROUP, KIND, VERSION
from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.transport import ClusterConfig

PARCEL = GroupVersionKind(GROUP, VERSION, KIND)


@asynccontextmanager
async def opened(access: Access, *, compression: bool = False) -> AsyncGenerator[Cluster]:
    """Open a cluster, with metrics, for the length of the block."""
    quiet()
    cluster = Cluster.open(
        configuration(access, compression=compression),
        clock=LoopClock(),
        random=system_random(),
        metrics=Metrics(),
    )
    try:
        yield cluster
    finally:
        await cluster.close()


def configuration(access: Access, *, compression: bool = False) -> ClusterConfig:
    """Return how the runtime reaches the API server: as in a pod where there is a token."""
    if access.token is not None:
        return ClusterConfig(
            server=access.server,
            ca_file=access.authority,
            token_file=access.token,
            compression=compression,
            in_cluster=True,
        )
    if access.folder is not None:
        # Comes with the first client certificate; imports are measured on no side.
        importlib.import_module("cryptography.x509")
    return ClusterConfig(
        server=access.server,
        ca_file=access.authority,
        client_certificate_file=access.certificate,
        client_key_file=access.key,
        compression=compression,
    )


def quiet() -> None:
    """Keep the log to warnings: it goes to standard output, which carries results."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
