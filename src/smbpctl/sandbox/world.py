"""The world around the operator: nodes whose pods are a fake operand, and an ingress controller."""

import asyncio
from typing import final

from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.agents import AgentOptions, FailureRules, NodeAgent
from smbpctl.runtime.simulation.agents.ingress import IngressAgent
from smbpctl.runtime.transport import ClusterConfig
from smbpctl.sandbox.operand import FakeOperand

INGRESS_ADDRESS = "127.0.0.1"


@final
class World:
    """Everything a bare control plane lacks for a BigPeer, acting through the API alone.

    `failures` and `operand` may be told to misbehave while the world runs. `ingress_class` is
    the class that gets addresses; an empty name leaves the cluster without an ingress controller.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        clock: Clock,
        random: Random,
        nodes: int = 3,
        node_prefix: str = "node",
        ingress_class: str = "",
    ) -> None:
        metrics = Metrics()
        self.failures = FailureRules()
        self._cluster = Cluster.open(config, clock=clock, random=random, metrics=metrics)
        self.operand = FakeOperand(self._cluster.client)
        self._agent = NodeAgent(
            self._cluster,
            clock=clock,
            nodes=nodes,
            workload=self.operand,
            failures=self.failures,
            options=AgentOptions(name_prefix=node_prefix),
            metrics=metrics,
        )
        self._ingress = (
            IngressAgent(
                self._cluster,
                class_name=ingress_class,
                address=INGRESS_ADDRESS,
                clock=clock,
                random=random,
                metrics=metrics,
            )
            if ingress_class
            else None
        )

    async def run(self) -> None:
        """Go round until cancelled; raise what ends any part of it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._agent.run())
                if self._ingress is not None:
                    group.create_task(self._ingress.run())
        finally:
            await self._cluster.close()
