"""A cluster: what its parts share, and what closing it does."""

import asyncio

import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.errors import KindNotWatched
from smbpctl.runtime.meta import ObjectKey, StoredObject
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.transport import ClusterConfig
from test.support.fake_api import CONFIG_MAP, FakeApi
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()
KEY = ObjectKey("ns", "a")
MANIFEST = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "a",
        "namespace": "ns",
        "managedFields": [
            {"manager": "demo/echo", "operation": "Apply", "fieldsV1": {"f:data": {}}},
        ],
    },
}


class TestCluster:
    """The parts together."""

    def test_the_cache_lists_by_the_client_and_what_it_does_is_counted(self) -> None:
        """What is on the server is read from the cache; requests show in the metrics given."""

        async def main() -> tuple[StoredObject | None, bytes]:
            api, metrics = FakeApi(), Metrics()
            api.put(MANIFEST)
            cluster = Cluster.over(
                api.transport(),
                clock=CLOCK,
                random=seeded_random(1),
                metrics=metrics,
                field_owners=["demo/echo"],
            )
            informer = cluster.cache.register(CONFIG_MAP.gvk)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(cluster.cache.run())
                await informer.wait_synced()
                found = cluster.cache.meta(CONFIG_MAP.gvk, KEY)
                running.cancel()
            await cluster.close()
            return found, metrics.exposition()[0]

        found, exposition = run_virtual(main())

        assert found is not None
        assert set(found.fields or ()) == {"demo/echo"}
        assert b'rest_client_requests_total{code="200",host="fake.test:6443",method="GET"}' in (
            exposition
        )

    def test_a_namespace_limits_the_cache(self) -> None:
        """What is not watched is refused by name instead of looking absent."""

        async def main() -> None:
            cluster = Cluster.over(
                FakeApi().transport(),
                clock=CLOCK,
                random=seeded_random(1),
                metrics=Metrics(),
                namespaces={"other"},
            )
            cluster.cache.register(CONFIG_MAP.gvk)
            with pytest.raises(KindNotWatched, match="in namespace other only, not in ns"):
                cluster.cache.meta(CONFIG_MAP.gvk, KEY)

        run_virtual(main())

    def test_closing_closes_the_transport_and_may_be_repeated(self) -> None:
        """There is one thing to close, and nobody has to know what it is."""

        async def main() -> bool:
            transport = FakeApi().transport()
            cluster = Cluster.over(
                transport, clock=CLOCK, random=seeded_random(1), metrics=Metrics()
            )
            await cluster.close()
            await cluster.close()
            return transport.closed

        assert run_virtual(main())

    async def test_open_connects_to_nothing(self) -> None:
        """Opening needs no server, and closing an unused cluster leaves nothing behind."""
        cluster = Cluster.open(
            ClusterConfig(server="https://127.0.0.1:1"),
            clock=CLOCK,
            random=seeded_random(1),
            metrics=Metrics(),
        )

        assert cluster.transport.base_url == "https://127.0.0.1:1"
        await cluster.close()
