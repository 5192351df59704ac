"""An informer over a client that plays scripts: what it asked, what it told, when."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeAlias

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.event import Event
from smbpctl.runtime.informer import Informer
from smbpctl.runtime.meta import FieldSelector, GroupVersionKind, LabelSelector
from test.support.list_watch import WIDGET, encode, event
from test.support.virtual_time import run_virtual

Part: TypeAlias = bytes | Exception | timedelta
"""A chunk or page to give, an error to raise, or a time to wait."""

FOREVER = timedelta(days=365)
OPEN: list[Part] = [FOREVER]


def widget(name: str = "a", version: int = 1, **metadata: Any) -> dict[str, Any]:
    """Return a widget."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)} | metadata
    }


def page(*items: dict[str, Any], version: int = 5) -> bytes:
    """Return a list page."""
    return encode({"metadata": {"resourceVersion": str(version)}, "items": items})


def bookmark(version: int) -> bytes:
    """Return a bookmark line."""
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class ScriptedClient:
    """Answers each list and each watch with the next script; records what was asked and when."""

    def __init__(self, lists: Sequence[list[Part]], watches: Sequence[list[Part]] = ()) -> None:
        self.clock = LoopClock()
        self.asked: list[tuple[str, float]] = []
        self.arguments: list[dict[str, Any]] = []
        self.playing = 0
        self.slow_to_open: list[timedelta] = []
        self._lists: Iterator[list[Part]] = iter(lists)
        self._watches: Iterator[list[Part]] = iter(watches)

    def list_pages(
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
        """Play the next list."""
        self._record("list", dict(locals()))
        return self._play(next(self._lists))

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
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Play the next watch; an error as its first part is raised on entering."""
        self._record("stream" if initial_events else f"watch {resource_version}", dict(locals()))
        return self._open(next(self._watches, OPEN))

    def _record(self, what: str, arguments: dict[str, Any]) -> None:
        self.asked.append((what, self.clock.monotonic()))
        self.arguments.append(arguments)

    @asynccontextmanager
    async def _open(self, parts: list[Part]) -> AsyncGenerator[AsyncIterator[bytes], None]:
        if self.slow_to_open:
            await self.clock.sleep(self.slow_to_open.pop(0))
        if parts and isinstance(parts[0], Exception):
            raise parts[0]
        yield self._play(parts)

    async def _play(self, parts: list[Part]) -> AsyncIterator[bytes]:
        self.playing += 1
        try:
            for part in parts:
                match part:
                    case Exception():
                        raise part
                    case timedelta():
                        await self.clock.sleep(part)
                    case _:
                        yield part
        finally:
            self.playing -= 1


class Scene:
    """An informer over a client, and what its handler was told."""

    def __init__(self, client: Any, **options: Any) -> None:
        options = {"paged": isinstance(client, ScriptedClient), **options}
        self.client = client
        self.clock = LoopClock()
        self.informer = Informer(
            WIDGET, client, clock=self.clock, random=seeded_random(7), **options
        )
        self.told: list[Event] = []
        self.informer.add_handler(self.told.append)

    def play(self, then: "Callable[[Scene], Awaitable[None]] | float" = 1.0) -> "Scene":
        """Run the informer under virtual time for some seconds, or while `then` runs."""

        async def main() -> None:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.informer.run())
                if isinstance(then, float):
                    await self.clock.sleep(timedelta(seconds=then))
                else:
                    await then(self)
                running.cancel()

        run_virtual(main())
        return self

    @property
    def asked(self) -> list[str]:
        """Return the requests in order."""
        return [what for what, _ in self.client.asked]

    @property
    def gaps(self) -> list[float]:
        """Return the seconds between one request and the next."""
        times = [when for _, when in self.client.asked]
        return [after - before for before, after in pairwise(times)]

    @property
    def names(self) -> list[str]:
        """Return the names in the store."""
        return [each.meta.name for each in self.informer.store.list()]

    @property
    def history(self) -> list[tuple[str, str]]:
        """Return type and name of each event told."""
        return [(type(each).__name__, each.object.meta.name) for each in self.told]
