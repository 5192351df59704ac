"""The ingress agent: a class of its own, and an address for every Ingress of that class."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.errors import ServerError
from smbpctl.runtime.meta import Manifest, ObjectKey
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.agents.ingress import (
    CONTROLLER,
    INGRESS,
    INGRESS_CLASS,
    IngressAgent,
)
from test.support.fake_cluster import FakeCluster
from test.support.fake_cluster_http import ClusterHttp
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()
KEY = ObjectKey("shop", "web")
SERVED = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}


def ingress(class_name: str | None = "ours", **more: object) -> Manifest:
    """Return an Ingress of a class."""
    spec = {} if class_name is None else {"ingressClassName": class_name}
    return {
        "apiVersion": INGRESS.api_version,
        "kind": "Ingress",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace},
        "spec": spec,
        **more,
    }


async def pause() -> None:
    """Let the agent work until it waits."""
    await CLOCK.sleep(timedelta(seconds=5))


def with_agent(server: FakeCluster, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario beside an agent of the class `ours`, then stop the agent."""

    async def main() -> None:
        metrics, random = Metrics(), seeded_random(1)
        cluster = Cluster.over(
            ClusterHttp(server).transport(), clock=CLOCK, random=random, metrics=metrics
        )
        agent = IngressAgent(
            cluster,
            class_name="ours",
            address="192.0.2.7",
            clock=CLOCK,
            random=random,
            metrics=metrics,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(cluster.cache.run()), group.create_task(agent.run())]
            await pause()
            await scenario()
            for task in tasks:
                task.cancel()

    run_virtual(main())


def status(server: FakeCluster) -> Manifest:
    """Return the status of the Ingress."""
    found: Manifest = server.find(INGRESS, KEY).get("status", {})
    return found


async def nothing() -> None:
    """Scenario in which nobody does anything."""


class TestIngressAgent:
    def test_its_class_names_it(self) -> None:
        """So that whoever looks knows who serves it."""
        server = FakeCluster()

        with_agent(server, nothing)

        (made,) = server.all(INGRESS_CLASS)
        assert made["metadata"]["name"] == "ours"
        assert made["spec"] == {"controller": CONTROLLER}

    def test_every_ingress_of_the_class_gets_the_address(self) -> None:
        """Those that are there, and those that come later."""
        server = FakeCluster()
        early = ingress()
        early["metadata"]["name"] = "early"
        server.put(early)

        async def scenario() -> None:
            server.put(ingress())
            await pause()

        with_agent(server, scenario)

        assert [each["status"] for each in server.all(INGRESS)] == [SERVED, SERVED]

    @pytest.mark.parametrize("class_name", ["theirs", None])
    def test_others_are_left_alone(self, class_name: str | None) -> None:
        """Another class, or none at all."""
        server = FakeCluster()
        server.put(ingress(class_name))

        with_agent(server, nothing)

        assert status(server) == {}

    def test_an_ingress_on_its_way_out_is_left_alone(self) -> None:
        """Nobody needs its address any more."""
        server = FakeCluster()
        leaving = ingress()
        mark = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/x"]}
        leaving["metadata"].update(mark)
        server.put(leaving)

        with_agent(server, nothing)

        assert status(server) == {}

    def test_what_it_has_written_it_does_not_write_again(self) -> None:
        """Its own write wakes it, and finds nothing to do; a change by others is mended."""
        server = FakeCluster()
        server.put(ingress())
        patches: list[int] = []

        async def scenario() -> None:
            patches.append(len(server.sent()))
            server.edit(INGRESS, KEY, lambda each: each.update(status={"loadBalancer": {}}))
            await pause()
            patches.append(len(server.sent()))

        with_agent(server, scenario)

        # The class and the status; then the status once more.
        assert patches == [2, 1]
        assert status(server) == SERVED

    def test_an_ingress_that_changes_its_class(self) -> None:
        """It is served from then on."""
        server = FakeCluster()
        server.put(ingress("theirs"))

        async def scenario() -> None:
            server.edit(INGRESS, KEY, lambda each: each["spec"].update(ingressClassName="ours"))
            await pause()

        with_agent(server, scenario)

        assert status(server) == SERVED

    def test_a_server_that_fails_is_tried_again(self) -> None:
        """With growing delays, until it answers."""
        server = FakeCluster()
        server.put(ingress())
        server.refusals["patch Ingress/status"] = ServerError("not now", code=500)

        async def scenario() -> None:
            server.refusals.clear()
            await CLOCK.sleep(timedelta(seconds=30))

        with_agent(server, scenario)

        assert status(server) == SERVED
