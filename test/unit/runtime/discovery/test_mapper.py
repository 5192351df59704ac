"""Discovery over a transport: what is asked, how often, and what survives failures."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import structlog.testing

from smbpctl.runtime.discovery import Discovery, OptionalKind
from smbpctl.runtime.errors import Forbidden, NoKindMatch, TransportError
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    json_response,
    path_of,
    status_response,
)
from test.support.manual_clock import ManualClock

POD = GroupVersionKind("", "v1", "Pod")
THING = GroupVersionKind("example.org", "v1", "Thing")
OPTIONAL = OptionalKind("example.org", "Thing", ("v2", "v1"))
SECOND = timedelta(seconds=1)


class Server:
    """Answers discovery with what `kinds` holds: (group, version) and kinds."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, str], list[str]] = {("", "v1"): ["Pod"]}
        self.stale: set[tuple[str, str]] = set()
        self.failure: Answer | None = None
        self.aggregated = True
        self.broken: dict[str, Answer] = {}
        self.transport = FakeTransport(self.answer)

    def answer(self, request: HttpRequest) -> Answer:
        """Answer one request."""
        if self.failure is not None:
            return self.failure
        path = path_of(request)
        if path in self.broken:
            return self.broken[path]
        if path == "/version":
            return json_response({"major": "1", "gitVersion": "v1.36.3"})
        if path in {"/api", "/apis"}:
            return self._root(path, request)
        return self._group_version(path)

    def _root(self, path: str, request: HttpRequest) -> FakeResponse:
        keys = [key for key in self.kinds if bool(key[0]) == (path == "/apis")]
        if not self.aggregated:
            groups = [{"name": g, "versions": [{"groupVersion": f"{g}/{v}"}]} for g, v in keys]
            document = {"kind": "APIGroupList", "groups": groups}
            core = {"kind": "APIVersions", "versions": [v for _, v in keys]}
            return json_response(document if path == "/apis" else core)
        assert "as=APIGroupDiscoveryList" in request.headers["Accept"]
        etag = f'"{sorted((key, self.kinds[key]) for key in keys)}{sorted(self.stale)}"'
        if request.headers.get("If-None-Match") == etag:
            return FakeResponse(304)
        items = [self._group(*key) for key in keys]
        return json_response(
            {"kind": "APIGroupDiscoveryList", "items": items}, headers={"etag": etag}
        )

    def _group(self, group: str, version: str) -> dict[str, Any]:
        key = (group, version)
        resources = [
            {
                "resource": kind.lower() + "s",
                "responseKind": {"group": group, "version": version, "kind": kind},
                "scope": "Namespaced",
                "verbs": ["get"],
            }
            for kind in self.kinds[key]
        ]
        stale = key in self.stale
        described = {
            "version": version,
            "resources": [] if stale else resources,
            "freshness": "Stale" if stale else "Current",
        }
        return {"metadata": {"name": group}, "versions": [described]}

    def _group_version(self, path: str) -> FakeResponse:
        group, _, version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")
        kinds = self.kinds.get((group, version))
        if kinds is None:
            return FakeResponse(404, b"404 page not found")
        resources = [
            {"name": kind.lower() + "s", "kind": kind, "namespaced": True, "verbs": ["get"]}
            for kind in kinds
        ]
        return json_response({"kind": "APIResourceList", "resources": resources})


@pytest.fixture
def server() -> Server:
    """A server with Pods only."""
    return Server()


@pytest.fixture
def clock() -> ManualClock:
    """Time as the test wants it."""
    return ManualClock()


@pytest.fixture
def discovery(server: Server, clock: ManualClock) -> Discovery:
    """Discovery of that server."""
    return Discovery(server.transport, clock=clock)


async def test_known_kinds_cost_no_request(discovery: Discovery, server: Server) -> None:
    """One document answers for all kinds below one root; the other root is not even asked."""
    found = await discovery.resource(POD)
    again = await discovery.resource(POD)

    assert found is again
    assert found.path("ns", "a") == "/api/v1/namespaces/ns/pods/a"
    assert server.transport.calls() == ["GET /api"]


async def test_a_kind_that_is_not_served(discovery: Discovery) -> None:
    """Another version of a served group is another kind."""
    with pytest.raises(NoKindMatch, match=r"does not serve Thing\.v1\.example\.org$"):
        await discovery.resource(THING)
    with pytest.raises(NoKindMatch, match=r"does not serve Pod\.v2$"):
        await discovery.resource(GroupVersionKind("", "v2", "Pod"))


async def test_a_kind_that_appears_is_found(
    discovery: Discovery, server: Server, clock: ManualClock
) -> None:
    """A CRD installed later needs no restart, only a second."""
    with pytest.raises(NoKindMatch):
        await discovery.resource(THING)
    server.kinds["example.org", "v1"] = ["Thing"]

    with pytest.raises(NoKindMatch):
        await discovery.resource(THING)
    clock.advance(SECOND)
    found = await discovery.resource(THING)

    assert found.plural == "things"
    assert server.transport.calls() == ["GET /apis", "GET /apis"]


async def test_unchanged_documents_are_not_sent_again(
    discovery: Discovery, server: Server, clock: ManualClock
) -> None:
    """The server's ETag is given back, and 304 keeps everything as it was."""
    await discovery.resource(POD)
    clock.advance(SECOND)
    with pytest.raises(NoKindMatch):
        await discovery.resource(GroupVersionKind("", "v1", "Nothing"))

    assert "If-None-Match" in server.transport.requests[-1].headers
    assert (await discovery.resource(POD)).plural == "pods"


class TestOptional:
    """`served` follows kinds that come and go."""

    async def test_gives_the_best_version_that_is_served(
        self, discovery: Discovery, server: Server
    ) -> None:
        """In the order of the caller, not of the server."""
        server.kinds["example.org", "v1"] = ["Thing"]
        server.kinds["example.org", "v2"] = ["Thing"]

        assert await discovery.served(OPTIONAL) == GroupVersionKind("example.org", "v2", "Thing")

    async def test_looks_again_for_what_is_missing_sooner_than_for_what_is_there(
        self, discovery: Discovery, server: Server, clock: ManualClock
    ) -> None:
        """After a second and after ten: who waits for a kind may ask as often as it likes."""
        seen = [await discovery.served(OPTIONAL)]
        server.kinds["example.org", "v1"] = ["Thing"]
        for seconds in (0.9, 0.1):
            clock.advance(seconds * SECOND)
            seen.append(await discovery.served(OPTIONAL))
        del server.kinds["example.org", "v1"]
        for seconds in (9, 1):
            clock.advance(seconds * SECOND)
            seen.append(await discovery.served(OPTIONAL))

        assert seen == [None, None, THING, THING, None]
        assert len(server.transport.requests) == 3

    async def test_the_last_answer_stands_while_the_server_is_away(
        self, discovery: Discovery, server: Server, clock: ManualClock
    ) -> None:
        """An outage is not the end of a kind; it is logged once."""
        server.kinds["example.org", "v1"] = ["Thing"]
        await discovery.served(OPTIONAL)
        server.failure = TransportError("down", sent=False)

        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                clock.advance(10 * SECOND)
                assert await discovery.served(OPTIONAL) == THING

        assert [entry["event"] for entry in logs] == ["discovery failed"]

    async def test_without_any_answer_the_error_rises(
        self, discovery: Discovery, server: Server
    ) -> None:
        """Not knowing is not the same as not served."""
        server.failure = status_response(403, "Forbidden", "no discovery for you")

        with pytest.raises(Forbidden, match="discover /apis: no discovery for you"):
            await discovery.served(OPTIONAL)


class TestFailures:
    """Broken parts leave the rest usable."""

    async def test_a_stale_group_keeps_what_was_known(
        self, discovery: Discovery, server: Server, clock: ManualClock
    ) -> None:
        """An aggregated API server that is down takes neither its kinds nor others away."""
        server.kinds["example.org", "v1"] = ["Thing"]
        await discovery.served(OPTIONAL)
        server.stale.add(("example.org", "v1"))
        server.kinds["other.org", "v1"] = ["New"]

        clock.advance(10 * SECOND)
        still = await discovery.served(OPTIONAL)
        new = await discovery.resource(GroupVersionKind("other.org", "v1", "New"))

        assert still == THING
        assert new.plural == "news"

    async def test_a_stale_group_is_named(self, discovery: Discovery, server: Server) -> None:
        """A kind that may exist behind a dead server is told apart from one that does not."""
        server.kinds["example.org", "v1"] = ["Thing"]
        server.stale.add(("example.org", "v1"))

        with pytest.raises(NoKindMatch, match="behind this group does not answer"):
            await discovery.resource(THING)

    @pytest.mark.parametrize(
        "answer",
        [
            FakeResponse(200, b"<html>login</html>"),
            FakeResponse(200, b'{"kind": "APIGroupDiscoveryList", "items": ['),
            FakeResponse(200, b""),
            TransportError("down", sent=False),
        ],
    )
    async def test_an_unreadable_answer_is_an_error_and_nothing_more(
        self, discovery: Discovery, server: Server, answer: Answer
    ) -> None:
        """It says nothing of kinds; the next look-up asks again."""
        server.failure = answer
        with pytest.raises(TransportError):
            await discovery.resource(POD)

        server.failure = None

        assert (await discovery.resource(POD)).plural == "pods"

    async def test_one_look_answers_all_who_wait(self, server: Server, clock: ManualClock) -> None:
        """Also when it fails: a dead server is not asked once per waiting caller."""
        release = asyncio.Event()

        async def slow(request: HttpRequest) -> Answer:
            await release.wait()
            return TransportError("down", sent=False)

        server.transport.handler = slow
        discovery = Discovery(server.transport, clock=clock)

        async def look() -> str:
            try:
                await discovery.resource(POD)
            except TransportError as error:
                return str(error)
            return "found"

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look()) for _ in range(5)]
            group.create_task(_after_a_turn(release))

        assert [task.result() for task in tasks] == ["down"] * 5
        assert len(server.transport.requests) == 1


async def _after_a_turn(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future
    event.set()


async def test_invalidate_asks_again(discovery: Discovery, server: Server) -> None:
    """A 404 on a path shows that what is known is outdated: the kind may be gone."""
    server.kinds["example.org", "v1"] = ["Thing"]
    await discovery.resource(THING)
    del server.kinds["example.org", "v1"]
    assert await discovery.resource(THING)

    discovery.invalidate()

    with pytest.raises(NoKindMatch):
        await discovery.resource(THING)


class TestInvalidate:
    """Doubt about one kind."""

    async def test_asks_again_for_its_group_and_version(
        self, discovery: Discovery, server: Server
    ) -> None:
        """The kind may be gone; so are those that wait for it to be served, at once."""
        server.kinds["example.org", "v1"] = ["Thing"]
        await discovery.resource(THING)
        await discovery.served(OPTIONAL)
        del server.kinds["example.org", "v1"]

        discovery.invalidate(THING)

        assert await discovery.served(OPTIONAL) is None
        with pytest.raises(NoKindMatch):
            await discovery.resource(THING)

    async def test_leaves_the_others_usable(self, discovery: Discovery, server: Server) -> None:
        """Also while the server cannot be asked: a CRD that went must not stop everything."""
        server.kinds["example.org", "v1"] = ["Thing"]
        server.kinds["other.org", "v1"] = ["New"]
        other = GroupVersionKind("other.org", "v1", "New")
        await discovery.resource(THING)
        await discovery.resource(POD)
        server.failure = TransportError("down", sent=False)

        discovery.invalidate(THING)

        assert (await discovery.resource(other)).plural == "news"
        assert (await discovery.resource(POD)).plural == "pods"
        with pytest.raises(TransportError):
            await discovery.resource(THING)

    async def test_is_over_once_the_server_was_asked(
        self, discovery: Discovery, server: Server
    ) -> None:
        """A kind that is served all the same costs one request, not one a look-up."""
        server.kinds["example.org", "v1"] = ["Thing"]
        await discovery.resource(THING)
        discovery.invalidate(THING)
        await discovery.resource(THING)
        asked = len(server.transport.requests)

        await discovery.resource(THING)

        assert len(server.transport.requests) == asked


async def test_changes_are_counted(
    discovery: Discovery, server: Server, clock: ManualClock
) -> None:
    """What was refused before may be served after one; the first look is none."""
    server.kinds["example.org", "v1"] = ["Thing"]
    counts = [discovery.changes()]
    await discovery.served(OPTIONAL)
    counts.append(discovery.changes())
    clock.advance(10 * SECOND)
    await discovery.served(OPTIONAL)
    counts.append(discovery.changes())
    server.kinds["other.org", "v1"] = ["New"]
    clock.advance(10 * SECOND)

    await discovery.served(OPTIONAL)
    counts.append(discovery.changes())

    assert counts == [0, 0, 0, 1]


async def test_the_server_version(discovery: Discovery) -> None:
    """As the server spells it."""
    assert await discovery.server_version() == "v1.36.3"


class TestClassic:
    """Servers that do not know aggregated discovery."""

    @pytest.fixture(autouse=True)
    def classic(self, server: Server) -> None:
        """Ignore the Accept header."""
        server.aggregated = False

    async def test_is_asked_group_by_group(self, discovery: Discovery, server: Server) -> None:
        """The core group too."""
        server.kinds["example.org", "v1"] = ["Thing"]

        things = await discovery.resource(THING)
        pods = await discovery.resource(POD)

        assert (things.path("ns"), pods.path("ns")) == (
            "/apis/example.org/v1/namespaces/ns/things",
            "/api/v1/namespaces/ns/pods",
        )
        assert server.transport.calls() == [
            "GET /apis",
            "GET /apis/example.org/v1",
            "GET /api",
            "GET /api/v1",
        ]

    async def test_a_group_that_fails_keeps_what_was_known(
        self, discovery: Discovery, server: Server, clock: ManualClock
    ) -> None:
        """And the others are read on."""
        server.kinds["example.org", "v1"] = ["Thing"]
        await discovery.resource(THING)
        server.broken["/apis/example.org/v1"] = status_response(503, "ServiceUnavailable")
        server.kinds["other.org", "v1"] = ["New"]

        clock.advance(10 * SECOND)
        with structlog.testing.capture_logs() as logs:
            still = await discovery.served(OPTIONAL)

        assert still == THING
        assert await discovery.resource(GroupVersionKind("other.org", "v1", "New"))
        assert [entry["group_version"] for entry in logs] == ["example.org/v1"]

    async def test_a_group_that_vanishes_meanwhile_is_gone(
        self, discovery: Discovery, server: Server
    ) -> None:
        """Listed a moment ago, not found now."""
        server.kinds["example.org", "v1"] = ["Thing"]
        server.broken["/apis/example.org/v1"] = FakeResponse(404, b"404 page not found")

        with pytest.raises(NoKindMatch, match=r"example\.org$"):
            await discovery.resource(THING)
