"""An optional kind is watched while it is served, and forgotten when it vanishes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from smbpctl.runtime.cache.optional import OptionalInformer
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import ServerError
from smbpctl.runtime.event import Created, Deleted, Event
from smbpctl.runtime.informer import Form, Informer, InformerState
from smbpctl.runtime.meta import GroupVersionKind
from test.support.list_watch import WIDGET, ModelServer
from test.support.virtual_time import run_virtual

KIND = OptionalKind("demo.example.com", "Widget", ("v1", "v1beta1"))
BETA = GroupVersionKind("demo.example.com", "v1beta1", "Widget")


class FakeDiscovery:
    """Serves what the test says."""

    def __init__(self, served: GroupVersionKind | None = None) -> None:
        self.now = served
        self.error: Exception | None = None
        self.looks = 0

    def changes(self) -> int:
        """Nothing that is served changes unseen."""
        return 0

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Answer, or raise `error`."""
        assert kind == KIND
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.now


class Scene:
    """A server, its discovery and an optional informer with one handler."""

    def __init__(self, served: GroupVersionKind | None = None) -> None:
        self.clock = LoopClock()
        self.server = ModelServer()
        self.beta = ModelServer(gvk=BETA)
        self.discovery = FakeDiscovery(served)
        self.made: list[GroupVersionKind] = []
        self.informer = OptionalInformer(KIND, self.discovery, self._make, clock=self.clock)
        self.told: list[Event] = []
        self.registration = self.informer.add_handler(self.told.append)

    def _make(self, gvk: GroupVersionKind, form: Form) -> Informer:
        self.made.append(gvk)
        server = self.server if gvk == WIDGET else self.beta
        return Informer(gvk, server, clock=self.clock, random=seeded_random(1), form=form)

    def play(self, then: Callable[[], Awaitable[None]]) -> None:
        """Run the informer while `then` runs."""

        async def main() -> None:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.informer.run())
                await then()
                running.cancel()

        run_virtual(main())

    async def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        await self.clock.sleep(timedelta(seconds=seconds))

    @property
    def history(self) -> list[tuple[type[Event], str]]:
        """Return type and name of each event told."""
        return [(type(each), each.object.meta.name) for each in self.told]


def test_an_absent_kind_is_synced_and_costs_nothing() -> None:
    """Nobody waits for what may never come."""
    scene = Scene()

    async def then() -> None:
        assert (scene.informer.synced, scene.informer.state) == (False, InformerState.INIT)
        await scene.registration.wait_synced()
        await scene.wait(60)

    scene.play(then)

    assert scene.informer.synced
    assert (scene.informer.gvk, scene.informer.state) == (None, InformerState.ABSENT)
    assert (scene.server.lists, scene.informer.object_count()) == ([], 0)


def test_a_kind_that_is_served_is_synced_after_its_list() -> None:
    """Then it can be read."""
    scene = Scene(WIDGET)
    scene.server.put("a")
    seen: list[GroupVersionKind | None] = []

    async def then() -> None:
        await scene.wait(0.001)
        seen.append(scene.informer.gvk)
        await scene.informer.wait_synced()
        seen.append(scene.informer.gvk)

    scene.play(then)

    assert seen == [None, WIDGET]
    assert scene.history == [(Created, "a")]
    assert scene.informer.object_count() == 1


def test_a_kind_that_appears_is_watched_without_restart() -> None:
    """Within one poll of ten seconds; handlers and indexes registered before work."""
    scene = Scene()
    scene.informer.add_index("uid", lambda each: [each.meta.uid])
    found: list[str] = []

    async def then() -> None:
        await scene.wait(35)
        scene.server.put("a")
        scene.discovery.now = WIDGET
        await scene.wait(11)
        assert scene.informer.informer is not None
        found.extend(
            each.meta.name for each in scene.informer.informer.store.by_index("uid", "uid-1")
        )
        scene.server.put("b")
        await scene.wait(1)

    scene.play(then)

    assert scene.history == [(Created, "a"), (Created, "b")]
    assert found == ["a"]
    assert (scene.informer.gvk, scene.informer.state) == (WIDGET, InformerState.STREAMING)


def test_a_kind_that_vanishes_is_told_as_deletions() -> None:
    """Its CRD went, nobody sends events; after that nothing is asked of the server."""
    scene = Scene(WIDGET)
    scene.server.put("a")
    asked: list[int] = []

    async def then() -> None:
        await scene.wait(5)
        scene.server.vanish()
        scene.discovery.now = None
        await scene.wait(11)
        asked.append(len(scene.server.lists) + len(scene.server.watches))
        await scene.wait(600)
        asked.append(len(scene.server.lists) + len(scene.server.watches))

    scene.play(then)

    assert scene.history == [(Created, "a"), (Deleted, "a")]
    assert scene.told[1] == Deleted(scene.told[0].object, final_state_unknown=True)
    assert (scene.informer.gvk, scene.informer.state) == (None, InformerState.ABSENT)
    assert asked[0] == asked[1]


def test_a_kind_may_come_and_go_and_come() -> None:
    """Each life begins with what is there then."""
    scene = Scene(WIDGET)
    scene.server.put("a")

    async def then() -> None:
        await scene.wait(5)
        scene.server.vanish()
        scene.discovery.now = None
        await scene.wait(11)
        scene.server.served, scene.discovery.now = True, WIDGET
        scene.server.put("b")
        await scene.wait(11)

    scene.play(then)

    assert scene.history == [(Created, "a"), (Deleted, "a"), (Created, "b")]


def test_one_gap_in_discovery_does_not_end_a_healthy_stream() -> None:
    """Documents can be incomplete for a moment; deletions would be told that never were."""
    scene = Scene(WIDGET)
    scene.server.put("a")

    async def then() -> None:
        for _ in range(3):
            await scene.wait(15)
            scene.discovery.now = None
            await scene.wait(10)
            scene.discovery.now = WIDGET

    scene.play(then)

    assert scene.history == [(Created, "a")]
    assert scene.made == [WIDGET]


def test_a_kind_missing_twice_is_gone_even_while_its_stream_is_open() -> None:
    """A proxy may keep a dead stream open."""
    scene = Scene(WIDGET)
    scene.server.put("a")

    async def then() -> None:
        await scene.wait(5)
        scene.discovery.now = None
        await scene.wait(20)

    scene.play(then)

    assert scene.history == [(Created, "a"), (Deleted, "a")]


def test_discovery_that_fails_changes_nothing_but_the_reason() -> None:
    """Not knowing is not knowing that it is absent."""
    scene = Scene(WIDGET)
    scene.server.put("a")

    async def then() -> None:
        await scene.wait(5)
        scene.discovery.error = ServerError("no answer", code=503)
        await scene.wait(60)

    scene.play(then)

    assert scene.history == [(Created, "a")]


def test_discovery_that_never_answered_leaves_the_kind_unsynced() -> None:
    """The reason says why."""
    scene = Scene()
    scene.discovery.error = ServerError("no answer", code=503)
    seen: list[tuple[bool, str]] = []

    async def then() -> None:
        await scene.wait(25)
        seen.append((scene.informer.synced, scene.informer.reason))
        scene.discovery.error = None
        await scene.wait(10)
        seen.append((scene.informer.synced, scene.informer.reason))

    scene.play(then)

    assert seen == [(False, "discovery: no answer"), (True, "")]


def test_another_version_takes_over_with_a_new_informer() -> None:
    """Handlers see the objects of the old version go and those of the new one come."""
    scene = Scene(BETA)
    scene.beta.put("a")
    scene.server.put("a")

    async def then() -> None:
        await scene.wait(5)
        scene.discovery.now = WIDGET
        await scene.wait(11)

    scene.play(then)

    assert scene.made == [BETA, WIDGET]
    assert [(type(each), each.object.gvk.version) for each in scene.told] == [
        (Created, "v1beta1"),
        (Deleted, "v1beta1"),
        (Created, "v1"),
    ]


def test_late_handlers_and_indexes_reach_the_running_informer() -> None:
    """As with any informer."""
    scene = Scene(WIDGET)
    scene.server.put("a")
    late: list[Event] = []
    found: list[str] = []

    async def then() -> None:
        await scene.informer.wait_synced()
        scene.informer.add_handler(late.append)
        scene.informer.add_index("all", lambda _: ["x"])
        assert scene.informer.informer is not None
        found.extend(each.meta.name for each in scene.informer.informer.store.by_index("all", "x"))

    scene.play(then)

    assert late == [Created(scene.told[0].object, initial=True)]
    assert found == ["a"]


def test_the_strongest_form_counts_whenever_it_is_asked_for() -> None:
    """Before the kind appears, it appears in it; later it comes as soon as it is there."""
    late, early = Scene(WIDGET), Scene(WIDGET)
    early.informer.raise_form(Form.FULL)
    early.informer.raise_form(Form.METADATA)

    async def then() -> None:
        await late.informer.wait_synced()
        late.informer.raise_form(Form.FULL)
        assert late.informer.informer is not None
        await late.informer.informer.wait_full()

    late.play(then)
    early.play(early.informer.wait_synced)

    assert early.made == [WIDGET]
    for scene in (late, early):
        assert scene.informer.informer is not None
        assert scene.informer.informer.form is Form.FULL


def test_a_poke_makes_it_look_at_once() -> None:
    """Whoever learns that something about what is served has changed need not wait."""
    scene = Scene()

    async def then() -> None:
        await scene.informer.wait_synced()
        scene.discovery.now = WIDGET
        scene.informer.poke()
        await scene.wait(0.1)
        assert scene.made == [WIDGET]

    scene.play(then)


def test_a_kind_that_vanishes_and_comes_back_is_followed_within_seconds() -> None:
    """As when its CRD is replaced: the stream that breaks makes it look, and keep looking."""
    scene = Scene(WIDGET)
    scene.server.put("old")

    async def then() -> None:
        await scene.informer.wait_synced()
        await scene.wait(5)
        scene.discovery.now = None
        scene.server.vanish()
        await scene.wait(1)
        assert scene.informer.state is InformerState.ABSENT
        scene.server.served = True
        scene.server.put("new")
        scene.discovery.now = WIDGET
        await scene.wait(2.5)
        assert scene.informer.state is InformerState.STREAMING

    scene.play(then)

    assert scene.history == [(Created, "old"), (Deleted, "old"), (Created, "new")]


def test_cancelling_ends_the_inner_informer_as_well() -> None:
    """No task outlives the run."""
    scene = Scene(WIDGET)

    async def stop_after_a_while() -> None:
        async with asyncio.timeout(30):
            await scene.informer.run()

    async def main() -> int:
        with pytest.raises(TimeoutError):
            await stop_after_a_while()
        return len(asyncio.all_tasks())

    assert run_virtual(main()) == 1
