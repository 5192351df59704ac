"""The world around the operator, over real HTTP: nodes, the operand on them, and addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from smbpctl.reconcilers.kinds import INGRESS, INGRESS_CLASS, POD, STORAGE_CLASS
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import ServerError, TransportError
from smbpctl.runtime.meta import Manifest, ObjectKey, key_of
from smbpctl.runtime.transport import ClusterConfig
from smbpctl.sandbox.world import INGRESS_ADDRESS, World
from test.support.fake_cluster import CORE, NODES, FakeCluster
from test.support.fake_cluster_http import ClusterHttp, until
from test.support.http_server import unused_url

NODE = NODES[0].gvk
KINDS = (*CORE, *NODES)
KEY = ObjectKey("shop", "web")


@asynccontextmanager
async def running(server: FakeCluster, *, ingress_class: str = "") -> AsyncIterator[World]:
    """Run a world with one node for the length of the block."""
    async with ClusterHttp(server).serve() as config:
        world = World(
            config,
            clock=LoopClock(),
            random=seeded_random(1),
            nodes=1,
            node_prefix="machine",
            ingress_class=ingress_class,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(world.run())
            yield world
            task.cancel()


def an_ingress() -> Manifest:
    """Return an Ingress of the class `nginx`."""
    return {
        "apiVersion": INGRESS.api_version,
        "kind": "Ingress",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace},
        "spec": {"ingressClassName": "nginx"},
    }


def is_ready(node: Manifest) -> bool:
    """Tell whether a node is Ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return ("Ready", "True") in {(each["type"], each["status"]) for each in conditions}


class TestWorld:
    async def test_nodes_and_classes(self) -> None:
        """As many nodes as were asked for, Ready, and classes of volumes; no ingress class."""
        server = FakeCluster(KINDS)

        async with running(server):
            await until(server, lambda: [each for each in server.all(NODE) if is_ready(each)])

        assert [key_of(node).name for node in server.all(NODE)] == ["machine-0"]
        assert len(server.all(STORAGE_CLASS)) == 2
        assert server.all(INGRESS_CLASS) == []

    async def test_addresses_for_the_class_that_was_asked_for(self) -> None:
        """The class exists, and its Ingresses have an address."""
        server = FakeCluster(KINDS)
        server.put(an_ingress())

        async with running(server, ingress_class="nginx"):
            await until(server, lambda: server.find(INGRESS, KEY).get("status"))

        assert [key_of(each).name for each in server.all(INGRESS_CLASS)] == ["nginx"]
        assert server.find(INGRESS, KEY)["status"] == {
            "loadBalancer": {"ingress": [{"ip": INGRESS_ADDRESS}]}
        }

    async def test_pods_on_its_nodes_run(self) -> None:
        """A pod of no operand is started like any other container."""
        server = FakeCluster(KINDS)
        server.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
                "spec": {
                    "nodeName": "machine-0",
                    "containers": [{"name": "main", "image": "example/web:1"}],
                },
                "status": {"phase": "Pending"},
            }
        )

        async with running(server):
            await until(server, lambda: server.find(POD, KEY)["status"]["phase"] == "Running")

    @pytest.mark.parametrize("ingress_class", ["", "nginx"])
    async def test_it_ends_without_a_word_when_cancelled(self, ingress_class: str) -> None:
        """And closes its connections: nothing is told or warned of afterwards."""
        server = FakeCluster(KINDS)

        async with running(server, ingress_class=ingress_class) as world:
            await until(server, lambda: server.all(NODE))

        with pytest.raises(TransportError, match="closed"):
            await world._cluster.discovery.server_version()

    async def test_what_ends_a_part_ends_it(self) -> None:
        """A server that is not there, and one that refuses the class."""
        away = World(ClusterConfig(server=unused_url()), clock=LoopClock(), random=seeded_random(1))
        server = FakeCluster(KINDS)
        server.refusals["apply IngressClass"] = ServerError("no", code=500)

        with pytest.raises(ExceptionGroup) as first:
            await away.run()
        with pytest.raises(ExceptionGroup) as second:
            async with running(server, ingress_class="nginx"):
                await asyncio.Event().wait()

        assert first.value.subgroup(TransportError) is not None
        assert second.value.subgroup(ServerError) is not None
