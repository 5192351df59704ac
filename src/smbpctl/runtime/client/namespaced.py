"""A client that reaches the objects of one namespace and nothing else."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import final

from smbpctl.runtime.client.calls import (
    Backend,
    Chunks,
    GetCall,
    ListCall,
    RawCall,
    WatchCall,
    WriteCall,
)
from smbpctl.runtime.client.live import Client
from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.meta import GroupVersionKind, Manifest


def namespaced(client: Client, namespace: str) -> Client:
    """Return a client that refuses, by ValueError, whatever is outside `namespace`.

    That is every other namespace, every list, watch or deletion of all namespaces, kinds without
    namespaces, and raw paths that do not lead into the namespace. Nothing is filled in: a call
    that names no namespace is a mistake. It guards against slips; what somebody may do is decided
    by the server's RBAC.
    """
    if not namespace:
        raise ValueError("a namespaced client needs a namespace")
    return client.wrapped(lambda backend: Namespaced(backend, namespace))


@final
class Namespaced:
    """Satisfies `Backend` for calls into one namespace; nothing is sent for others."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        self._backend = backend
        self._namespace = namespace
        group_version = r"(api/[^/]+|apis/[^/]+/[^/]+)"
        self._inside = re.compile(rf"/{group_version}/namespaces/{re.escape(namespace)}/[^/].*")

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Pass on: what a kind is like can be asked of any."""
        return await self._backend.resource(gvk)

    async def get(self, call: GetCall) -> Manifest | None:
        """Read an object of the namespace."""
        await self._check(call, call.gvk, call.key.namespace)
        return await self._backend.get(call)

    async def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Read the objects of the namespace."""
        await self._check(call, call.gvk, call.namespace)
        async for page in self._backend.pages(call):
            yield page

    def watch(self, call: WatchCall) -> Chunks:
        """Follow the objects of the namespace; refused on entering."""
        return self._watch(call)

    @asynccontextmanager
    async def _watch(self, call: WatchCall) -> AsyncGenerator[AsyncIterator[bytes]]:
        await self._check(call, call.gvk, call.namespace)
        async with self._backend.watch(call) as chunks:
            yield chunks

    async def write(self, call: WriteCall) -> Manifest:
        """Change an object of the namespace."""
        await self._check(call, call.gvk, call.key.namespace)
        return await self._backend.write(call)

    async def raw(self, call: RawCall) -> bytes:
        """Send a request to a path below the namespace."""
        path = call.path.partition("?")[0]
        # Encoded slashes and dots could lead out of the namespace again.
        if "%" in path or "/." in path or not self._inside.fullmatch(path):
            raise ValueError(f"{call}: this client is bound to namespace {self._namespace}")
        return await self._backend.raw(call)

    async def _check(self, call: object, gvk: GroupVersionKind, namespace: str) -> None:
        if namespace != self._namespace:
            where = f"not to {namespace}" if namespace else "not to all namespaces"
            raise ValueError(
                f"{call}: this client is bound to namespace {self._namespace}, {where}"
            )
        # The path of a kind without namespaces leaves the namespace out, and is wider than it.
        if not (await self._backend.resource(gvk)).namespaced:
            raise ValueError(
                f"{call}: this client is bound to namespace {self._namespace}, "
                f"{gvk.kind} has no namespaces"
            )
