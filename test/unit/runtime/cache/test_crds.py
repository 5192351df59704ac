"""CRDs are a hint that what is served has changed, where one may watch them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from smbpctl.runtime.cache import Cache
from smbpctl.runtime.cache.crds import CRD, CrdWatch
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import Forbidden
from smbpctl.runtime.informer import Form, Informer
from smbpctl.runtime.meta import GroupVersionKind
from test.support.list_watch import WIDGET, ModelServer
from test.support.virtual_time import run_virtual

SECOND = timedelta(seconds=1)
NAME = "widgets.demo.example.com"


class Scene:
    """A server of CRDs and those who wait for two groups."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.server = ModelServer(gvk=CRD)
        self.allowed = True
        self.poked: list[str] = []
        self.watch_of_crds = CrdWatch(self._make, clock=self.clock)
        for group in ("demo.example.com", "other.example.com"):
            self.watch_of_crds.add(group, lambda group=group: self.poked.append(group))

    def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
        """List."""
        return self.server.list_pages(gvk, **options)

    def watch(
        self, gvk: GroupVersionKind, **options: Any
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Watch, if it is allowed."""
        if not self.allowed:
            self.server.watches.append({})
            raise Forbidden("cannot watch", code=403)
        return self.server.watch(gvk, **options)

    def _make(self, gvk: GroupVersionKind, form: Form) -> Informer:
        return Informer(gvk, self, clock=self.clock, random=seeded_random(1), form=form)

    def play(self, then: Callable[[], Awaitable[None]]) -> None:
        """Run the watch while `then` runs."""

        async def main() -> None:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.watch_of_crds.run())
                await then()
                running.cancel()

        run_virtual(main())


def test_what_happens_to_a_crd_is_told_to_its_group() -> None:
    """That it is there, that it comes, changes and goes; not what happens to other groups."""
    scene = Scene()
    scene.server.put("gadgets.third.example.com", namespace="")

    async def then() -> None:
        await scene.clock.sleep(SECOND)
        for act in (scene.server.put, scene.server.put, scene.server.delete):
            act(NAME, namespace="")
            await scene.clock.sleep(SECOND)

    scene.play(then)

    assert scene.poked == ["demo.example.com"] * 3


def test_without_permission_it_asks_once_an_hour() -> None:
    """Not every half minute for as long as the process lives; and it heals."""
    scene = Scene()
    scene.allowed = False

    async def then() -> None:
        await scene.clock.sleep(timedelta(minutes=150))
        asked = len(scene.server.watches)
        scene.allowed = True
        await scene.clock.sleep(timedelta(minutes=60))
        scene.server.put(NAME, namespace="")
        await scene.clock.sleep(SECOND)
        assert asked == 3

    scene.play(then)

    assert scene.poked == ["demo.example.com"]


def test_a_cache_that_watches_crds_notices_a_kind_at_once() -> None:
    """Discovery may lag behind the CRD: it is asked again soon."""
    scene = Scene()
    scene.server.put(NAME, namespace="")
    widgets = ModelServer(gvk=WIDGET)
    widgets.put("a")
    served: list[GroupVersionKind | None] = [None]

    class Cluster:
        """Client and discovery over both servers."""

        def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
            return self._of(gvk).list_pages(gvk, **options)

        def watch(
            self, gvk: GroupVersionKind, **options: Any
        ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
            return self._of(gvk).watch(gvk, **options)

        def changes(self) -> int:
            return 0

        async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
            return served[0]

        async def get(self, gvk: GroupVersionKind, key: object) -> None:
            return None

        async def list(self, gvk: GroupVersionKind, **options: Any) -> list[dict[str, Any]]:
            return []

        def _of(self, gvk: GroupVersionKind) -> ModelServer:
            return scene.server if gvk == CRD else widgets

    async def main() -> None:
        cluster = Cluster()
        cache = Cache(cluster, cluster, clock=scene.clock, random=seeded_random(1), watch_crds=True)
        kind = OptionalKind("demo.example.com", "Widget", ("v1",))
        cache.register_optional(kind)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cache.run())
            await scene.clock.sleep(timedelta(seconds=33))
            scene.server.put(NAME, namespace="")
            await scene.clock.sleep(0.7 * SECOND)
            served[0] = WIDGET
            await scene.clock.sleep(SECOND)
            assert cache.served(kind) == WIDGET
            running.cancel()

    run_virtual(main())
