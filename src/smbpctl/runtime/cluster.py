"""One cluster: a transport with the discovery, client and cache that work over it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import final

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client, Fence
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.consistency import Gate, WriteLedger
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.transport import ClusterConfig, HttpTransport, Transport


@final
@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts a controller needs of one API server: read from `cache`, write by `client`.

    The cache holds the kinds that were registered, and only while it is run (by a manager).
    `client` reads live; what it writes is read from the cache at once, and `gate` tells a
    controller how long the next run of a key has to wait for that. Several clusters live side by
    side in one process.
    """

    transport: Transport
    discovery: Discovery
    client: Client
    cache: Cache
    gate: Gate

    @classmethod
    def open(
        cls,
        config: ClusterConfig,
        *,
        clock: Clock,
        random: Random,
        metrics: Metrics,
        namespaces: Collection[str] = (),
        field_owners: Collection[str] = (),
        user_agent: str = "smbpctl-runtime",
        fence: Fence | None = None,
        resync: timedelta | None = None,
        watch_crds: bool = False,
    ) -> "Cluster":
        """Compose a cluster reached over the network; nothing is connected until it is used.

        Arguments are those of `over`; `user_agent` names this process in the audit log.
        """
        transport = HttpTransport(config, user_agent=user_agent, clock=clock)
        return cls.over(
            transport,
            clock=clock,
            random=random,
            metrics=metrics,
            namespaces=namespaces,
            field_owners=field_owners,
            fence=fence,
            resync=resync,
            watch_crds=watch_crds,
        )

    @classmethod
    def over(
        cls,
        transport: Transport,
        *,
        clock: Clock,
        random: Random,
        metrics: Metrics,
        namespaces: Collection[str] = (),
        field_owners: Collection[str] = (),
        fence: Fence | None = None,
        resync: timedelta | None = None,
        watch_crds: bool = False,
    ) -> "Cluster":
        """Compose a cluster over any transport, an in-memory one included.

        The cache sees `namespaces`, or all when there are none. `field_owners` are the names under
        which this process applies objects: the cache keeps the fields they own, without which
        an apply that changes nothing cannot be left out. Every write asks `fence`.
        Every `resync` period, if there is one, handlers are told of every object again. With
        `watch_crds` optional kinds that appear are noticed at once, which takes permission to
        list and watch CustomResourceDefinitions.
        """
        discovery = Discovery(transport, clock=clock)
        ledger = WriteLedger(clock=clock)
        client = Client(transport, discovery, metrics=metrics, fence=fence, observer=ledger)
        gate = Gate(clock=clock, random=random, live=client, metrics=metrics)
        cache = Cache(
            client,
            discovery,
            clock=clock,
            random=random,
            namespaces=namespaces,
            field_owners=frozenset(field_owners),
            metrics=metrics,
            gate=gate,
            resync=resync,
            watch_crds=watch_crds,
        )
        ledger.bind(cache)
        return cls(transport, discovery, client, cache, gate)

    async def close(self) -> None:
        """Close every connection; harmless when repeated. Stop what uses them first."""
        await self.transport.close()
