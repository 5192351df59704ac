"""A namespace of a real server as the tests of apply see it: cache, applier, counted requests."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psutil

from smbpctl.runtime.apply import Applier, ApplyReport
from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.informer import Form
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, gvk_of, key_of
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config

OWNERS = ("demo/web", "demo/tls", "demo/net", "demo/log")
OWNER = OWNERS[0]
MARK = "example.dev/applied-web"
PATIENCE = 30  # seconds
MUTATING = {"create", "update", "patch", "delete", "deletecollection"}

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
WIDGET = GroupVersionKind("apply.example.dev", "v1", "Widget")
KINDS = (
    CONFIG_MAP,
    WIDGET,
    GroupVersionKind("", "v1", "Secret"),
    GroupVersionKind("", "v1", "Service"),
    GroupVersionKind("", "v1", "PersistentVolumeClaim"),
    GroupVersionKind("apps", "v1", "StatefulSet"),
    GroupVersionKind("apps", "v1", "Deployment"),
    GroupVersionKind("policy", "v1", "PodDisruptionBudget"),
    GroupVersionKind("networking.k8s.io", "v1", "NetworkPolicy"),
    GroupVersionKind("networking.k8s.io", "v1", "Ingress"),
    GroupVersionKind("rbac.authorization.k8s.io", "v1", "Role"),
    GroupVersionKind("autoscaling", "v2", "HorizontalPodAutoscaler"),
)


@dataclass
class World:
    """A namespace of a real server, seen by the cache of a user whose requests are counted."""

    control_plane: ControlPlane
    namespace: str
    cluster: Cluster
    user: str
    owner: Manifest
    applier: Applier

    def applier_of(self, field_owner: str = OWNER) -> Applier:
        """An applier that remembers nothing, as after a restart."""
        return Applier(
            self.cluster.client, self.cluster.cache, field_owner=field_owner, domain="example.dev"
        )

    async def apply(self, *desired: Manifest, **more: Any) -> ApplyReport:
        """Apply a set of the owner and let the cache see it."""
        report = await self.applier.apply_set(self.owner, desired, **more)
        await self.catch_up(*desired)
        return report

    async def catch_up(self, *manifests: Manifest) -> None:
        """Wait until the cache shows these objects as they are on the server."""
        for manifest in manifests:
            gvk, key = gvk_of(manifest), key_of(manifest)
            await _eventually(partial(self._is_current, gvk, key))

    async def live(self, manifest: Manifest) -> Manifest:
        """Read an object from the server."""
        found = await self.cluster.client.get(gvk_of(manifest), key_of(manifest))
        assert found is not None
        return found

    async def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Act as the administrator, somebody else."""
        whole = ("--namespace", self.namespace, *args)
        answer = await asyncio.to_thread(self.control_plane.kubectl, *whole, stdin=stdin)
        return answer.stdout

    async def patch(self, manifest: Manifest, change: Mapping[str, Any], *more: str) -> None:
        """Change an object as somebody else, and let the cache see it."""
        gvk = gvk_of(manifest)
        resource = f"{gvk.kind.lower()}{'.' + gvk.group if gvk.group else ''}"
        name = key_of(manifest).name
        await self.kubectl(
            "patch", resource, name, "--type=merge", "--patch", json.dumps(change), *more
        )
        await self.catch_up(manifest)

    async def mutations(self) -> list[tuple[str, str, int]]:
        """Every mutating request of our user so far: verb, resource, HTTP status."""
        marker = f"marker-{secrets.token_hex(4)}"
        await self.cluster.client.get(CONFIG_MAP, ObjectKey(self.namespace, marker))
        await _eventually(partial(self._was_audited, marker))
        return [
            (event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"])
            for event in self._audited()
            if event["verb"] in MUTATING
        ]

    def _audited(self) -> list[Mapping[str, Any]]:
        events = self.control_plane.audit_events()
        return [event for event in events if event["user"]["username"] == self.user]

    async def _was_audited(self, name: str) -> bool:
        return any((event.get("objectRef") or {}).get("name") == name for event in self._audited())

    async def _is_current(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        live = await self.cluster.client.get(gvk, key)
        cached = self.cluster.cache.meta(gvk, key)
        if live is None or cached is None:
            return live is cached
        metadata = live["metadata"]
        known = (cached.meta.uid, cached.meta.resource_version)
        return known == (metadata["uid"], metadata["resourceVersion"])


async def _eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    clock = LoopClock()
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await clock.sleep(timedelta(milliseconds=20))


async def _is_disconnected(port: int | None) -> bool:
    connections = psutil.Process().net_connections(kind="tcp")
    return not any(each.raddr and each.raddr.port == port for each in connections)


@asynccontextmanager
async def opened(
    control_plane: ControlPlane, namespace: str, *, form: Form = Form.FULL
) -> AsyncIterator[World]:
    """Open the namespace as a user of its own."""
    user = f"applier-{namespace}-{form.name.lower()}"
    kubeconfig = control_plane.kubeconfig_for(user, ["system:masters"])
    cluster = Cluster.open(
        await load_config(kubeconfig),
        clock=LoopClock(),
        random=system_random(),
        metrics=Metrics(),
        namespaces={namespace},
        field_owners=OWNERS,
    )
    for kind in KINDS:
        cluster.cache.register(kind, form=form)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(cluster.cache.run())
        await cluster.cache.wait_synced(timedelta(seconds=PATIENCE))
        control_plane.kubectl("create", "configmap", f"owner-{form.name.lower()}", "-n", namespace)
        key = ObjectKey(namespace, f"owner-{form.name.lower()}")
        owner = await cluster.client.get(CONFIG_MAP, key)
        assert owner is not None
        applier = Applier(cluster.client, cluster.cache, field_owner=OWNER, domain="example.dev")
        yield World(control_plane, namespace, cluster, user, owner, applier)
        running.cancel()
    await cluster.close()
    # Streams cut off under TLS take their leave in the background; the loop must not end before.
    await _eventually(partial(_is_disconnected, urlsplit(control_plane.url).port))


def config_map(world: World, name: str = "a", **data: str) -> Manifest:
    """A desired ConfigMap."""
    metadata = {"name": name, "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def widget(world: World, name: str = "w", **spec: Any) -> Manifest:
    """A desired Widget."""
    return {
        "apiVersion": "apply.example.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": spec,
    }
