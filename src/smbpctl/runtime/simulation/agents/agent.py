"""The agent that makes a bare control plane a cluster: nodes, their pods, volumes for claims."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, final

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import Clock, Random, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.controller import Controller, ControllerOptions
from smbpctl.runtime.handler import for_object
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.reconcile import Reconciler, Request
from smbpctl.runtime.simulation.agents.claims import (
    CLAIM,
    FIELD_OWNER,
    STORAGE_CLASS,
    VOLUME,
    ClaimReconciler,
    VolumeReconciler,
    storage_classes,
)
from smbpctl.runtime.simulation.agents.failures import FailureRules
from smbpctl.runtime.simulation.agents.nodes import Nodes, machines
from smbpctl.runtime.simulation.agents.pod_steps import Timing
from smbpctl.runtime.simulation.agents.pods import CONFIG_MAP, POD, SECRET, PodReconciler
from smbpctl.runtime.simulation.agents.workload import IdleWorkload, Workload
from smbpctl.runtime.source import ChannelSource, KindSource, Source
from smbpctl.runtime.workqueue import WorkQueue

# An agent that is behind makes every test slow, and its server is its own.
_BACKOFF: Final = ExponentialBackoff(cap=timedelta(seconds=2))
_POD_WORKERS: Final = 32


@final
@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How the nodes are called, where they stand, and how patient they are.

    `heartbeat` must be well below the control plane's node monitor grace period.
    """

    name_prefix: str = "node"
    zones: tuple[str, ...] = ("zone-a", "zone-b", "zone-c")
    heartbeat: timedelta = timedelta(seconds=10)
    timing: Timing = field(default_factory=Timing)


@final
class NodeAgent:
    """Kubelets of `nodes` nodes and a volume provisioner, acting through the API alone.

    Pods that are bound to the nodes run what `workload` says, and fail as `failures` say; rules
    may be added and lifted while the agent runs. Claims of the classes `expandable` (the default)
    and `fixed` get volumes. The same code serves any API server, a real one included.

    The agent runs the cache of `cluster`, so the cluster is its own, with rights to everything
    that it does; it sees all namespaces.

    A Service whose pods have loopback addresses gets no endpoints: the API server refuses
    loopback addresses in EndpointSlices, and nothing routes to the addresses of `IdleWorkload`.
    Ask pods by their own address.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        clock: Clock,
        random: Random | None = None,
        nodes: int = 3,
        workload: Workload | None = None,
        failures: FailureRules | None = None,
        options: AgentOptions | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        options = options or AgentOptions()
        self.failures: FailureRules = failures or FailureRules()
        self._cluster = cluster
        self._clock = clock
        self._random = random or system_random()
        self._metrics = metrics or Metrics()
        self._nodes = Nodes(
            machines(nodes, prefix=options.name_prefix, zones=options.zones),
            client=cluster.client,
            clock=clock,
            heartbeat=options.heartbeat,
        )
        self._pods = PodReconciler(
            self._nodes.address_of,
            client=cluster.client,
            reader=cluster.cache,
            workload=workload or IdleWorkload(),
            failures=self.failures,
            clock=clock,
            timing=options.timing,
        )
        self._returned = ChannelSource[ObjectKey](for_object())
        for gvk in (SECRET, CONFIG_MAP, STORAGE_CLASS):
            cluster.cache.register(gvk)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Return the names of the nodes."""
        return self._nodes.names

    def switch_off(self, node: str) -> None:
        """Let a node lose its power: no more heartbeats, and its pods stop within a probe period.

        The API server is told nothing. Raises KeyError for a node that is off already.
        """
        self._nodes.switch_off(node)

    def switch_on(self, node: str) -> None:
        """Let a node start again: it registers, and runs the pods that are still bound to it."""
        self._nodes.switch_on(node)
        # Nothing happened to its pods that would wake them.
        for pod in self._cluster.cache.metas(POD):
            self._returned.wake(Request(pod.key))

    async def run(self) -> None:
        """Work until cancelled; then every workload is stopped, and the API server told nothing.

        Raises the client's errors when the first requests fail: the server must be there.
        """
        cluster = self._cluster
        version = await cluster.discovery.server_version()
        for storage_class in storage_classes():
            await cluster.client.apply(storage_class, field_owner=FIELD_OWNER, force=True)
        claims = ClaimReconciler(cluster.client, cluster.cache)
        volumes = VolumeReconciler(cluster.client, cluster.cache)
        controllers = [
            self._controller(
                "node-agent-pods", POD, self._pods, self._returned, workers=_POD_WORKERS
            ),
            self._controller("volume-agent-claims", CLAIM, claims),
            self._controller("volume-agent-volumes", VOLUME, volumes),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._nodes.run(version))
                group.create_task(cluster.cache.run())
                await cluster.cache.wait_synced(timedelta(minutes=1))
                for controller in controllers:
                    group.create_task(controller.run())
        finally:
            await self._pods.close()

    def _controller(
        self,
        name: str,
        gvk: GroupVersionKind,
        reconciler: Reconciler[ObjectKey],
        *sources: Source[ObjectKey],
        workers: int = 4,
    ) -> Controller[ObjectKey]:
        informer = self._cluster.cache.register(gvk)
        queue = WorkQueue[Request[ObjectKey]](
            name,
            clock=self._clock,
            backoff=ItemBackoff(_BACKOFF, self._random),
            metrics=self._metrics.queue(name),
        )
        return Controller(
            name,
            reconciler,
            sources=[KindSource(informer, for_object(), kind=str(gvk)), *sources],
            queue=queue,
            clock=self._clock,
            random=self._random,
            metrics=self._metrics.controller(name),
            options=ControllerOptions(workers=workers),
        )
