"""The wrappers of the client around a real API server."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from smbpctl.runtime.client import (
    Backend,
    Client,
    DryRunRecorder,
    Effect,
    Hooks,
    WriteCall,
    intercepted,
    namespaced,
    with_field_owner,
)
from smbpctl.runtime.errors import Conflict, NotFound, TransportError
from smbpctl.runtime.meta import Manifest, ObjectKey, key_of
from test.controlplane.client.world import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    EVERYTHING,
    OWNER,
    POD,
    SECRET,
    config_map,
    deployment,
    pod,
)


async def _everything(client: Client, namespace: str) -> Mapping[ObjectKey, Manifest]:
    found = [
        each
        for gvk in (CONFIG_MAP, SECRET, POD)
        for each in await client.list(gvk, namespace=namespace)
    ]
    return {ObjectKey(each["kind"], key_of(each).name): each for each in found}


class TestDryRunRecorder:
    """Plan mode."""

    async def test_a_whole_pass_changes_nothing(self, client: Client, namespace: str) -> None:
        """Every verb is planned, with what the server would make of it; nothing is changed."""
        secret = {**config_map(namespace, "s"), "kind": "Secret", "data": {"k": "b2xk"}}
        await client.create(config_map(namespace, "changed", k="1"), field_owner=OWNER)
        await client.create(config_map(namespace, "same", k="1"), field_owner="other")
        await client.create(config_map(namespace, "gone", k="1"), field_owner=OWNER)
        await client.create(secret, field_owner=OWNER)
        await client.create(pod(namespace), field_owner=OWNER)
        # The scheduler writes its verdict on the pod once.
        before = await _settled(client, namespace)
        recorder = DryRunRecorder(client)
        plan = recorder.client

        await plan.create(config_map(namespace, "new", k="1"), field_owner=OWNER)
        await plan.apply(config_map(namespace, "changed", k="2"), field_owner=OWNER, force=True)
        await plan.patch_merge(
            CONFIG_MAP, ObjectKey(namespace, "same"), {"data": {"k": "1"}}, field_owner=OWNER
        )
        await plan.patch_merge(
            SECRET, ObjectKey(namespace, "s"), {"data": {"k": "bmV3"}}, field_owner=OWNER
        )
        await plan.delete(CONFIG_MAP, ObjectKey(namespace, "gone"))
        await plan.delete(CONFIG_MAP, ObjectKey(namespace, "never"))
        await plan.delete_collection(SECRET, namespace=namespace, selector=EVERYTHING)
        await plan.evict(ObjectKey(namespace, "a"), uid=None)

        effects = [(each.key.name, each.effect) for each in recorder.planned]
        assert effects == [
            ("new", Effect.CREATED),
            ("changed", Effect.CHANGED),
            ("same", Effect.UNCHANGED),
            ("s", Effect.CHANGED),
            ("gone", Effect.DELETED),
            ("never", Effect.ABSENT),
            ("s", Effect.DELETED),
            ("a", Effect.DELETED),
        ]
        text = "\n".join(map(str, recorder.planned))
        assert '  .data.k: "1" -> "2"' in text
        assert "  .data.k: <redacted> -> <redacted>" in text
        assert "bmV3" not in text
        assert await _everything(client, namespace) == before

    async def test_defaults_of_the_server_are_part_of_the_plan(
        self, client: Client, namespace: str
    ) -> None:
        """What is left out comes back with its default, so that a change to it is no surprise."""
        created = await client.apply(deployment(namespace, 2), field_owner=OWNER)
        less = deployment(namespace, 2)
        del less["spec"]["replicas"]
        recorder = DryRunRecorder(client)

        await recorder.client.apply(less, field_owner=OWNER)
        await recorder.client.set_scale(DEPLOYMENT, key_of(created), 5, field_owner=OWNER)

        assert [str(each) for each in recorder.planned] == [
            f"apply Deployment {namespace}/a: changed\n  .spec.replicas: 2 -> 1",
            f"patch Deployment/scale {namespace}/a: changed\n  .spec.replicas: 2 -> 5",
        ]

    async def test_refusals_are_part_of_the_plan(self, client: Client, namespace: str) -> None:
        """A conflict with another owner, and a write that builds on one that was not made."""
        await client.apply(config_map(namespace, k="1"), field_owner="somebody/else")
        recorder = DryRunRecorder(client)

        with pytest.raises(Conflict):
            await recorder.client.apply(config_map(namespace, k="2"), field_owner=OWNER)
        await recorder.client.create(pod(namespace, "new"), field_owner=OWNER)
        with pytest.raises(NotFound):
            await recorder.client.evict(ObjectKey(namespace, "new"), uid=None)

        conflict, _, missing = recorder.planned
        assert conflict.effect is missing.effect is Effect.REFUSED
        assert "somebody/else" in conflict.refusal
        assert '"new" not found' in missing.refusal


async def _settled(client: Client, namespace: str) -> Mapping[ObjectKey, Manifest]:
    """Return what is there once nothing has changed for a second."""
    seen = await _everything(client, namespace)
    for _ in range(30):
        await asyncio.sleep(1)
        if (now := await _everything(client, namespace)) == seen:
            return seen
        seen = now
    pytest.fail("the namespace does not come to rest")


async def test_one_namespace_only(client: Client, namespace: str) -> None:
    """An administrator's client, and still nothing outside is reached."""
    bound = namespaced(client, namespace)
    created = await bound.create(config_map(namespace), field_owner=OWNER)
    elsewhere = ObjectKey("kube-system", "extension-apiserver-authentication")
    refused: list[Any] = [
        bound.get(CONFIG_MAP, elsewhere),
        bound.list(CONFIG_MAP),
        bound.delete(CONFIG_MAP, elsewhere),
        bound.get(CLUSTER_ROLE, ObjectKey(namespace, "cluster-admin")),
        bound.delete(CLUSTER_ROLE, ObjectKey(namespace, "cluster-admin")),
        bound.delete_collection(CLUSTER_ROLE, namespace=namespace, selector=EVERYTHING),
        bound.get_raw(f"/api/v1/namespaces/{namespace}/../kube-system/configmaps"),
    ]

    for attempt in refused:
        with pytest.raises(ValueError, match=f"bound to namespace {namespace}"):
            await attempt

    raw = await bound.get_raw(f"/api/v1/namespaces/{namespace}/configmaps/a")
    assert created["metadata"]["uid"].encode() in raw
    assert created in await bound.list(CONFIG_MAP, namespace=namespace)
    assert await client.get(CONFIG_MAP, elsewhere) is not None
    assert await client.get(CLUSTER_ROLE, ObjectKey("", "cluster-admin")) is not None


async def test_hooks_stand_between(client: Client, namespace: str) -> None:
    """A race made certain: somebody writes between our read and our write; an answer is lost."""
    read = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
    key = key_of(read)

    async def race(call: WriteCall, backend: Backend) -> Manifest:
        await client.patch_merge(CONFIG_MAP, key, {"data": {"n": "1"}}, field_owner="other")
        return await backend.write(call)

    async def lose(call: WriteCall, backend: Backend) -> Manifest:
        await backend.write(call)
        raise TransportError("the answer was lost", sent=True)

    with pytest.raises(Conflict):
        await intercepted(client, Hooks(write=race)).update(read, field_owner=OWNER)
    with pytest.raises(TransportError):
        await intercepted(client, Hooks(write=lose)).delete(CONFIG_MAP, key)

    assert await client.get(CONFIG_MAP, key) is None


async def test_a_default_owner(client: Client, namespace: str) -> None:
    """Who wrote is in the object; two owners do not take each other's fields away."""
    ours, theirs = (with_field_owner(client, name) for name in ("ours", "theirs"))
    await ours.apply(config_map(namespace, a="1"))
    await theirs.apply(config_map(namespace, b="1"))

    stored = await ours.apply(config_map(namespace, a="2"))

    managers = {entry["manager"] for entry in stored["metadata"]["managedFields"]}
    assert stored["data"] == {"a": "2", "b": "1"}
    assert managers == {"ours", "theirs"}
