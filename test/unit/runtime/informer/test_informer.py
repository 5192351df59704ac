"""The informer's shell: what it asks, what it tells, how it shows its state."""

import asyncio
import math
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.errors import Forbidden, Gone, TooManyRequests, TransportError
from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.informer import Form, Informer, InformerState
from smbpctl.runtime.meta import (
    ObjectKey,
    labels_equal,
)
from smbpctl.runtime.metrics import Metrics
from test.support.list_watch import WIDGET, Choices, ModelServer, encode, event, status
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
from test.support.virtual_time import run_virtual


def test_a_list_is_followed_by_a_watch_from_its_version() -> None:
    """All pages make up the first state; then changes are told as they come."""
    client = ScriptedClient(
        [[page(widget("a")), page(widget("b"))]],
        [[event("ADDED", widget("c", 6)), event("MODIFIED", widget("a", 7)), FOREVER]],
    )

    scene = Scene(client).play()

    assert scene.asked == ["list", "watch 5"]
    assert scene.history == [
        ("Created", "a"),
        ("Created", "b"),
        ("Created", "c"),
        ("Updated", "a"),
    ]
    assert [each.initial for each in scene.told if isinstance(each, Created)] == [True, True, False]
    assert scene.informer.state is InformerState.STREAMING
    assert scene.informer.synced


def test_deletions_are_told_with_the_last_state() -> None:
    """The DELETED event carries it."""
    client = ScriptedClient([[page(widget("a"))]], [[event("DELETED", widget("a", 6)), FOREVER]])

    scene = Scene(client).play()

    last = scene.told[-1]
    assert isinstance(last, Deleted)
    assert (last.object.meta.resource_version, last.final_state_unknown) == ("6", False)
    assert scene.names == []


def test_the_scope_is_asked_for() -> None:
    """Namespace, labels, form and page size go into both requests; the list is consistent."""
    client = ScriptedClient([[page()]])
    selector = labels_equal({"tier": "x"})

    Scene(client, namespace="n", selector=selector, form=Form.METADATA, page_size=7).play()

    listed, watched = client.arguments
    for arguments in (listed, watched):
        assert arguments["namespace"] == "n"
        assert arguments["selector"] is selector
        assert arguments["metadata_only"] is True
    assert (listed["page_size"], listed["resource_version"]) == (7, "")


def test_watches_last_a_random_time_within_bounds() -> None:
    """So that clients do not reconnect in step."""
    client = ScriptedClient([[page()]], [[timedelta(seconds=2)] for _ in range(20)])

    Scene(client).play(30.0)

    lengths = [each["timeout"] for each in client.arguments[1:]]
    assert all(timedelta(minutes=5) <= each <= timedelta(minutes=10) for each in lengths)
    assert len(set(lengths)) > 5


def test_the_store_changes_before_handlers_are_called() -> None:
    """Who acts on an event reads at least that state."""
    client = ScriptedClient([[page(widget("a"))]], [[event("MODIFIED", widget("a", 6)), FOREVER]])
    scene = Scene(client)
    seen: list[bool] = []
    scene.informer.add_handler(
        lambda each: seen.append(scene.informer.store.get(each.object.key) is each.object)
    )

    scene.play()

    assert seen == [True, True]


def test_a_bookmark_moves_where_the_watch_resumes() -> None:
    """On a quiet kind it keeps the version from expiring."""
    client = ScriptedClient([[page()]], [[bookmark(40)], OPEN])

    scene = Scene(client).play()

    assert scene.asked == ["list", "watch 5", "watch 40"]


def test_a_truncated_line_is_no_event_and_is_asked_for_again() -> None:
    """The watch resumes behind the last whole event."""
    whole, cut = event("ADDED", widget("a", 6)), event("ADDED", widget("b", 7))
    client = ScriptedClient([[page()]], [[whole + cut[:-1]], [cut, FOREVER]])

    scene = Scene(client).play()

    assert scene.asked == ["list", "watch 5", "watch 6"]
    assert sum(scene.gaps) == 0
    assert scene.history == [("Created", "a"), ("Created", "b")]


def test_events_are_found_however_chunks_are_cut() -> None:
    """Chunks of the network end anywhere, inside a character as well."""
    stream = event("ADDED", widget("a", 6, labels={"x": "ż"})) + event("ADDED", widget("b", 7))
    stream = stream.replace(b"\\u017c", "ż".encode())
    client = ScriptedClient(
        [[page()]], [[*(stream[i : i + 1] for i in range(len(stream))), FOREVER]]
    )

    scene = Scene(client).play()

    assert scene.names == ["a", "b"]
    assert scene.told[0].object.meta.labels == {"x": "ż"}


@pytest.mark.parametrize(
    "expired",
    [
        [Gone("too old", code=410)],
        [event("ERROR", status(410, "Expired")), FOREVER],
        [event("ERROR", status(410, "Gone")), FOREVER],
    ],
    ids=["as HTTP status", "as ERROR event", "as ERROR event with reason Gone"],
)
def test_an_expired_version_relists_once_and_tells_the_difference(expired: list[Part]) -> None:
    """Deletions that were missed are inferred; nothing is told twice."""
    client = ScriptedClient(
        [[page(widget("a"), widget("b"))], [page(widget("b"), widget("c", 8), version=9)]],
        [expired, OPEN],
    )

    scene = Scene(client).play()

    assert scene.asked == ["list", "watch 5", "list", "watch 9"]
    assert sum(scene.gaps) == 0
    assert scene.history[2:] == [("Deleted", "a"), ("Created", "c")]
    assert scene.told[2] == Deleted(scene.told[0].object, final_state_unknown=True)
    assert isinstance(scene.told[3], Created)
    assert not scene.told[3].initial


def test_a_namesake_found_by_a_relist_is_told_as_another_object() -> None:
    """Deleted and created again while nobody watched."""
    client = ScriptedClient(
        [[page(widget("a", uid="old"))], [page(widget("a", 8, uid="new"), version=9)]],
        [[Gone("too old", code=410)], OPEN],
    )

    scene = Scene(client).play()

    assert scene.history == [("Created", "a"), ("Deleted", "a"), ("Created", "a")]
    assert [each.object.meta.uid for each in scene.told] == ["old", "old", "new"]


def test_pages_of_different_moments_are_listed_again() -> None:
    """An object deleted between the two would stay in the store for ever."""
    client = ScriptedClient(
        [
            [page(widget("gone"), version=5), page(widget("z"), version=8)],
            [page(widget("z"), version=8)],
        ]
    )

    scene = Scene(client)
    playing: list[int] = []

    async def look(scene: Scene) -> None:
        await scene.informer.wait_synced()
        playing.append(client.playing)

    scene.play(look)

    assert scene.asked == ["list", "list", "watch 8"]
    assert scene.names == ["z"]
    assert scene.history == [("Created", "z")]
    assert playing == [1], "the list that was given up is still open"


def test_a_continue_token_that_expired_starts_the_list_over() -> None:
    """What the first pages held is forgotten."""
    client = ScriptedClient(
        [[page(widget("gone")), Gone("token expired", code=410)], [page(widget("z"), version=8)]]
    )

    scene = Scene(client).play()

    assert scene.asked == ["list", "list", "watch 8"]
    assert scene.names == ["z"]


@pytest.mark.parametrize(
    "lists",
    [
        [[TransportError("connection refused", sent=False)], [page()]],
        [[page(widget("a"))[:-9]], [page()]],
        [[b"<html>busy</html>"], [page()]],
        [[encode({"metadata": {}, "items": []})], [page()]],
        [[], [page()]],
    ],
    ids=["unreachable", "truncated", "html", "without version", "without pages"],
)
def test_a_list_that_fails_is_repeated_and_never_believed(lists: list[list[Part]]) -> None:
    """An empty or partial answer must not empty the store."""
    client = ScriptedClient([[page(widget("a"))], *lists], [[Gone("too old", code=410)], OPEN])
    scene = Scene(client)
    seen: list[tuple[str, list[str]]] = []

    async def look_on_failure(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(seconds=0.1))
        seen.append((scene.informer.state.value, scene.names))
        await scene.clock.sleep(timedelta(seconds=10))

    scene.play(look_on_failure)

    assert seen == [("degraded", ["a"])]
    assert scene.asked == ["list", "watch 5", "list", "list", "watch 5"]
    assert scene.history == [("Created", "a"), ("Deleted", "a")]


def test_an_unreachable_server_is_asked_ever_more_rarely() -> None:
    """From under a second up to half a minute, never in a tight loop."""
    client = ScriptedClient([[TransportError("refused", sent=False)]] * 100)

    scene = Scene(client).play(300.0)

    assert all(gap >= 0.4 for gap in scene.gaps)
    assert max(scene.gaps) <= 30
    assert sum(scene.gaps[-5:]) / 5 >= 5
    assert not scene.informer.synced


def test_a_connection_that_breaks_is_resumed_without_a_list() -> None:
    """Even many times: the version tells when it is too old."""
    broken: list[Part] = [TransportError("reset", sent=True)]
    client = ScriptedClient([[page()]], [*[broken] * 6, OPEN])

    scene = Scene(client).play(120.0)

    assert scene.asked == ["list", *["watch 5"] * 7]
    assert scene.informer.reason == ""


def test_streams_that_end_at_once_are_not_reopened_in_a_tight_loop() -> None:
    """Three in vain, then a list; each after a pause."""
    client = ScriptedClient([[page()], [page()]], [[], [bookmark(5)], [], OPEN])

    scene = Scene(client).play(60.0)

    assert scene.asked == ["list", "watch 5", "watch 5", "watch 5", "list", "watch 5"]
    assert all(gap >= 0.4 for gap in scene.gaps[1:4])


def test_a_silent_stream_is_given_up() -> None:
    """No error, no event, no bookmark: after the limit the watch is opened anew."""
    client = ScriptedClient([[page()]], [OPEN, [bookmark(9), FOREVER], OPEN])

    scene = Scene(client, stall_after=timedelta(seconds=100)).play(250.0)

    assert scene.asked == ["list", "watch 5", "watch 5", "watch 9"]
    assert scene.gaps == [0, 100, 100]


def test_any_sign_of_life_keeps_a_stream_open() -> None:
    """A quiet kind has bookmarks only, one a minute."""
    beats: list[Part] = [
        part for i in range(20) for part in (timedelta(minutes=1), bookmark(9 + i))
    ]
    client = ScriptedClient([[page()]], [beats])

    scene = Scene(client, stall_after=timedelta(seconds=100)).play(1199.0)

    assert scene.asked == ["list", "watch 5"]


def test_a_server_that_asks_for_patience_gets_it() -> None:
    """Retry-After is longer than the pause would be."""
    busy = TooManyRequests("slow down", code=429, retry_after=timedelta(seconds=50))

    scene = Scene(ScriptedClient([[busy], [page()]])).play(60.0)

    assert scene.gaps == [50, 0]


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"not json\n",
        event("EXPLODED", widget("b", 6)),
        event("ADDED", {"metadata": {"resourceVersion": "6"}}),
        event("ADDED", {**widget("b", 6), "kind": "Other", "apiVersion": "v1"}),
        b"x" * (17 * 1024 * 1024),
    ],
    ids=["empty", "no json", "unknown type", "no name", "another kind", "endless"],
)
def test_a_bad_line_costs_a_list_and_no_object(line: bytes) -> None:
    """What is in it is unknown; the list tells, and events before it have counted."""
    client = ScriptedClient(
        [[page(widget("a"))], [page(widget("a"), widget("b", 6), widget("c", 7), version=7)]],
        [[event("ADDED", widget("c", 6)), line], OPEN],
    )

    scene = Scene(client).play(10.0)

    assert scene.asked == ["list", "watch 5", "list", "watch 7"]
    assert scene.history == [("Created", "a"), ("Created", "c"), ("Created", "b"), ("Updated", "c")]


def test_an_error_event_that_is_no_expiry_pauses_and_resumes() -> None:
    """The server's trouble is shown and survived."""
    client = ScriptedClient(
        [[page()]], [[event("ERROR", status(500, "InternalError")), FOREVER], OPEN]
    )
    scene = Scene(client)
    reasons: list[str] = []

    async def look(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(seconds=0.1))
        reasons.append(scene.informer.reason)
        await scene.clock.sleep(timedelta(seconds=5))
        reasons.append(scene.informer.reason)

    scene.play(look)

    assert reasons == [f"watch: watch {WIDGET}: InternalError", ""]
    assert scene.asked == ["list", "watch 5", "watch 5"]


def test_missing_permission_shows_and_heals() -> None:
    """The state is FORBIDDEN, the reason the server's, until the grant comes."""
    refusal = Forbidden('cannot list resource "widgets"', code=403)
    client = ScriptedClient([[refusal], [page()]])
    scene = Scene(client)
    seen: list[tuple[InformerState, str, bool]] = []

    async def look(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(seconds=0.1))
        seen.append((scene.informer.state, scene.informer.reason, scene.informer.synced))
        await scene.informer.wait_synced()
        await scene.clock.sleep(timedelta(seconds=0.1))
        seen.append((scene.informer.state, scene.informer.reason, scene.informer.synced))

    with capture_logs() as logs:
        scene.play(look)

    assert seen == [
        (InformerState.FORBIDDEN, f"list: {refusal}", False),
        (InformerState.STREAMING, "", True),
    ]
    assert [each["event"] for each in logs] == [
        "informer degraded",
        "informer synced",
        "informer recovered",
    ]


def test_an_unexpected_error_of_the_client_is_survived() -> None:
    """A bug on the way must not end the informer silently."""
    client = ScriptedClient([[RuntimeError("bug")], [page(widget("a"))]])

    scene = Scene(client).play(5.0)

    assert scene.names == ["a"]


def test_a_server_that_went_back_in_time_is_followed_with_a_warning() -> None:
    """A list is a consistent read: the cluster was restored from a backup."""
    client = ScriptedClient(
        [[page(widget("a", 90), version=100)], [page(widget("a", 40), version=50)]],
        [[Gone("too old", code=410)], [event("MODIFIED", widget("a", 51)), FOREVER]],
    )
    scene = Scene(client)

    with capture_logs() as logs:
        scene.play()

    assert [each.object.meta.resource_version for each in scene.told] == ["90", "40", "51"]
    assert {"known": "100", "listed": "50"}.items() <= next(
        each for each in logs if each["event"] == "history of the server went back"
    ).items()


def test_late_handlers_are_told_of_what_is_there() -> None:
    """As created, marked as initial, then of what comes; their registration is synced at once."""
    server = ModelServer(choices=Choices())
    server.put("a")
    scene = Scene(server)
    late: list[Event] = []
    synced: list[bool] = []

    async def join(scene: Scene) -> None:
        await scene.informer.wait_synced()
        registration = scene.informer.add_handler(late.append)
        synced.append(registration.synced)
        server.put("b")
        await scene.clock.sleep(timedelta(seconds=1))

    scene.play(join)

    assert [(type(each), each.object.meta.name) for each in late] == [
        (Created, "a"),
        (Created, "b"),
    ]
    assert late[0] == Created(scene.told[0].object, initial=True)
    assert synced == [True]


def test_an_early_registration_is_synced_after_the_first_list_only() -> None:
    """Workers may start once every handler was told of everything there is."""
    scene = Scene(ScriptedClient([[timedelta(seconds=5), page(widget("a"))]]))
    told: list[Event] = []
    registration = scene.informer.add_handler(told.append)
    seen: list[tuple[bool, int]] = []

    async def look(scene: Scene) -> None:
        await scene.clock.sleep(timedelta(seconds=4))
        seen.append((registration.synced, len(told)))
        await registration.wait_synced()
        seen.append((registration.synced, len(told)))

    scene.play(look)

    assert seen == [(False, 0), (True, 1)]


def test_a_flood_gives_way_to_others() -> None:
    """A chunk of thousands of events must not keep the loop from everything else."""
    flood = b"".join(event("MODIFIED", widget("a", 6 + i)) for i in range(3000))
    client = ScriptedClient([[page(widget("a"))]], [[flood, FOREVER]])
    client_clock = LoopClock()
    informer = Informer(WIDGET, client, clock=client_clock, random=seeded_random(1), paged=True)
    sizes: list[str] = []

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(informer.run())
            while informer.store.resource_version != "3005":
                sizes.append(informer.store.resource_version)
                await client_clock.sleep(timedelta(0))
            running.cancel()

    # Real time: virtual time does not pass while code runs.
    asyncio.run(main())

    assert len({each for each in sizes if each and int(each) > 5}) >= 3


def test_resync_tells_every_object_again() -> None:
    """As updates of two equal states, about once per period, without asking the server."""
    client = ScriptedClient([[page(widget("a"), widget("b"))]])

    scene = Scene(client, resync=timedelta(seconds=60), stall_after=FOREVER).play(200.0)

    again = scene.told[2:]
    assert [each.object.meta.name for each in again] == ["a", "b"] * 3
    assert all(isinstance(each, Updated) and each.old is each.object for each in again)
    assert scene.asked == ["list", "watch 5"]


class BusyClock:
    """By this clock every look costs three milliseconds: every piece of work gives way."""

    def __init__(self) -> None:
        self._clock = LoopClock()
        self._looks = 0
        self.now, self.sleep = self._clock.now, self._clock.sleep
        self.call_later = self._clock.call_later

    def monotonic(self) -> float:
        """Return the time, later each time."""
        self._looks += 1
        return self._clock.monotonic() + self._looks * 0.003


def test_resync_does_not_tell_old_states_of_what_changes_meanwhile() -> None:
    """It gives way in between; what changed was told by that change."""
    server = ModelServer()
    for number in range(50):
        server.put(f"w{number:02}")
    clock = BusyClock()
    informer = Informer(
        WIDGET, server, clock=clock, random=seeded_random(1), resync=timedelta(seconds=30)
    )
    told: list[Updated] = []

    def handle(event: Event) -> None:
        if isinstance(event, Updated):
            told.append(event)
            if len(told) == 1:
                server.put("w49")

    informer.add_handler(handle)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(informer.run())
            await clock.sleep(timedelta(seconds=40))
            running.cancel()

    run_virtual(main())

    last = [each for each in told if each.object.meta.name == "w49"]
    assert len(told) == 50
    assert [each.old is each.object for each in last] == [False]


def test_a_stronger_form_before_the_start_is_the_form() -> None:
    """A weaker one does not undo it."""
    client = ScriptedClient([[page(widget("a"))]])
    scene = Scene(client, form=Form.METADATA)
    scene.informer.raise_form(Form.FULL)
    scene.informer.raise_form(Form.METADATA)

    scene.play()

    assert scene.informer.form is Form.FULL
    assert client.arguments[0]["metadata_only"] is False


def test_forgetting_tells_every_object_as_deleted() -> None:
    """For a kind that is no longer served: nobody will send the events."""
    scene = Scene(ScriptedClient([[page(widget("a"), widget("b"))]])).play()

    run_virtual(scene.informer.forget())

    assert [
        (each.object.meta.name, each.final_state_unknown)
        for each in scene.told
        if isinstance(each, Deleted)
    ] == [("a", True), ("b", True)]
    assert scene.names == []
    assert scene.informer.state is InformerState.ABSENT


def test_metrics_show_the_informer() -> None:
    """Synced, objects, bytes and age at scrape time; relists by reason, the first not counted."""
    registry = CollectorRegistry()
    client = ScriptedClient(
        [[page(widget("a"))], [page(widget("a"), widget("b", 6), version=6)]],
        [[Gone("too old", code=410)], OPEN],
    )
    scene = Scene(client, metrics=Metrics(registry))
    seen: list[dict[str, float | None]] = []
    relists: dict[str, float | None] = {}

    def scrape() -> dict[str, float | None]:
        kind = {"gvk": str(WIDGET)}
        return {
            name: registry.get_sample_value(f"smbpctl_informer_{name}", kind)
            for name in ("synced", "objects", "bytes", "memory_bytes", "last_event_age_seconds")
        }

    async def look(scene: Scene) -> None:
        seen.append(scrape())
        await scene.clock.sleep(timedelta(seconds=3))
        seen.append(scrape())
        relists.update(
            {
                reason: registry.get_sample_value(
                    "smbpctl_informer_relists_total", {"gvk": str(WIDGET), "reason": reason}
                )
                for reason in ("first", "expired")
            }
        )

    scene.play(look)

    before, after = seen
    assert before["synced"] == 0
    assert math.isnan(before["last_event_age_seconds"] or 0)
    assert after == {
        "synced": 1,
        "objects": 2,
        "bytes": scene.informer.store.bytes(),
        "memory_bytes": scene.informer.store.memory(),
        "last_event_age_seconds": 3,
    }
    assert relists == {"first": None, "expired": 1}


def test_field_sets_of_registered_owners_are_kept() -> None:
    """The apply layer reads them from here."""
    managed = [{"manager": "demo", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    client = ScriptedClient([[page(widget("a", managedFields=managed))]])

    scene = Scene(client, field_owners=frozenset({"demo"})).play()

    stored = scene.informer.store.get(ObjectKey("", "a"))
    assert stored is not None
    assert stored.fields == {"demo": b'{"f:spec":{}}'}
