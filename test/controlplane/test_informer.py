"""Informers and caches against a real API server: what it sends, forgets, refuses and drops."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import KindNotWatched
from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.informer import Form, Informer, InformerState, ReadVerb
from smbpctl.runtime.meta import (
    GroupVersionKind,
    ObjectKey,
    labels_equal,
)
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.informers import (
    CONFIG_MAP,
    OWNER,
    SECRET,
    Interposed,
    config_map,
    connected,
    eventually,
    history,
    names,
    running,
)


async def test_life_of_objects_is_followed(control_plane: ControlPlane, namespace: str) -> None:
    """What was there, what comes, changes and goes; bytes without managedFields, own fields."""
    async with connected(control_plane.kubeconfig) as (client, _, clock):
        for name in "abcde":
            await client.apply(config_map(namespace, name), field_owner=OWNER)
        informer = Informer(
            CONFIG_MAP,
            client,
            clock=clock,
            random=seeded_random(1),
            namespace=namespace,
            field_owners=frozenset({OWNER}),
            page_size=2,
        )
        told: list[Event] = []
        informer.add_handler(told.append)

        async with running(informer):
            initial = names(informer)
            await client.patch_merge(
                CONFIG_MAP, ObjectKey(namespace, "a"), {"data": {"k": "w"}}, field_owner=OWNER
            )
            await client.delete(CONFIG_MAP, ObjectKey(namespace, "b"))
            await client.create(config_map(namespace, "b"), field_owner=OWNER)
            await client.delete(CONFIG_MAP, ObjectKey(namespace, "c"))
            await eventually(lambda: history(told, "c") == [Created, Deleted])

        assert initial == list("abcde")
        assert history(told, "a") == [Created, Updated]
        assert history(told, "b") == [Created, Deleted, Created]
        assert names(informer) == list("abde")
        stored = informer.store.get(ObjectKey(namespace, "d"))
        live = await client.get(CONFIG_MAP, ObjectKey(namespace, "d"))
        assert stored is not None
        assert live is not None
        del live["metadata"]["managedFields"]
        assert stored.manifest() == live
        assert stored.fields is not None
        assert json.loads(stored.fields[OWNER])["f:data"] == {"f:k": {}}
        assert informer.state is InformerState.STREAMING


async def test_metadata_informers_hold_no_contents(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Neither the list nor the watch brings the data of a Secret into memory."""
    secret = {**config_map(namespace, "a"), "kind": "Secret", "data": {"k": "c3dvcmRmaXNo"}}
    async with connected(control_plane.kubeconfig) as (client, _, clock):
        await client.create(secret, field_owner=OWNER)
        informer = Informer(
            SECRET,
            client,
            clock=clock,
            random=seeded_random(1),
            namespace=namespace,
            form=Form.METADATA,
        )

        async with running(informer):
            secret["metadata"]["name"] = "b"
            await client.create(secret, field_owner=OWNER)
            await eventually(lambda: names(informer) == ["a", "b"])

        for stored in informer.store.list():
            assert stored.manifest()["kind"] == "Secret"
            assert stored.meta.uid
            assert set(stored.manifest()) == {"apiVersion", "kind", "metadata"}
            assert b"managedFields" not in stored.raw


async def test_selectors_limit_what_is_held(control_plane: ControlPlane, namespace: str) -> None:
    """An object that is labelled differently leaves, one that gets the label comes."""
    chosen = {"tier": "x"}
    async with connected(control_plane.kubeconfig) as (client, _, clock):
        await client.create(config_map(namespace, "a", chosen), field_owner=OWNER)
        await client.create(config_map(namespace, "b"), field_owner=OWNER)
        informer = Informer(
            CONFIG_MAP,
            client,
            clock=clock,
            random=seeded_random(1),
            namespace=namespace,
            selector=labels_equal(chosen),
        )
        told: list[Event] = []
        informer.add_handler(told.append)

        async with running(informer):
            initial = names(informer)
            for name, label in (("a", "y"), ("b", "x")):
                await client.patch_merge(
                    CONFIG_MAP,
                    ObjectKey(namespace, name),
                    {"metadata": {"labels": {"tier": label}}},
                    field_owner=OWNER,
                )
            await eventually(lambda: names(informer) == ["b"])

        assert initial == ["a"]
        assert history(told, "a") == [Created, Deleted]
        assert history(told, "b") == [Created]


async def test_broken_and_ended_watches_are_resumed_without_a_list(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Cut in the middle of an event, and ended by the server every second."""
    async with connected(control_plane.kubeconfig) as (connected_client, _, clock):
        client = Interposed(connected_client)
        informer = Informer(
            CONFIG_MAP,
            client,
            clock=clock,
            random=seeded_random(1),
            namespace=namespace,
            watch_timeout=(timedelta(seconds=1), timedelta(seconds=1)),
        )
        told: list[Event] = []
        informer.add_handler(told.append)

        async with running(informer):
            for number in range(12):
                client.cut_next_chunk = number % 4 == 1
                await connected_client.create(
                    config_map(namespace, f"w{number:02}"), field_owner=OWNER
                )
                await asyncio.sleep(0.3)
            await eventually(lambda: len(names(informer)) == 12)

        assert (client.lists, client.pages) == (1, 0)
        assert len(client.watched_from) >= 3
        assert [history(told, f"w{number:02}") for number in range(12)] == [[Created]] * 12


async def test_missing_permission_names_the_verb(
    control_plane: ControlPlane, namespace: str
) -> None:
    """And heals when it is granted, without restart."""
    user = f"reader-of-{namespace}"
    async with connected(control_plane.kubeconfig_for(user)) as (client, _, clock):
        informer = Informer(
            CONFIG_MAP, client, clock=clock, random=seeded_random(1), namespace=namespace
        )

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(informer.run())
            await eventually(lambda: informer.state is InformerState.FORBIDDEN)
            standing = informer.standing
            control_plane.kubectl(
                "create",
                "rolebinding",
                "reader",
                "--clusterrole=view",
                f"--user={user}",
                f"--namespace={namespace}",
            )
            await eventually(lambda: informer.state is InformerState.STREAMING)
            task.cancel()

    assert (standing.verb, standing.since is None) == (ReadVerb.WATCH, False)
    assert 'cannot watch resource "configmaps"' in standing.reason
    assert informer.synced


async def test_an_optional_kind_comes_and_goes_with_its_crd(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Absent at first; watched once its CRD is applied; forgotten once that is deleted."""
    group = f"{namespace}.example.com"
    kind = OptionalKind(group, "Gadget", ("v1",))
    gvk = GroupVersionKind(group, "v1", "Gadget")
    key = ObjectKey(namespace, "a")
    gadget = {
        "apiVersion": gvk.api_version,
        "kind": "Gadget",
        "metadata": {"name": "a", "namespace": namespace},
    }
    async with connected(control_plane.kubeconfig) as (client, discovery, clock):
        cache = Cache(
            client, discovery, clock=clock, random=seeded_random(1), namespaces={namespace}
        )
        optional = cache.register_optional(kind)
        told: list[Event] = []
        optional.add_handler(told.append)

        async with running(cache):
            absent = (cache.served(kind), optional.state)
            control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(crd(group)))
            await eventually(lambda: cache.served(kind) == gvk)
            await client.create(gadget, field_owner=OWNER)
            await eventually(lambda: history(told, "a") == [Created])
            read = await cache.get(gvk, key)

            control_plane.kubectl("delete", "crd", f"gadgets.{group}")
            await eventually(lambda: optional.state is InformerState.ABSENT)
            with pytest.raises(KindNotWatched, match="not served now"):
                await cache.get(gvk, key)

    assert absent == (None, InformerState.ABSENT)
    assert read is not None
    assert read["metadata"]["name"] == "a"
    assert history(told, "a")[-1] is Deleted
    assert history(told, "a").count(Deleted) == 1
    assert optional.object_count() == 0


def crd(group: str) -> dict[str, Any]:
    """Return the definition of a small kind."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
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


async def test_an_outage_and_a_forgotten_version_are_survived(
    binaries: Binaries, tmp_path: Path
) -> None:
    """What changed is told once, what did not is not; a version of before the start costs a list.

    A server that has just started knows no events of before: a watch from there is refused.
    """
    with ControlPlane(binaries, tmp_path / "own", controllers=False) as own:
        async with connected(own.kubeconfig) as (connected_client, _, clock):
            client = Interposed(connected_client)
            for name in "ab":
                await connected_client.create(config_map("default", name), field_owner=OWNER)
            informer = Informer(
                CONFIG_MAP,
                client,
                clock=clock,
                random=seeded_random(1),
                watch_timeout=(timedelta(seconds=2), timedelta(seconds=2)),
            )
            told: list[Event] = []
            informer.add_handler(told.append)

            async with running(informer):
                await asyncio.to_thread(own.stop)
                await eventually(lambda: informer.state is InformerState.DEGRADED)
                held = [each.meta.name for each in informer.store.list("default")]
                await asyncio.to_thread(own.start)
                await connected_client.delete(CONFIG_MAP, ObjectKey("default", "a"))
                await connected_client.create(config_map("default", "c"), field_owner=OWNER)
                await eventually(lambda: history(told, "c") == [Created])
                await eventually(lambda: informer.state is InformerState.STREAMING)
                lists = client.lists
                client.rewind_next_watch = True
                await eventually(lambda: client.lists > lists)
                await connected_client.create(config_map("default", "d"), field_owner=OWNER)
                await eventually(lambda: history(told, "d") == [Created])

    assert held == ["a", "b"]
    assert [history(told, name) for name in "abc"] == [[Created, Deleted], [Created], [Created]]
    assert (client.lists, client.pages) == (lists + 1, 0)
    assert informer.reason == ""
