"""What the tests of the client share: connections, kinds, small manifests, patience."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import NoKindMatch
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest
from smbpctl.runtime.transport import ClusterConfig, HttpTransport, load_config

T = TypeVar("T")

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
SECRET = GroupVersionKind("", "v1", "Secret")
POD = GroupVersionKind("", "v1", "Pod")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
BUDGET = GroupVersionKind("policy", "v1", "PodDisruptionBudget")
CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
ENDPOINTS = GroupVersionKind("", "v1", "Endpoints")
CLUSTER_ROLE = GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole")
OWNER = "smbpctl/test"
MINUTE = timedelta(minutes=1)
EVERYTHING = LabelSelector.everything()


@asynccontextmanager
async def connected(config: ClusterConfig, **options: Any) -> AsyncIterator[Client]:
    """Connect a client that knows nothing yet."""
    transport = HttpTransport(config)
    try:
        yield Client(transport, Discovery(transport, clock=LoopClock()), **options)
    finally:
        await transport.close()


@asynccontextmanager
async def discovering(config: ClusterConfig, **options: Any) -> AsyncIterator[Discovery]:
    """Connect a discovery that knows nothing yet."""
    transport = HttpTransport(config)
    try:
        yield Discovery(transport, clock=LoopClock(), **options)
    finally:
        await transport.close()


async def config_of(path: Path) -> ClusterConfig:
    """Load a kubeconfig, whatever the environment says."""
    return await load_config(path, environ={})


async def eventually(attempt: Callable[[], Awaitable[T | None]]) -> T:
    """Repeat until it gives something; what is not served yet counts as nothing."""
    for _ in range(300):
        if (result := await _unless_unserved(attempt)) is not None:
            return result
        await asyncio.sleep(0.1)
    pytest.fail("it did not happen within 30 s")


async def _unless_unserved(attempt: Callable[[], Awaitable[T | None]]) -> T | None:
    try:
        return await attempt()
    except NoKindMatch:
        return None


async def read_events(
    client: Client, gvk: GroupVersionKind, count: int, **options: Any
) -> list[dict[str, Any]]:
    """Watch until `count` events came, or the stream ended; bookmarks come on top."""
    events: list[dict[str, Any]] = []
    pending = b""
    watch = client.watch(gvk, **{"timeout": MINUTE, "read_timeout": MINUTE, **options})
    async with asyncio.timeout(60), watch as chunks:
        async for chunk in chunks:
            *lines, pending = (pending + chunk).split(b"\n")
            events += [json.loads(line) for line in lines]
            if sum(event["type"] != "BOOKMARK" for event in events) >= count:
                break
    return events


def config_map(namespace: str, name: str = "a", **data: str) -> Manifest:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def pod(namespace: str, name: str = "a") -> Manifest:
    """Return a pod that no node can run."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "containers": [{"name": "main", "image": "registry.invalid/none:1"}],
            "nodeSelector": {"no-such": "node"},
        },
    }


def deployment(namespace: str, replicas: int) -> Manifest:
    """Return a Deployment of such pods."""
    template = pod(namespace)
    labels = {"app": "a"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def crd(group: str) -> Manifest:
    """Return the definition of `Thing`, which has a status and a number that is one."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"n": {"type": "integer"}, "x": {"type": "string"}},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.n",
                            "statusReplicasPath": ".status.n",
                        },
                    },
                    "selectableFields": [{"jsonPath": ".spec.x"}],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def thing(gvk: GroupVersionKind, namespace: str, name: str = "a", **content: Any) -> Manifest:
    """Return an object of the kind that `crd` defines."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": gvk.api_version, "kind": "Thing", "metadata": metadata, **content}
