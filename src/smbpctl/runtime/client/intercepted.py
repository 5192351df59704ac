"""A client with hooks around its calls: to observe them, to change them, to answer instead."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, final

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

GetHook: TypeAlias = Callable[[GetCall, Backend], Awaitable[Manifest | None]]
PagesHook: TypeAlias = Callable[[ListCall, Backend], AsyncIterator[bytes]]
WatchHook: TypeAlias = Callable[[WatchCall, Backend], Chunks]
WriteHook: TypeAlias = Callable[[WriteCall, Backend], Awaitable[Manifest]]
RawHook: TypeAlias = Callable[[RawCall, Backend], Awaitable[bytes]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Stands in for calls of one sort each; those without hook are passed on.

    A hook gets the call and the backend that would have carried it out. What it does before it
    passes the call on, whether it does, and what it makes of the answer, is its own affair:
    `async def write(call, backend): ...; return await backend.write(call)`.
    """

    get: GetHook | None = None
    pages: PagesHook | None = None
    """Lists, those of `Client.list` included."""
    watch: WatchHook | None = None
    write: WriteHook | None = None
    """All mutating verbs; `call.verb` tells which."""
    raw: RawHook | None = None


def intercepted(client: Client, hooks: Hooks) -> Client:
    """Return a client whose calls go through hooks: for faults and races in tests."""
    return client.wrapped(lambda backend: Intercepted(backend, hooks))


@final
class Intercepted:
    """Satisfies `Backend` with hooks before another one."""

    def __init__(self, backend: Backend, hooks: Hooks) -> None:
        self._backend = backend
        self._hooks = hooks

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Pass on."""
        return await self._backend.resource(gvk)

    async def get(self, call: GetCall) -> Manifest | None:
        """Read an object."""
        if (hook := self._hooks.get) is not None:
            return await hook(call, self._backend)
        return await self._backend.get(call)

    def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Read a list."""
        if (hook := self._hooks.pages) is not None:
            return hook(call, self._backend)
        return self._backend.pages(call)

    def watch(self, call: WatchCall) -> Chunks:
        """Open a watch."""
        if (hook := self._hooks.watch) is not None:
            return hook(call, self._backend)
        return self._backend.watch(call)

    async def write(self, call: WriteCall) -> Manifest:
        """Carry out a write."""
        if (hook := self._hooks.write) is not None:
            return await hook(call, self._backend)
        return await self._backend.write(call)

    async def raw(self, call: RawCall) -> bytes:
        """Send a request to a path."""
        if (hook := self._hooks.raw) is not None:
            return await hook(call, self._backend)
        return await self._backend.raw(call)
