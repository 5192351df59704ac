"""Faults of a real cluster: informers heal by themselves, and nothing is lost.

One control plane of its own, so that it can be killed; every test has a namespace of its own. At
the end of each, what is cached equals a list read live, and handlers were told a history.
"""

import asyncio
import ctypes
import gc
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psutil
import pytest

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.discovery import Discovery, OptionalKind
from smbpctl.runtime.event import Created, Deleted, Updated
from smbpctl.runtime.informer import Form, Informer, InformerState, ReadVerb
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.etcd import Etcd, kill_api_server, start_api_server
from test.controlplane.informers import (
    CONFIG_MAP,
    OWNER,
    FastClock,
    Interposed,
    config_map,
    connected,
    eventually,
    running,
)
from test.support.witness import Witness

GROUP = "faults.example.com"
GADGET = GroupVersionKind(GROUP, "v1", "Gadget")
MANY = 10_000
MEGABYTE = 1024 * 1024


@dataclass
class World:
    """A namespace of the control plane, and ways to reach it."""

    control_plane: ControlPlane
    etcd: Etcd
    client: Client
    discovery: Discovery
    clock: FastClock
    namespace: str

    def informer(self, gvk: GroupVersionKind = GADGET, **options: Any) -> Informer:
        """Return an informer of the namespace."""
        return Informer(
            gvk,
            options.pop("client", self.client),
            clock=self.clock,
            random=seeded_random(1),
            namespace=self.namespace,
            **options,
        )

    def gadget(self, name: str, text: str = "") -> dict[str, Any]:
        """Return a gadget."""
        return {
            "apiVersion": GADGET.api_version,
            "kind": "Gadget",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"text": text},
        }

    def fill(self, count: int, text: str) -> None:
        """Write so many gadgets, new ones or anew."""
        self.etcd.put("gadgets", (self.gadget(f"g{i:05}", text) for i in range(count)))

    async def delete_all(self) -> None:
        """Delete all gadgets of the namespace in one request; its answer, all of them, is lost."""
        resource = await self.discovery.resource(GADGET)
        binaries, kubeconfig = self.control_plane.binaries, self.control_plane.kubeconfig
        command = [binaries.kubectl, "--kubeconfig", kubeconfig, "delete", "--raw"]
        ended = await asyncio.create_subprocess_exec(
            *command, resource.path(self.namespace), stdout=asyncio.subprocess.DEVNULL
        )
        assert await ended.wait() == 0

    async def equals_live(self, informer: Informer) -> bool:
        """Tell whether the cache holds exactly what a live read shows."""
        live = await self.client.list(informer.gvk, namespace=self.namespace)
        seen = {
            (each["metadata"]["name"], each["metadata"]["uid"], each["metadata"]["resourceVersion"])
            for each in live
        }
        return seen == {
            (each.meta.name, each.meta.uid, each.meta.resource_version) for each in informer.list()
        }

    async def settle(self, informer: Informer, witness: Witness) -> None:
        """Return when cache, handler and server agree."""
        for _ in range(100):
            if await self.equals_live(informer):
                break
            await asyncio.sleep(0.2)
        assert {key: each.meta for key, each in witness.held.items()} == {
            each.key: each.meta for each in informer.list()
        }


@pytest.fixture(scope="module")
def own(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that only this file uses, with a small kind."""
    arguments = {"kube-apiserver": ["--delete-collection-workers=16"]}
    folder = tmp_path_factory.mktemp("faults") / "own"
    with ControlPlane(binaries, folder, controllers=False, arguments=arguments) as made:
        apply_crd(made)
        yield made


def apply_crd(control_plane: ControlPlane, group: str = GROUP) -> None:
    """Create the CRD of a small kind and wait until it is served."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [version],
        },
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(crd))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", f"gadgets.{group}")


@pytest.fixture
async def world(own: ControlPlane, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A namespace that only this test uses."""
    namespace = request.node.originalname.replace("_", "-")[5:60].strip("-")
    await asyncio.to_thread(own.kubectl, "create", "namespace", namespace)
    async with connected(own.kubeconfig) as (client, discovery, clock):
        yield World(own, Etcd(own), client, discovery, clock, namespace)


@asynccontextmanager
async def watched(informer: Informer) -> AsyncIterator[Witness]:
    """Run an informer; yield a handler that checks what it is told."""
    witness = Witness(informer)
    informer.add_handler(witness)
    async with running(informer):
        yield witness


def settled(informer: Informer) -> Callable[[], bool]:
    """Return a check that all is well."""
    return lambda: informer.state is InformerState.STREAMING and not informer.reason


async def test_api_server_killed_mid_watch(world: World) -> None:
    """SIGKILL, changes as soon as it is back: each is told once, and what stayed is not.

    A server that has just started knows no history but what happened last: where that is what we
    know, the watch goes on, and else a list tells.
    """
    client = Interposed(world.client)
    informer = world.informer(client=client)
    for name in "abc":
        await world.client.create(world.gadget(name), field_owner=OWNER)

    async with watched(informer) as witness:
        await asyncio.to_thread(kill_api_server, world.control_plane)
        await eventually(lambda: informer.state is InformerState.DEGRADED)
        degraded = informer.standing
        start_api_server(world.control_plane)
        await eventually(settled(informer))
        await world.client.delete(GADGET, ObjectKey(world.namespace, "a"))
        await world.client.create(world.gadget("d"), field_owner=OWNER)
        await world.settle(informer, witness)

    assert (degraded.verb, degraded.since is None) == (ReadVerb.WATCH, False)
    assert client.lists in (1, 2)
    assert client.pages == 0
    told = [(type(each), each.object.meta.name) for each in witness.told[3:]]
    assert told == [(Deleted, "a"), (Created, "d")]


async def test_history_forgotten_while_the_server_was_away(world: World) -> None:
    """Changes nobody watched, then a compaction: a list tells the difference."""
    client = Interposed(world.client)
    informer = world.informer(client=client)
    world.fill(5, "old")

    async with watched(informer) as witness:
        await asyncio.to_thread(kill_api_server, world.control_plane)
        await asyncio.to_thread(world.fill, 300, "new")
        await asyncio.to_thread(world.etcd.compact)
        start_api_server(world.control_plane)
        await eventually(lambda: informer.object_count() == 300)
        await world.settle(informer, witness)

    kinds = [type(each) for each in witness.told[5:]]
    assert (kinds.count(Updated), kinds.count(Created), len(kinds)) == (5, 295, 300)
    assert settled(informer)()


async def test_a_paged_list_across_a_compaction(world: World) -> None:
    """A token of a forgotten moment, or of none: the list is whole, or made again."""
    world.fill(60, "x")

    class Compacting(Interposed):
        """Compacts behind the first page."""

        done = False

        async def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
            """List, with changes and a compaction between the first two pages."""
            async for page in super().list_pages(gvk, **options):
                yield page
                if not self.done:
                    self.done = True
                    await asyncio.to_thread(world.fill, 70, "y")
                    await asyncio.to_thread(world.etcd.compact)

    client = Compacting(world.client)
    informer = world.informer(client=client, paged=True, page_size=10)

    async with watched(informer) as witness:
        await world.settle(informer, witness)

    assert client.done
    assert informer.object_count() == 70


async def test_objects_of_a_megabyte_and_a_half(world: World) -> None:
    """As large as etcd takes them: listed, streamed, changed; their lines come in many pieces."""
    text = "ż" * (1_450_000 // 2)
    await world.client.create(world.gadget("listed", text), field_owner=OWNER)
    informer = world.informer()

    async with watched(informer) as witness:
        await world.client.create(world.gadget("streamed", text), field_owner=OWNER)
        change = {"spec": {"text": text[::-1] + "!"}}
        await world.client.patch_merge(
            GADGET, ObjectKey(world.namespace, "listed"), change, field_owner=OWNER
        )
        await world.settle(informer, witness)
        held = {each.meta.name: each.manifest()["spec"]["text"] for each in informer.list()}

    assert held == {"listed": text[::-1] + "!", "streamed": text}
    assert informer.byte_count() > 2_800_000


async def test_ten_thousand_deleted_at_once(world: World) -> None:
    """Every one is told as deleted; what they took is given back."""
    informer = world.informer()
    before = resident()
    await asyncio.to_thread(world.fill, MANY, "x" * 2000)
    deleted = 0

    def count(event: object) -> None:
        nonlocal deleted
        deleted += isinstance(event, Deleted)

    informer.add_handler(count)
    async with running(informer):
        full, taken = informer.memory(), resident() - before
        await world.delete_all()
        await eventually(lambda: informer.object_count() == 0)
        left = resident() - before

    assert deleted == MANY
    assert full > MANY * 2000
    assert informer.byte_count() == 0
    assert informer.memory() < 400_000, "tables keep their size, objects do not"
    assert taken > 20 * MEGABYTE
    assert left < taken / 2
    assert await world.equals_live(informer)


def resident() -> int:
    """Return the resident memory of this process, after giving back what is free."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss


async def test_a_reader_that_stands_still_while_thousands_of_events_come(world: World) -> None:
    """The server drops slow watchers, or their buffers fill: what was missed is caught up."""
    informer = world.informer()
    world.fill(10, "before")

    async with watched(informer) as witness:
        writers = [threading.Thread(target=world.fill, args=(2500, text * 2000)) for text in "xy"]
        for writer in writers:
            writer.start()
        time.sleep(3)  # noqa: ASYNC251 - the loop stands still: that is the fault
        for writer in writers:
            await asyncio.to_thread(writer.join)
        await eventually(lambda: informer.object_count() == 2500)
        await world.settle(informer, witness)

    assert settled(informer)()


async def test_permission_withdrawn_and_granted_again(world: World) -> None:
    """The state names the missing verb; what changed meanwhile is told."""
    user = "fault-reader"
    kubectl, here = world.control_plane.kubectl, f"--namespace={world.namespace}"
    kubectl("create", "role", "reader", "--verb=list,watch", "--resource=configmaps", here)
    grant = ("create", "rolebinding", "reader", "--role=reader", f"--user={user}", here)
    kubectl(*grant)
    async with connected(world.control_plane.kubeconfig_for(user)) as (client, _, _):
        informer = world.informer(
            CONFIG_MAP, client=client, watch_timeout=(timedelta(seconds=2), timedelta(seconds=2))
        )
        async with watched(informer) as witness:
            await asyncio.to_thread(kubectl, "delete", "rolebinding", "reader", here)
            await eventually(lambda: informer.state is InformerState.FORBIDDEN)
            forbidden = informer.standing
            await world.client.create(config_map(world.namespace, "new"), field_owner=OWNER)
            await asyncio.to_thread(kubectl, *grant)
            await eventually(lambda: informer.get(ObjectKey(world.namespace, "new")) is not None)
            await eventually(settled(informer))
            await world.settle(informer, witness)

    assert forbidden.verb is ReadVerb.WATCH
    assert 'cannot watch resource "configmaps"' in forbidden.reason
    assert informer.standing.verb is None


async def test_a_crd_deleted_and_made_again(world: World) -> None:
    """An optional kind heals within seconds: the old objects are told as gone, new ones come."""
    group = "reborn.example.com"
    gvk = GroupVersionKind(group, "v1", "Gadget")
    cache = Cache(world.client, world.discovery, clock=world.clock, random=seeded_random(1))
    optional = cache.register_optional(OptionalKind(group, "Gadget", ("v1",)), form=Form.FULL)
    told: list[tuple[type, str]] = []
    optional.add_handler(lambda each: told.append((type(each), each.object.meta.name)))
    await asyncio.to_thread(apply_crd, world.control_plane, group)

    def gadget(name: str) -> dict[str, Any]:
        return {**world.gadget(name), "apiVersion": gvk.api_version}

    async with running(cache):
        await eventually(lambda: optional.gvk == gvk)
        await world.client.create(gadget("old"), field_owner=OWNER)
        await eventually(lambda: (Created, "old") in told)
        await asyncio.to_thread(world.control_plane.kubectl, "delete", "crd", f"gadgets.{group}")
        await asyncio.to_thread(apply_crd, world.control_plane, group)
        world.discovery.invalidate()
        await world.client.create(gadget("new"), field_owner=OWNER)
        began = world.clock.monotonic()
        await eventually(lambda: (Created, "new") in told)
        took = world.clock.monotonic() - began
        assert [each.meta.name for each in cache.metas(gvk)] == ["new"]

    assert told == [(Created, "old"), (Deleted, "old"), (Created, "new")]
    assert took < 100, "ten real seconds, on a clock ten times as fast"
