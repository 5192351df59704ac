"""Reading one's own writes from caches that a real API server keeps, in time or too late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.consistency import Run
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.informer import Form
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import HttpTransport, load_config
from test.support.lagging_transport import LaggingTransport

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
OWNER = "test/writes"
CLOCK = LoopClock()
PATIENCE = timedelta(seconds=30)


@dataclass
class World:
    """A cluster in one namespace, and its transport."""

    namespace: str
    cluster: Cluster
    transport: LaggingTransport

    def config_map(self, name: str = "a", **data: str) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace},
            "data": data,
        }

    def key(self, name: str = "a") -> ObjectKey:
        return ObjectKey(self.namespace, name)

    async def apply(self, name: str = "a", **data: str) -> Manifest:
        return await self.cluster.client.apply(
            self.config_map(name, **data), field_owner=OWNER, force=True
        )

    async def read(self, name: str = "a") -> Manifest | None:
        return await self.cluster.cache.get(CONFIG_MAP, self.key(name))

    async def opened(self, run: Run, within: timedelta = PATIENCE) -> None:
        """Wait until the next run of a key that did this may begin."""
        wait = self.cluster.gate.wait(run)
        if wait is None:
            return
        over = asyncio.Event()
        wait.when_over(over.set)
        async with asyncio.timeout(within.total_seconds()):
            await over.wait()


@asynccontextmanager
async def world(control_plane: ControlPlane, namespace: str, **forms: Any) -> AsyncIterator[World]:
    """Open a cluster whose cache is synced."""
    config = await load_config(control_plane.kubeconfig)
    transport = LaggingTransport(HttpTransport(config))
    cluster = Cluster.over(
        transport,
        clock=CLOCK,
        random=seeded_random(1),
        metrics=Metrics(),
        namespaces={namespace},
        field_owners={OWNER},
    )
    cluster.cache.register(CONFIG_MAP, form=forms.get("form", Form.FULL))
    cluster.cache.register(DEPLOYMENT)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(cluster.cache.run())
        await cluster.cache.wait_synced(PATIENCE)
        yield World(namespace, cluster, transport)
        task.cancel()
    await cluster.close()


async def test_every_write_is_read_at_once(control_plane: ControlPlane, namespace: str) -> None:
    """A hundred applies in a row, each read back from the cache without any wait."""
    async with world(control_plane, namespace) as here:
        read: list[str] = []
        for number in range(100):
            await here.apply(n=str(number))
            found = await here.read()
            read.append(found["data"]["n"] if found else "absent")

        listed = await here.cluster.cache.list(CONFIG_MAP, namespace=namespace)

    assert read == [str(number) for number in range(100)]
    assert [each["data"]["n"] for each in listed if each["metadata"]["name"] == "a"] == ["99"]


async def test_a_deletion_shows_as_one_until_its_event(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Terminating, never absent, while the watch is held back; gone when it flows again."""
    async with world(control_plane, namespace) as here:
        with Run() as run:
            await here.apply(n="1")
        await here.opened(run)
        here.transport.flows.clear()
        with Run() as run:
            await here.cluster.client.delete(CONFIG_MAP, here.key())
        held_back = await here.read()
        here.transport.flows.set()
        await here.opened(run)
        after = await here.read()

    assert held_back is not None
    assert held_back["metadata"]["deletionTimestamp"]
    assert after is None


async def test_a_cache_that_stays_behind_is_read_past(
    control_plane: ControlPlane, namespace: str
) -> None:
    """After five seconds one live read of exactly what was written, and the key may run."""
    async with world(control_plane, namespace) as here:
        here.transport.flows.clear()
        with Run() as run:
            await here.apply("a", n="1")
            await here.apply("b", n="1")
        control_plane.kubectl(
            *("patch", "configmap", "a", "--namespace", namespace, "--type=merge"),
            *("--patch", '{"data":{"n":"2"}}'),
        )
        control_plane.kubectl("delete", "configmap", "b", "--namespace", namespace)
        before = len(here.transport.requests)
        began = CLOCK.monotonic()

        await here.opened(run)

        took = CLOCK.monotonic() - began
        asked = here.transport.requests[before:]
        changed, gone = await here.read("a"), await here.read("b")
        here.transport.flows.set()

    assert took >= 5
    assert sorted(asked) == [
        f"GET /api/v1/namespaces/{namespace}/configmaps/{name}" for name in ("a", "b")
    ]
    assert changed is not None
    assert changed["data"]["n"] == "2"
    assert gone is None


@pytest.mark.parametrize("form", [Form.FULL, Form.METADATA])
async def test_a_write_without_answer_is_read_when_it_is_over(
    control_plane: ControlPlane, namespace: str, form: Form
) -> None:
    """The server did it, nobody told us: the key waits, then the truth is read live."""
    async with world(control_plane, namespace, form=form) as here:
        here.transport.flows.clear()
        here.transport.lost["PATCH"] = TransportError("lost on the way", sent=True)
        with Run() as run, pytest.raises(TransportError):
            await here.apply(n="1")
        cautious = here.cluster.cache.cautious(CONFIG_MAP, here.key())
        run.not_before -= 31  # nobody wants to wait for the whole timeout of the call
        for need in run.needs:
            need.readable_at = run.not_before

        await here.opened(run)

        found = here.cluster.cache.meta(CONFIG_MAP, here.key())
        here.transport.flows.set()

    assert cautious
    assert found is not None


async def test_scaling_is_waited_for(control_plane: ControlPlane, namespace: str) -> None:
    """The answer is a Scale; the key waits until the cache has the Deployment it changed."""
    async with world(control_plane, namespace) as here:
        client, cache = here.cluster.client, here.cluster.cache
        labels = {"app": "a"}
        with Run() as run:
            await client.create(
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": "a", "namespace": namespace},
                    "spec": {
                        "replicas": 0,
                        "selector": {"matchLabels": labels},
                        "template": {
                            "metadata": {"labels": labels},
                            "spec": {"containers": [{"name": "a", "image": "a"}]},
                        },
                    },
                },
                field_owner=OWNER,
            )
        await here.opened(run)
        with Run() as run:
            await client.set_scale(DEPLOYMENT, here.key(), 1, field_owner=OWNER)

        await here.opened(run)

        scaled = await cache.get(DEPLOYMENT, here.key())

    assert scaled is not None
    assert scaled["spec"]["replicas"] == 1
