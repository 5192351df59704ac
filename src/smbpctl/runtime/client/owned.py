"""A client that names one field owner in every write that names none."""

from collections.abc import AsyncIterator
from dataclasses import replace
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


def with_field_owner(client: Client, field_owner: str) -> Client:
    """Return a client that writes as `field_owner` unless the call names another.

    Raises ValueError for an empty name, and for one that the server would refuse as too long.
    """
    if not 0 < len(field_owner) <= 128:
        raise ValueError(f"{field_owner!r} cannot be a field owner: 1 to 128 characters")
    return client.wrapped(lambda backend: Owned(backend, field_owner))


@final
class Owned:
    """Satisfies `Backend`; only writes are touched."""

    def __init__(self, backend: Backend, field_owner: str) -> None:
        self._backend = backend
        self._field_owner = field_owner

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Pass on."""
        return await self._backend.resource(gvk)

    async def get(self, call: GetCall) -> Manifest | None:
        """Pass on."""
        return await self._backend.get(call)

    def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Pass on."""
        return self._backend.pages(call)

    def watch(self, call: WatchCall) -> Chunks:
        """Pass on."""
        return self._backend.watch(call)

    async def write(self, call: WriteCall) -> Manifest:
        """Pass on with an owner."""
        if call.stores and not call.field_owner:
            call = replace(call, field_owner=self._field_owner)
        return await self._backend.write(call)

    async def raw(self, call: RawCall) -> bytes:
        """Pass on."""
        return await self._backend.raw(call)
