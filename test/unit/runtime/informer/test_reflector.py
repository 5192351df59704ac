"""A list as a stream: how it is asked for, gathered, adopted, followed and given up."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import (
    BadRequest,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    ServerError,
    TooManyRequests,
    TransportError,
)
from smbpctl.runtime.event import Created, Deleted
from smbpctl.runtime.informer import Form, Informer, InformerState, ReadVerb
from smbpctl.runtime.meta import fields_equal, labels_equal
from test.support.list_watch import WIDGET, ModelServer, Streaming, event, status
from test.support.scripted_informer import (
    FOREVER,
    OPEN,
    Part,
    Scene,
    ScriptedClient,
    bookmark,
    page,
    widget,
)


def end(version: int) -> bytes:
    """Return the bookmark that ends the initial events."""
    metadata = {
        "resourceVersion": str(version),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    return event("BOOKMARK", {"metadata": metadata})


def added(name: str, version: int) -> bytes:
    """Return an ADDED event."""
    return event("ADDED", widget(name, version))


def streamed(
    watches: Sequence[list[Part]], lists: Sequence[list[Part]] = (), **options: object
) -> Scene:
    """Return an informer that lists as a stream from a client with these answers."""
    return Scene(ScriptedClient(lists, watches), paged=False, **options)


def test_everything_comes_as_one_stream_that_goes_on() -> None:
    """Initial events, a bookmark, then changes: one request, and the store holds all of it."""
    scene = streamed(
        [
            [
                added("b", 4),
                added("a", 2),
                end(5),
                added("c", 6),
                event("DELETED", widget("b", 7)),
                *OPEN,
            ]
        ]
    )

    scene.play()

    assert scene.asked == ["stream"]
    assert scene.history == [
        ("Created", "b"),
        ("Created", "a"),
        ("Created", "c"),
        ("Deleted", "b"),
    ]
    assert [each.initial for each in scene.told if isinstance(each, Created)] == [True, True, False]
    assert scene.informer.state is InformerState.STREAMING
    assert scene.informer.store.resource_version == "7"


def test_the_stream_is_asked_for_with_its_scope_and_a_consistent_read() -> None:
    """No version: not of any age. In the form, namespace, labels and fields of the informer."""
    selector, fields = labels_equal({"tier": "x"}), fields_equal({"metadata.name": "a"})
    scene = streamed(
        [[end(5), *OPEN]], form=Form.METADATA, namespace="n", selector=selector, fields=fields
    )

    scene.play()

    (asked,) = scene.client.arguments
    expected = {
        "resource_version": "",
        "initial_events": True,
        "metadata_only": True,
        "namespace": "n",
        "selector": selector,
        "fields": fields,
    }
    assert {name: asked[name] for name in expected} == expected


def test_nothing_is_held_or_told_before_the_end_is_marked() -> None:
    """Half a list is no state there ever was; its versions say nothing of how far it is known."""
    scene = streamed([[added("a", 900), timedelta(seconds=3), end(5), *OPEN]])
    seen: list[tuple[list[str], str, int, bool]] = []

    async def look(scene: Scene) -> None:
        for _ in range(2):
            await scene.clock.sleep(timedelta(seconds=2))
            store = scene.informer.store
            seen.append(
                (scene.names, store.resource_version, len(scene.told), scene.informer.synced)
            )

    scene.play(look)

    assert seen == [([], "", 0, False), (["a"], "5", 1, True)]


def test_changes_among_the_initial_events_count() -> None:
    """A server that lags behind catches up before it marks the end."""
    scene = streamed(
        [
            [
                added("a", 2),
                added("gone", 3),
                event("MODIFIED", widget("a", 6)),
                event("DELETED", widget("gone", 7)),
                added("gone", 3),
                event("MODIFIED", widget("a", 2)),
                end(7),
                *OPEN,
            ]
        ]
    )

    scene.play()

    assert scene.history == [("Created", "a")]
    assert scene.told[0].object.meta.resource_version == "6"


def test_a_stream_that_ends_is_resumed_from_where_it_was() -> None:
    """As any watch, without the initial events."""
    scene = streamed([[end(5), added("a", 8)], OPEN])

    scene.play()

    assert scene.asked == ["stream", "watch 8"]


def test_a_relist_is_a_stream_too_and_tells_the_difference() -> None:
    """Deletions that were missed are inferred from what the stream did not bring."""
    scene = streamed(
        [
            [added("a", 2), added("b", 3), end(5), Gone("too old", code=410)],
            [added("b", 3), added("c", 8), end(9), *OPEN],
        ]
    )

    scene.play()

    assert scene.asked == ["stream", "stream"]
    assert scene.client.arguments[1]["resource_version"] == ""
    assert scene.history[2:] == [("Deleted", "a"), ("Created", "c")]
    assert scene.told[2] == Deleted(scene.told[0].object, final_state_unknown=True)


@pytest.mark.parametrize(
    "refusal",
    [
        BadRequest("unknown parameter", code=400),
        Invalid("sendInitialEvents: Forbidden: the feature gate is off", code=422),
        MethodNotAllowed("no", code=405),
    ],
)
def test_a_refusal_is_followed_by_pages_at_once(refusal: Exception) -> None:
    """And remembered: the next list is in pages too."""
    scene = streamed(
        [[refusal], [Gone("too old", code=410)], OPEN],
        [[page(widget("a"))], [page(widget("a"), version=9)]],
    )

    scene.play()

    assert scene.asked == ["stream", "list", "watch 5", "list", "watch 9"]
    assert sum(scene.gaps) == 0
    assert scene.informer.reason == ""


def test_a_missing_end_is_noticed_30_s_after_the_last_event() -> None:
    """A server that ignores the request looks like one that is slow; only silence tells."""
    scene = streamed(
        [[added("a", 2), timedelta(seconds=20), added("b", 3), *OPEN], OPEN],
        [[page(widget("c"))]],
    )

    scene.play(60.0)

    assert scene.asked == ["stream", "list", "watch 5"]
    assert scene.gaps[0] == 50
    assert scene.names == ["c"]


def test_a_bookmark_that_is_not_the_end_means_pages() -> None:
    """Servers that know the request send no other one before."""
    scene = streamed([[added("a", 2), bookmark(4), *OPEN], OPEN], [[page(widget("c"))]])

    scene.play()

    assert scene.asked == ["stream", "list", "watch 5"]


def test_a_long_first_stream_is_not_given_up_while_events_come() -> None:
    """Fifty seconds of them are no silence; nor are 100 s of quiet after the end."""
    slow: list[Part] = [
        part for i in range(5) for part in (timedelta(seconds=10), added(f"w{i}", i + 1))
    ]
    scene = streamed([[*slow, end(9), *OPEN]])

    scene.play(150.0)

    assert scene.asked == ["stream"]
    assert len(scene.names) == 5


@pytest.mark.parametrize(("minutes", "asked"), [(59, "list"), (61, "stream")])
def test_a_refusal_is_remembered_for_an_hour(minutes: int, asked: str) -> None:
    """Servers are upgraded under their clients."""
    later: list[Part] = [timedelta(minutes=minutes), Gone("too old", code=410)]
    scene = streamed(
        [[Invalid("no", code=422)], later, [end(9), *OPEN]],
        [[page()], [page(version=9)]],
        stall_after=FOREVER,
    )

    scene.play(63 * 60.0)

    assert scene.asked[:4] == ["stream", "list", "watch 5", asked]


def test_a_refusal_is_forgotten_when_discovery_changes() -> None:
    """What is served is another server's now, or another version's."""
    changes = [0]
    scene = streamed(
        [
            [Invalid("no", code=422)],
            [timedelta(seconds=5), Gone("too old", code=410)],
            [end(9), *OPEN],
        ],
        [[page()]],
        discovery_changes=lambda: changes[0],
    )

    async def change(scene: Scene) -> None:
        await scene.informer.wait_synced()
        changes[0] += 1
        await scene.clock.sleep(timedelta(seconds=10))

    scene.play(change)

    assert scene.asked == ["stream", "list", "watch 5", "stream"]


@pytest.mark.parametrize(
    "trouble",
    [
        [TransportError("reset", sent=True)],
        [added("a", 2), TransportError("reset", sent=True)],
        [added("a", 2)],
        [event("ERROR", status(500, "InternalError"))],
        [added("a", 2), b"{malformed\n"],
        [ServerError("etcd is away", code=500)],
    ],
    ids=["unreachable", "cut", "closed", "error event", "malformed", "broken"],
)
def test_a_stream_that_breaks_is_asked_for_again_after_a_pause(trouble: list[Part]) -> None:
    """What had come of it is forgotten, and nothing is told."""
    scene = streamed([trouble, [added("z", 3), end(5), *OPEN]])

    scene.play(10.0)

    assert scene.asked == ["stream", "stream"]
    assert scene.gaps[0] >= 0.8
    assert scene.history == [("Created", "z")]


def test_streams_that_break_again_and_again_are_tried_in_pages() -> None:
    """Something on the way may cut long answers; the next list is a stream again."""
    cut: list[Part] = [added("a", 2), TransportError("reset", sent=True)]
    scene = streamed([cut, cut, cut, [Gone("too old", code=410)], [end(9), *OPEN]], [[page()]])

    scene.play(60.0)

    assert scene.asked == ["stream", "stream", "stream", "list", "watch 5", "stream"]


def test_a_server_that_cannot_be_reached_is_no_server_that_cannot_stream() -> None:
    """Silence before the answer even begins says nothing about it."""
    scene = streamed([[end(5), *OPEN], [end(5), *OPEN]])
    scene.client.slow_to_open.append(timedelta(seconds=40))

    scene.play(60.0)

    assert scene.asked == ["stream", "stream"]


def test_a_busy_server_gets_the_patience_it_asks_for() -> None:
    """Retry-After is longer than the pause would be, and no reason for pages."""
    busy = TooManyRequests("slow down", code=429, retry_after=timedelta(seconds=50))
    scene = streamed([[busy], [busy], [busy], [busy], [end(5), *OPEN]])

    scene.play(250.0)

    assert scene.asked == ["stream"] * 5
    assert scene.gaps == [50] * 4


def test_the_missing_verb_is_watch() -> None:
    """Forbidden is forbidden: a list in pages would be no use without a watch."""
    scene = streamed([[Forbidden('cannot watch resource "widgets"', code=403)], [end(5), *OPEN]])
    seen: list[tuple[InformerState, ReadVerb | None, str]] = []

    async def look(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(seconds=0.1))
        standing = scene.informer.standing
        seen.append((standing.state, standing.verb, str(standing)))
        await scene.clock.sleep(timedelta(seconds=5))

    with capture_logs() as logs:
        scene.play(look)

    assert seen == [
        (
            InformerState.FORBIDDEN,
            ReadVerb.WATCH,
            'forbidden to watch (watch: cannot watch resource "widgets")',
        )
    ]
    assert logs[0]["verb"] == "watch"
    assert scene.asked == ["stream", "stream"]
    assert scene.informer.standing.verb is None


def test_a_page_of_every_kind_of_server_ends_the_same() -> None:
    """Whether a server streams, refuses or never marks the end: the store holds what it holds."""
    for streaming in Streaming:
        server = ModelServer(streaming=streaming)
        for number in range(7):
            server.put(f"w{number}")
        scene = Scene(server)

        scene.play(40.0)

        assert scene.names == [f"w{number}" for number in range(7)]
        assert server.watches[0]["initial_events"]
        assert len(server.lists) == (streaming is not Streaming.MARKED)


def test_gathering_gives_way_to_others() -> None:
    """Thousands of initial events in one chunk must not keep the loop from everything else."""
    flood = b"".join(added(f"w{i}", i + 1) for i in range(3000)) + end(5000)
    client = ScriptedClient([], [[flood, *OPEN]])
    clock = LoopClock()
    informer = Informer(WIDGET, client, clock=clock, random=seeded_random(1))
    turns = 0

    async def main() -> None:
        nonlocal turns
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(informer.run())
            while not informer.synced:
                turns += 1
                await clock.sleep(timedelta(0))
            running.cancel()

    # Real time: virtual time does not pass while code runs.
    asyncio.run(main())

    assert turns >= 5


def test_a_relist_keeps_what_did_not_change() -> None:
    """Equal objects are not stored a second time."""
    scene = streamed(
        [[added("a", 2), end(5), Gone("too old", code=410)], [added("a", 2), end(9), *OPEN]]
    )
    held: list[object] = []
    scene.informer.add_handler(lambda each: held.append(each.object))

    scene.play()

    assert len(scene.told) == 1
    assert scene.informer.list()[0] is held[0]
