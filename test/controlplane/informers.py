"""Informers and caches of a real API server, with a fast clock and a client that can be cut off."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.event import Event
from smbpctl.runtime.informer import Informer
from smbpctl.runtime.meta import GroupVersionKind, Manifest
from smbpctl.runtime.transport import HttpTransport, load_config

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
SECRET = GroupVersionKind("", "v1", "Secret")
OWNER = "smbpctl/test"
PATIENCE = 60


class FastClock:
    """A clock by which time runs ten times as fast: waits take a tenth."""

    def __init__(self) -> None:
        self._clock = LoopClock()

    def monotonic(self) -> float:
        """Return ten times the loop's time."""
        return self._clock.monotonic() * 10

    def now(self) -> datetime:
        """Return the wall-clock time."""
        return self._clock.now()

    async def sleep(self, delay: timedelta) -> None:
        """Sleep a tenth."""
        await self._clock.sleep(delay / 10)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        """Call after a tenth."""
        return self._clock.call_later(delay / 10, callback)


class Interposed:
    """A client whose watches a test can send back in time, or cut off."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lists = 0
        self.pages = 0
        self.watched_from: list[str] = []
        self.rewind_next_watch = False
        self.cut_next_chunk = False

    def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
        """List as the client does."""
        self.lists += 1
        self.pages += 1
        return self._client.list_pages(gvk, **options)

    def watch(
        self, gvk: GroupVersionKind, *, resource_version: str, **options: Any
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Watch as the client does, from the beginning of time if that was asked for."""
        if options["initial_events"]:
            self.lists += 1
        else:
            self.watched_from.append(resource_version)
        if self.rewind_next_watch and resource_version:
            self.rewind_next_watch = False
            resource_version = "1"
        return self._cuttable(gvk, resource_version=resource_version, **options)

    @asynccontextmanager
    async def _cuttable(
        self, gvk: GroupVersionKind, **options: Any
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        async with self._client.watch(gvk, **options) as chunks:
            yield self._until_cut(chunks)

    async def _until_cut(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass chunks on until the test cuts the connection, in the middle of a chunk."""
        async for chunk in chunks:
            if self.cut_next_chunk:
                self.cut_next_chunk = False
                yield chunk[: len(chunk) // 2]
                raise TransportError("cut by the test", sent=True)
            yield chunk


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[tuple[Client, Discovery, FastClock]]:
    """Yield a client, its discovery, and a fast clock."""
    clock = FastClock()
    transport = HttpTransport(await load_config(kubeconfig, environ={}))
    try:
        discovery = Discovery(transport, clock=clock)
        yield Client(transport, discovery), discovery, clock
    finally:
        await transport.close()


@asynccontextmanager
async def running(runnable: Informer | Cache) -> AsyncIterator[None]:
    """Run it, after its first sync, for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(runnable.run())
        if isinstance(runnable, Informer):
            async with asyncio.timeout(PATIENCE):
                await runnable.wait_synced()
        else:
            await runnable.wait_synced(timedelta(seconds=PATIENCE))
        yield
        running.cancel()


async def eventually(check: Callable[[], bool]) -> None:
    """Return when `check` holds; the server needs a moment."""
    for _ in range(PATIENCE * 20):
        if check():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"it did not happen within {PATIENCE} s")


def config_map(namespace: str, name: str, labels: dict[str, str] | None = None) -> Manifest:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "data": {"k": "v"},
    }


def names(informer: Informer) -> list[str]:
    """Return the names of the objects held, but for those Kubernetes puts in a namespace."""
    held = [each.meta.name for each in informer.store.list()]
    return [name for name in held if name != "kube-root-ca.crt"]


def history(told: list[Event], name: str) -> list[type[Event]]:
    """Return the types of the events told of one object."""
    return [type(each) for each in told if each.object.meta.name == name]
