"""Informers of several namespaces are read, watched and shown as one."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import Forbidden, IndexMissing
from smbpctl.runtime.event import Created, Deleted, Event
from smbpctl.runtime.informer import Form, Informer, InformerGroup, InformerState, ReadVerb
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, labels_equal
from smbpctl.runtime.metrics import Metrics
from test.support.list_watch import WIDGET, ModelServer
from test.support.virtual_time import run_virtual

SECOND = timedelta(seconds=1)


class Guarded:
    """A client of a server that forbids some namespaces."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.forbidden: set[str] = set()

    def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
        """List."""
        return self.server.list_pages(gvk, **options)

    def watch(
        self, gvk: GroupVersionKind, *, namespace: str = "", **options: Any
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Watch, unless it is forbidden."""
        if namespace in self.forbidden:
            raise Forbidden(f"cannot watch in {namespace}", code=403)
        return self.server.watch(gvk, namespace=namespace, **options)


class Scene:
    """One server and the informers of two of its three namespaces."""

    def __init__(self, *, form: Form = Form.FULL, metrics: Metrics | None = None) -> None:
        self.clock = LoopClock()
        self.server = ModelServer()
        for namespace in ("blue", "green", "other"):
            for name in ("b", "a"):
                self.server.put(name, namespace=namespace, tier=namespace)
        self.client = Guarded(self.server)
        self.group = InformerGroup(
            ["green", "blue", "blue"], lambda name: self._make(name, form), metrics=metrics
        )
        self.told: list[Event] = []
        self.registration = self.group.add_handler(self.told.append)

    def _make(self, namespace: str, form: Form) -> Informer:
        return Informer(
            WIDGET,
            self.client,
            clock=self.clock,
            random=seeded_random(1),
            namespace=namespace,
            form=form,
        )

    def play(self, then: Callable[[], Awaitable[None]], *, sync: bool = True) -> None:
        """Run the group while `then` runs."""

        async def main() -> None:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.group.run())
                if sync:
                    await self.group.wait_synced()
                await then()
                running.cancel()

        run_virtual(main())


def test_reads_concatenate_and_stay_sorted() -> None:
    """By namespace, then by name; what is in no namespace of the group is not known."""
    scene = Scene()
    scene.group.add_index("name", lambda each: [each.meta.name])

    async def then() -> None:
        group = scene.group
        assert [str(each.key) for each in group.list()] == [
            *("blue/a", "blue/b", "green/a", "green/b")
        ]
        assert [str(each.key) for each in group.list("green")] == ["green/a", "green/b"]
        assert group.list("other") == []
        blue = group.list(selector=labels_equal({"tier": "blue"}))
        assert [str(each.key) for each in blue] == ["blue/a", "blue/b"]
        assert [str(each.key) for each in group.by_index("name", "b")] == ["blue/b", "green/b"]
        assert group.by_owner("nobody") == []
        found = group.get(ObjectKey("green", "a"))
        assert found is not None
        assert found.key == ObjectKey("green", "a")
        assert group.get(ObjectKey("other", "a")) is None
        assert group.object_count() == 4
        assert group.byte_count() == sum(len(each.raw) for each in group.list())
        assert group.memory() > group.byte_count()
        with pytest.raises(IndexMissing):
            group.by_index("unknown", "x")

    scene.play(then)


def test_handlers_are_told_of_all_namespaces() -> None:
    """Also those that come late; each change once."""
    scene = Scene()
    late: list[Event] = []

    async def then() -> None:
        assert scene.registration.synced
        scene.group.add_handler(late.append)
        scene.server.delete("a", namespace="green")
        scene.server.put("c", namespace="blue")
        scene.server.put("c", namespace="other")
        await scene.clock.sleep(SECOND)

    scene.play(then)

    changes = [(Deleted, "green/a"), (Created, "blue/c")]
    assert len(scene.told) == 6
    assert {(type(each), str(each.object.key)) for each in late[4:]} == set(changes)


def test_it_is_synced_when_all_are_and_stands_as_the_worst() -> None:
    """A namespace that may not be read must not hide behind one that may."""
    scene = Scene()
    scene.client.forbidden.add("green")
    seen: list[tuple[bool, InformerState, ReadVerb | None, str]] = []
    heard: list[InformerState] = []
    scene.group.on_standing(lambda standing: heard.append(standing.state))

    async def then() -> None:
        assert math.isnan(scene.group.last_event_age())
        await scene.clock.sleep(timedelta(milliseconds=300))
        standing = scene.group.standing
        seen.append((scene.group.synced, scene.group.state, standing.verb, scene.group.reason))
        scene.client.forbidden.clear()
        await scene.group.wait_synced()
        await scene.clock.sleep(SECOND)
        seen.append(
            (scene.group.synced, scene.group.state, scene.group.standing.verb, scene.group.reason)
        )

    scene.play(then, sync=False)

    (synced, state, verb, reason), after = seen
    assert (synced, state, verb) == (False, InformerState.FORBIDDEN, ReadVerb.WATCH)
    assert reason.startswith("namespace green: watch: ")
    assert after == (True, InformerState.STREAMING, None, "")
    assert heard[-1] is InformerState.STREAMING
    assert InformerState.FORBIDDEN in heard


def test_the_form_is_that_of_all() -> None:
    """It is full when every namespace is."""
    scene = Scene(form=Form.METADATA)

    async def then() -> None:
        assert scene.group.form is Form.METADATA
        scene.group.raise_form(Form.FULL)
        await scene.group.wait_full()
        assert scene.group.form is Form.FULL

    scene.play(then)

    assert all(b"spec" in each.raw for each in scene.group.list())


def test_forgetting_tells_every_object_as_deleted() -> None:
    """Of every namespace."""
    scene = Scene()

    async def then() -> None:
        """Do nothing more."""

    scene.play(then)
    run_virtual(scene.group.forget())

    assert sum(isinstance(each, Deleted) for each in scene.told) == 4
    assert scene.group.list() == []


def test_metrics_show_the_sum() -> None:
    """One kind is one series, however many namespaces it is watched in."""
    registry = CollectorRegistry()
    scene = Scene(metrics=Metrics(registry))

    async def then() -> None:
        await scene.clock.sleep(SECOND)
        kind = {"gvk": str(WIDGET)}
        assert registry.get_sample_value("smbpctl_informer_objects", kind) == 4
        shown = {**kind, "state": "streaming"}
        assert registry.get_sample_value("smbpctl_informer_state", shown) == 1

    scene.play(then)


@pytest.mark.parametrize("namespaces", [[], ["a", ""]])
def test_a_group_needs_namespaces(namespaces: list[str]) -> None:
    """An empty one means all, and would bring every object twice."""
    with pytest.raises(ValueError, match="needs namespaces"):
        InformerGroup(namespaces, lambda name: Scene()._make(name, Form.FULL))
