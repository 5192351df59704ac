"""The form is raised beside what is read, and swapped when nobody can notice but by reading."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.event import Created, Updated
from smbpctl.runtime.informer import Form, InformerState
from smbpctl.runtime.meta import ObjectKey
from test.support.list_watch import Choices, ModelServer, Streaming
from test.support.scripted_informer import Scene

SECOND = timedelta(seconds=1)
A = ObjectKey("default", "a")


def scene_of(*names: str) -> Scene:
    """Return a metadata-only informer over a server with these objects."""
    server = ModelServer(choices=Choices())
    for name in names:
        server.put(name, tier="x")
    return Scene(server, form=Form.METADATA, page_size=1)


def test_objects_that_did_not_change_are_not_told_again() -> None:
    """They are merely held in full; indexes are taken over, also one added meanwhile."""
    scene = scene_of("a", "b")
    scene.informer.add_index("name", lambda each: [each.meta.name])

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        scene.informer.raise_form(Form.FULL)
        assert scene.informer.form is Form.METADATA
        await scene.clock.sleep(timedelta(milliseconds=1))
        scene.informer.add_index("tier", lambda each: [(each.meta.labels or {})["tier"]])
        await scene.informer.wait_full()

    scene.play(then)

    assert scene.informer.form is Form.FULL
    assert scene.history == [("Created", "a"), ("Created", "b")]
    assert all("spec" in each.manifest() for each in scene.informer.list())
    assert [each.meta.name for each in scene.informer.by_index("name", "b")] == ["b"]
    assert len(scene.informer.by_index("tier", "x")) == 2
    with pytest.raises(IndexMissing):
        scene.informer.by_index("nothing", "x")


def test_what_is_read_goes_on_meanwhile() -> None:
    """Nothing is missed and nothing goes back while the second store is filled."""
    scene = scene_of("a")
    server = scene.client

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        scene.informer.raise_form(Form.FULL)
        server.put("b")
        server.put("a", tier="y")
        await scene.clock.sleep(timedelta(milliseconds=3))
        assert scene.names == ["a", "b"]
        assert scene.informer.form is Form.METADATA
        await scene.informer.wait_full()
        server.put("c")
        await scene.clock.sleep(SECOND)

    scene.play(then)

    assert scene.history == [
        ("Created", "a"),
        ("Created", "b"),
        ("Updated", "a"),
        ("Created", "c"),
    ]
    assert [type(each) for each in scene.told] == [Created, Created, Updated, Created]
    assert (
        scene.informer.get(A) is scene.told[2].object or "spec" in scene.told[3].object.manifest()
    )
    assert {each.meta.name for each in scene.informer.list() if b"spec" in each.raw} == {*"abc"}


def test_the_second_store_is_not_read_before_it_has_caught_up() -> None:
    """A list in pages is of the moment of its first page: what changed since comes after it."""
    scene = scene_of("a", "b", "c", "d", "e")
    server = scene.client
    server.streaming = Streaming.REFUSED
    seen: list[int] = []

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        await scene.clock.sleep(SECOND)
        scene.informer.raise_form(Form.FULL)
        while scene.informer.form is Form.METADATA:
            server.put("a")
            await scene.clock.sleep(timedelta(milliseconds=2))
            seen.append(int(scene.informer.get(A).meta.resource_version))  # type: ignore[union-attr]

    scene.play(then)

    assert len(seen) > 5
    assert seen == sorted(seen), "what was read went back in time"
    versions = [int(each.object.meta.resource_version) for each in scene.told[5:]]
    assert versions == sorted(set(versions))
    assert all(isinstance(each, Updated) for each in scene.told[5:])


def test_one_watch_is_left() -> None:
    """The weaker one is closed: a change is told once."""
    scene = scene_of("a")
    server = scene.client

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        scene.informer.raise_form(Form.FULL)
        await scene.informer.wait_full()
        server.put("a", tier="z")
        await scene.clock.sleep(SECOND)

    scene.play(then)

    assert scene.history == [("Created", "a"), ("Updated", "a")]
    assert len(server.watches) == 2


def test_before_the_first_list_is_complete_it_is_the_first_list() -> None:
    """Whoever waits for sync need not wait for the weaker form."""
    scene = scene_of("a")

    async def then(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(milliseconds=1))
        assert scene.informer.state is InformerState.LISTING
        scene.informer.raise_form(Form.FULL)
        await scene.informer.wait_synced()
        await scene.informer.wait_full()

    scene.play(then)

    assert [each.initial for each in scene.told if isinstance(each, Created)] == [True]
    assert b"spec" in scene.informer.list()[0].raw


def test_a_failure_leaves_what_is_read_as_it_is_and_is_repeated() -> None:
    """The state shown is that of the store that is read; the log says what is wrong."""
    scene = scene_of("a")
    refused = [12, 13, 13]  # of the model's refusals: "transport", then "forbidden" twice

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        scene.client.choices._numbers = refused
        scene.informer.raise_form(Form.FULL)
        await scene.clock.sleep(timedelta(milliseconds=500))
        assert scene.informer.form is Form.METADATA
        assert scene.informer.state is InformerState.STREAMING
        assert scene.names == ["a"]
        await scene.informer.wait_full()

    with capture_logs() as logs:
        scene.play(then)

    failures = [each for each in logs if each["event"] == "raising the form failed"]
    assert [each["verb"] for each in failures] == ["watch"] * 3
    assert scene.history == [("Created", "a")]


def test_a_weaker_or_equal_form_changes_nothing() -> None:
    """A store in full serves readers of metadata too."""
    scene = Scene(ModelServer())

    async def then(scene: Scene) -> None:
        await scene.informer.wait_synced()
        scene.informer.raise_form(Form.METADATA)
        scene.informer.raise_form(Form.FULL)
        await scene.informer.wait_full()
        await scene.clock.sleep(SECOND)

    scene.play(then)

    assert len(scene.client.watches) == 1
