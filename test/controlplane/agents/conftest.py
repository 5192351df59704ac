"""An agent with nodes of its own for each test that asks for it."""

from collections.abc import AsyncIterator

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.simulation.agents import (
    EXPANDABLE_CLASS,
    FIXED_CLASS,
    FailureRules,
    NodeAgent,
)
from smbpctl.runtime.simulation.agents.nodes import NODE
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.agents.bench import (
    STORAGE_CLASS,
    Bench,
    connected,
    empty,
    eventually,
    nodes_are_ready,
    options,
    running,
)


@pytest.fixture
async def bench(control_plane: ControlPlane) -> AsyncIterator[Bench]:
    """An agent with three nodes of its own; ask for the namespace after it.

    The namespace then goes first, and what was in it is taken away by nodes that still live.
    """
    rules = FailureRules()
    async with (
        connected(control_plane, "node-agent") as cluster,
        connected(control_plane, "user") as user,
    ):
        agent = NodeAgent(
            cluster,
            clock=LoopClock(),
            failures=rules,
            options=options(),
        )
        made = Bench(agent, user, rules)
        async with running(agent):
            await eventually(lambda: nodes_are_ready(made), "all nodes are Ready")
            yield made
            rules.clear()
            await empty(made)
        for name in agent.node_names:
            await user.client.delete(NODE, ObjectKey("", name))
        for name in (EXPANDABLE_CLASS, FIXED_CLASS):
            await user.client.delete(STORAGE_CLASS, ObjectKey("", name))
