"""The composition of a process of controllers: one cluster, its probes, and what runs on it."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self, final

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import Clock, LoopClock, Random, SystemClock, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.consistency import Gate
from smbpctl.runtime.controller import ControllerOptions
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.gcpolicy import POLICY, ProcessPolicy
from smbpctl.runtime.health import Health
from smbpctl.runtime.leader import Elector, LeaderElection, leader_or_standby, renewing
from smbpctl.runtime.manager.lifecycle import Lifecycle
from smbpctl.runtime.manager.permissions import PermissionCheck
from smbpctl.runtime.manager.runnable import Phase, Runnable
from smbpctl.runtime.manager.signals import stop_on_signals
from smbpctl.runtime.meta import GroupKind
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.preflight import Permission
from smbpctl.runtime.serving import ProbeServer
from smbpctl.runtime.transport import ClusterConfig, HttpTransport


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions:
    """How a manager runs.

    `namespaces` are those the cache sees; none means all. `field_owners` are the names
    under which this process applies. `probe_address` ("host:port", ":8081") is where probes and
    metrics are served; None serves none. `graceful_shutdown_timeout` is what reconciles that run
    may take to end, zero for nothing; `cache_sync_timeout` bounds the wait for the first lists.
    With `leader_election` one process of many works, and the others stand by with warm caches.
    Unless `preflight` is off, the server is asked whether this process may list and watch the
    kinds it caches, and do what `permissions` names besides; readiness tells what it may not.
    `controllers` is how controllers work that say nothing else, `workers_by_kind` how many keys
    those for a kind run at once. `resync` has handlers told of every object again and again;
    with `watch_crds` optional kinds are noticed as soon as their definition is there.
    `process_policy` says whether the garbage collector is the manager's to tune: `OWN` for a
    process that exists for it.
    """

    namespaces: frozenset[str] = frozenset()
    field_owners: frozenset[str] = frozenset()
    probe_address: str | None = None
    graceful_shutdown_timeout: timedelta = timedelta(seconds=30)
    cache_sync_timeout: timedelta = timedelta(minutes=2)
    user_agent: str = "smbpctl-runtime"
    leader_election: LeaderElection | None = None
    resync: timedelta | None = None
    watch_crds: bool = False
    process_policy: ProcessPolicy = ProcessPolicy.LEAVE
    preflight: bool = True
    permissions: tuple[Permission, ...] = ()
    controllers: ControllerOptions = field(default_factory=ControllerOptions)
    workers_by_kind: Mapping[GroupKind, int] = field(default_factory=dict[GroupKind, int])

    def __post_init__(self) -> None:
        if self.graceful_shutdown_timeout < timedelta(0):
            raise ValueError("graceful_shutdown_timeout must not be negative")
        if self.cache_sync_timeout <= timedelta(0):
            raise ValueError("cache_sync_timeout must be positive")


@final
class _SyncedCache:
    """A cache as a runnable that is ready when it is synced."""

    def __init__(self, cache: Cache, timeout: timedelta) -> None:
        self._cache = cache
        self._timeout = timeout

    async def run(self) -> None:
        await self._cache.run()

    async def wait_ready(self) -> None:
        await self._cache.wait_synced(self._timeout)

    def check(self) -> str | None:
        """Tell which kinds are not synced; None when all are."""
        states = self._cache.states().items()
        return "; ".join(f"{kind}: {state}" for kind, state in states if not state.synced) or None


@final
class _Collector:
    """The garbage collector's policy, for as long as the manager runs."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def run(self) -> None:
        """Pause the collector until the first lists are there, then keep it off the cache."""
        synced = POLICY.start(self._clock)
        try:
            await self._cache.wait_all_synced()
            synced()
            await asyncio.Event().wait()
        finally:
            POLICY.stop()


@final
class Manager:
    """Runs controllers and what they need against one cluster, in order, until told to stop.

    `run` starts the phases one after the other and stops them in `STOP_ORDER`. It ends on
    SIGTERM, on SIGINT, on `stop`, or with the error of any runnable; a second signal exits the
    process at once. On a stop the controllers begin no more keys, and what they run may end
    within the grace time; on cancellation of `run` nothing is waited for. Either way the order
    holds, and every task has ended when `run` returns. Use the manager as a context manager: it
    closes the connections at the end of the block.

    With an `elector`, which `from_config` makes when the options ask for one, controllers run in
    the leader alone; see `Lifecycle` for what becomes of a lost leadership. The fence of that
    elector must be the one that the cluster's client asks.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        options: ManagerOptions | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        elector: Elector | None = None,
    ) -> None:
        """Make a manager of a cluster that was opened with the same clock, chance and metrics.

        Raise ValueError when the options ask for an election and no elector is given.
        """
        self.cluster = cluster
        self.options: ManagerOptions = options or ManagerOptions()
        self.metrics: Metrics = metrics or Metrics()
        self.clock: Clock = clock or LoopClock()
        self.random: Random = random or system_random()
        self.health: Health = Health()
        if self.options.leader_election is not None and elector is None:
            raise ValueError("leader_election needs an elector; Manager.from_config makes one")
        self.elector: Elector | None = elector
        self._lifecycle = Lifecycle(
            self.clock, grace=self.options.graceful_shutdown_timeout, leadership=elector
        )
        self._clusters = [cluster]
        self.probe_server: ProbeServer | None = None
        if self.options.probe_address is not None:
            self.probe_server = ProbeServer(
                self.health, self.metrics, address=self.options.probe_address
            )
            self.add(self.probe_server, Phase.SERVING, name="the probe server")
        if self.options.process_policy is ProcessPolicy.OWN:
            self.metrics.garbage_collector(lambda: POLICY.worst_pause.total_seconds())
            collector = _Collector(self.cache, self.clock)
            self.add(collector, Phase.CACHES, name="the collector's policy")
        self._run_cache(cluster, "the cache", "caches-synced")
        if self.options.preflight:
            self._check_permissions()
        if elector is not None:
            self.health.add_liveness("leader-renewing", renewing(elector))
            self.health.add_readiness("leader-or-standby", leader_or_standby(elector))

    @classmethod
    def from_config(
        cls,
        config: ClusterConfig,
        *,
        options: ManagerOptions | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> "Manager":
        """Make a manager of the cluster that `config` leads to; nothing is connected yet.

        Without `clock` it runs in real time.
        """
        options = options or ManagerOptions()
        clock, random, metrics = clock or SystemClock(), random or system_random(), Metrics()
        elector = _elector(config, options, random, metrics)
        cluster = Cluster.open(
            config,
            clock=clock,
            random=random,
            metrics=metrics,
            namespaces=options.namespaces,
            field_owners=options.field_owners,
            user_agent=options.user_agent,
            fence=elector.fence if elector else None,
            resync=options.resync,
            watch_crds=options.watch_crds,
        )
        return cls(
            cluster,
            options=options,
            metrics=metrics,
            clock=clock,
            random=random,
            elector=elector,
        )

    @property
    def client(self) -> Client:
        """Return the client: live reads and all writes."""
        return self.cluster.client

    @property
    def cache(self) -> Cache:
        """Return the cache: reads of the kinds that were registered."""
        return self.cluster.cache

    @property
    def gate(self) -> Gate:
        """Return what holds keys until the cache has what their runs wrote."""
        return self.cluster.gate

    @property
    def discovery(self) -> Discovery:
        """Return what knows the kinds that the cluster serves."""
        return self.cluster.discovery

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for cluster in self._clusters:
            await cluster.close()

    def add_cluster(self, cluster: Cluster, *, name: str) -> None:
        """Run the cache of another cluster beside the own one, and close it at the end.

        Its readiness is a check of its own, `caches-synced-<name>`. What is read and written
        there is the caller's choice: pass `cluster.cache` and `cluster.client` to reconcilers.
        Raise ValueError for a name that is taken.
        """
        self._run_cache(cluster, f"the cache of {name}", f"caches-synced-{name}")
        self._clusters.append(cluster)

    def add(self, runnable: Runnable, phase: Phase, *, name: str = "") -> None:
        """Run `runnable` with its phase, or at once when that has started.

        A `name` given is unique within the manager: else ValueError. RuntimeError once the
        manager stops.
        """
        self._lifecycle.add(runnable, phase, name=name)

    def stop(self, reason: str = "stop was called") -> None:
        """Have `run` stop in order and return; harmless when repeated."""
        self._lifecycle.stop(reason)

    async def run(self, handle_signals: bool = True) -> None:
        """Run everything until stopped.

        Raises the error of the first runnable that failed, alone even when it came in groups of
        one; ShutdownTimeout when something did not end within the grace time; RuntimeError when
        run twice, or when signals are to be handled and cannot be: they belong to the main
        thread, and to one manager of the process.
        """
        with stop_on_signals(self.stop) if handle_signals else nullcontext():
            await self._lifecycle.run()

    def _check_permissions(self) -> None:
        permissions = PermissionCheck(
            self.client,
            self.discovery,
            kinds=self.cache.kinds,
            permissions=self.options.permissions,
            namespaces=self.options.namespaces,
            clock=self.clock,
        )
        self.add(permissions, Phase.CACHES, name="the preflight")
        self.health.add_readiness("permissions", permissions.check)

    def _run_cache(self, cluster: Cluster, name: str, check: str) -> None:
        cache = _SyncedCache(cluster.cache, self.options.cache_sync_timeout)
        self.add(cache, Phase.CACHES, name=name)
        self.health.add_readiness(check, cache.check)


def _elector(
    config: ClusterConfig, options: ManagerOptions, random: Random, metrics: Metrics
) -> Elector | None:
    """Return the elector that the options ask for, with connections of its own."""
    settings = options.leader_election
    if settings is None:
        return None
    return Elector(
        settings,
        lambda: HttpTransport(config, user_agent=f"{options.user_agent} leader-election"),
        random=random,
        metrics=metrics.leader(settings.lease_name),
        requests=metrics,
    )
