"""Reading an object that one may change: decoded afresh by our cache, or copied from a dict."""

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias, final

from benchmarks.cluster import PARCEL, quiet
from benchmarks.parcel import NAMESPACE, served
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import BadRequest
from smbpctl.runtime.informer import Chunks
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
)

_OBJECTS = 1000
_PATIENCE = timedelta(minutes=1)

Manifests: TypeAlias = list[Manifest]


@final
class _Memory:
    """Satisfies `CacheClient` and `ServedKinds`: one page of parcels, and a silent watch."""

    def __init__(self, page: bytes) -> None:
        self._page = page

    def changes(self) -> int:
        """What is served never changes."""
        return 0

    async def list_pages(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        page_size: int = 500,
        resource_version: str = "",
    ) -> AsyncIterator[bytes]:
        """Yield the one page."""
        yield self._page

    def watch(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        resource_version: str,
        initial_events: bool = False,
        timeout: timedelta,
        gathers: Callable[[], bool] | None = None,
    ) -> Chunks:
        """Open a stream on which nothing comes; there is no list as a stream."""
        if initial_events:
            raise BadRequest("sendInitialEvents is not supported", code=400)
        return _silence()

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Know nothing."""
        return None

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> Manifests:
        """Know nothing."""
        return []

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Serve nothing optional."""
        return None


async def cache_get(task: Task, meter: Meter) -> Outcome:
    """Read private copies with `Cache.get`."""

    async def read(cache: Cache, keys: Sequence[ObjectKey]) -> None:
        for key in keys:
            await cache.get(PARCEL, key)

    return await _from_cache(task, meter, read)


async def cache_meta(task: Task, meter: Meter) -> Outcome:
    """Read immutable metadata with `Cache.meta`, which is all that most event handling needs."""

    async def read(cache: Cache, keys: Sequence[ObjectKey]) -> None:
        for key in keys:
            cache.meta(PARCEL, key)

    return await _from_cache(task, meter, read)


async def deep_copy(task: Task, meter: Meter) -> Outcome:
    """Copy the dict of a cache of dicts, without managedFields as our cache has it."""
    objects: dict[ObjectKey, dict[str, Any]] = {
        _key(number): json.loads(json.dumps(served(number))) for number in range(_OBJECTS)
    }
    done = 0
    with meter:
        while done < task.amount:
            for key in objects:
                copy.deepcopy(objects[key])
            done += len(objects)
    return Outcome(done)


async def _from_cache(
    task: Task, meter: Meter, read: Callable[[Cache, Sequence[ObjectKey]], Awaitable[None]]
) -> Outcome:
    quiet()
    memory = _Memory(_page())
    cache = Cache(memory, memory, clock=LoopClock(), random=system_random())
    cache.register(PARCEL)
    keys = [_key(number) for number in range(_OBJECTS)]
    done = 0
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(cache.run())
        await cache.wait_synced(_PATIENCE)
        with meter:
            while done < task.amount:
                await read(cache, keys)
                done += len(keys)
        running.cancel()
    return Outcome(done)


def _key(number: int) -> ObjectKey:
    return ObjectKey(NAMESPACE, served(number)["metadata"]["name"])


def _page() -> bytes:
    items = [served(number) for number in range(_OBJECTS)]
    return json.dumps({"metadata": {"resourceVersion": "9999"}, "items": items}).encode()


@asynccontextmanager
async def _silence() -> AsyncGenerator[AsyncIterator[bytes]]:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    yield nothing()
