"""What stands around every write: the fence before it, the observer of it, its owner, its scope."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.client import Client, Verb, Write, outcome_unknown
from smbpctl.runtime.errors import (
    BadRequest,
    LeadershipLost,
    NoKindMatch,
    NotFound,
    ServerError,
    ServerTimeout,
    TransportError,
)
from smbpctl.runtime.meta import ObjectKey, labels_equal
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    body_of,
    json_response,
    path_of,
    query_of,
    status_response,
)
from test.unit.runtime.client.server import (
    CONFIG_MAP,
    EVERYTHING,
    KEY,
    NODE,
    OWNER,
    PATH,
    POD,
    STORED,
    WRITES,
    Attempt,
    Server,
    manifest,
)

DRY_RUNS: dict[str, Attempt] = {
    "create": lambda client: client.create(manifest(), field_owner=OWNER, dry_run=True),
    "update": lambda client: client.update(
        manifest(resourceVersion="5"), field_owner=OWNER, dry_run=True
    ),
    "apply": lambda client: client.apply(manifest(), field_owner=OWNER, dry_run=True),
    "patch_json": lambda client: client.patch_json(
        CONFIG_MAP, KEY, [], field_owner=OWNER, dry_run=True
    ),
    "patch_merge": lambda client: client.patch_merge(
        CONFIG_MAP, KEY, {}, field_owner=OWNER, dry_run=True
    ),
    "patch_strategic": lambda client: client.patch_strategic(
        CONFIG_MAP, KEY, {}, field_owner=OWNER, dry_run=True
    ),
    "set_scale": lambda client: client.set_scale(
        CONFIG_MAP, KEY, 3, field_owner=OWNER, dry_run=True
    ),
    "delete": lambda client: client.delete(CONFIG_MAP, KEY, dry_run=True),
    "delete_collection": lambda client: client.delete_collection(
        CONFIG_MAP, namespace="ns", selector=EVERYTHING, dry_run=True
    ),
    "evict": lambda client: client.evict(KEY, uid="u", dry_run=True),
}
UNGUARDED: dict[str, Attempt] = {
    "get": lambda client: client.get(CONFIG_MAP, KEY),
    "list": lambda client: client.list(CONFIG_MAP),
    "get_scale": lambda client: client.get_scale(CONFIG_MAP, KEY),
    "get_raw": lambda client: client.get_raw("/readyz"),
    "post": lambda client: client.post("/apis/x", {}),
    **{f"dry {name}": attempt for name, attempt in DRY_RUNS.items()},
}


@pytest.fixture(params=WRITES)
def write(request: pytest.FixtureRequest) -> Attempt:
    """Each mutating verb."""
    return WRITES[request.param]


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


@dataclass
class FakeFence:
    """Allows writes for as long as it is told; counts how often it was asked."""

    left: timedelta | None = None
    open: bool = True
    checks: int = 0

    def check(self) -> None:
        """Refuse once it is closed."""
        self.checks += 1
        if not self.open:
            raise LeadershipLost("the lease is over")

    def allowance(self) -> timedelta | None:
        """Return what is left."""
        return self.left


@dataclass
class Diary:
    """Notes what it is told, in order, and whether a request had left by then."""

    transport: FakeTransport
    told: list[tuple[str, Write, Any]] = field(default_factory=list[tuple[str, Write, Any]])

    def began(self, write: Write, over_within: timedelta) -> None:
        """Note the time it may take."""
        asked = [each for each in self.transport.requests if path_of(each) != "/api"]
        assert asked == [], "a write is told before it is sent, and after everything else"
        self.told.append(("began", write, over_within))

    def answered(self, write: Write, body: bytes) -> None:
        """Note the answer."""
        self.told.append(("answered", write, body))

    def failed(self, write: Write, error: BaseException) -> None:
        """Note the error."""
        self.told.append(("failed", write, error))


def _guarded(server: Server, fence: FakeFence | None = None) -> tuple[Client, Diary]:
    diary = Diary(server.transport)
    client = Client(server.transport, server.discovery, fence=fence, observer=diary)
    return client, diary


class TestFence:
    """Whether this process may write."""

    async def test_is_asked_with_the_connection_in_hand(
        self, server: Server, write: Attempt
    ) -> None:
        """Its last word comes directly before the first byte: nothing is sent then."""
        fence = FakeFence(open=False)
        client, diary = _guarded(server, fence)

        with pytest.raises(LeadershipLost, match="the lease is over"):
            await write(client)

        assert (fence.checks, server.requests) == (1, [])
        assert [what for what, _, _ in diary.told] == ["began", "failed"]
        assert not outcome_unknown(diary.told[-1][2])

    @pytest.mark.parametrize("left", [timedelta(0), timedelta(seconds=-5)])
    async def test_without_allowance_nothing_is_begun(
        self, server: Server, write: Attempt, left: timedelta
    ) -> None:
        """Not even a connection; there is nothing to observe."""
        fence = FakeFence(left)
        client, diary = _guarded(server, fence)

        with pytest.raises(LeadershipLost, match="may no longer write"):
            await write(client)

        assert (server.requests, diary.told, fence.checks) == ([], [], 0)

    @pytest.mark.parametrize(
        ("left", "server_gives_up", "we_give_up"),
        [
            (None, "30000ms", 32.0),
            (timedelta(seconds=100), "30000ms", 32.0),
            (timedelta(milliseconds=1500), "1500ms", 3.5),
        ],
    )
    async def test_its_allowance_bounds_the_call(
        self,
        server: Server,
        write: Attempt,
        left: timedelta | None,
        server_gives_up: str,
        we_give_up: float,
    ) -> None:
        """On the server: a write that began in time must not be executed when it is over."""
        server.script(json_response(STORED))
        client, diary = _guarded(server, FakeFence(left))

        await write(client)

        assert query_of(server.request)["timeout"] == server_gives_up
        assert server.request.timeout == timedelta(seconds=we_give_up)
        assert diary.told[0][2] == timedelta(seconds=we_give_up)

    @pytest.mark.parametrize("name", UNGUARDED)
    async def test_does_not_concern_what_changes_nothing(self, server: Server, name: str) -> None:
        """Reads, dry runs and reviews: they are neither fenced nor observed."""
        server.script(json_response({**STORED, "items": []}))
        fence = FakeFence(timedelta(0), open=False)
        client, diary = _guarded(server, fence)

        await UNGUARDED[name](client)

        assert (len(server.requests), fence.checks, diary.told) == (1, 0, [])


class TestObserver:
    """Each write is told as begun and then as exactly one of answered and failed."""

    async def test_is_told_of_begin_and_answer(self, server: Server) -> None:
        """With the bytes in both directions."""
        answer = json_response(STORED)
        server.script(answer)
        client, diary = _guarded(server)

        await client.apply(manifest(), field_owner=OWNER, subresource="status")

        (begun, write, within), (answered, same, body) = diary.told
        assert (begun, answered, body) == ("began", "answered", answer.body)
        assert (write.verb, write.gvk, write.key) == (Verb.APPLY, CONFIG_MAP, KEY)
        assert write.subresource == "status"
        assert write.body == server.request.body
        assert within == timedelta(seconds=32)
        assert same is write

    @pytest.mark.parametrize(
        ("answer", "unknown"),
        [
            (TransportError("reset", sent=True), True),
            (TransportError("refused", sent=False), False),
            (status_response(504, "Timeout"), True),
            (status_response(409, "Conflict"), False),
            (FakeResponse(404, b"404 page not found"), False),
            (FakeResponse(200, b"<html>Log in</html>"), True),
        ],
    )
    async def test_is_told_of_failures(
        self, server: Server, write: Attempt, answer: Answer, unknown: bool
    ) -> None:
        """With what rises to the caller; an answer that is no JSON is no success."""
        server.script(answer)
        client, diary = _guarded(server)

        with pytest.raises(Exception, match=r".") as caught:
            await write(client)

        assert [what for what, _, _ in diary.told] == ["began", "failed"]
        assert diary.told[-1][2] is caught.value
        assert outcome_unknown(caught.value) is unknown

    async def test_an_absent_object_is_a_failure_to_delete_it(self, server: Server) -> None:
        """The caller gets False, the observer what the server said."""
        server.script(status_response(404, "NotFound"))
        client, diary = _guarded(server)

        deleted = await client.delete(CONFIG_MAP, KEY)

        assert not deleted
        assert isinstance(diary.told[-1][2], NotFound)

    async def test_is_told_of_cancellation(self, write: Attempt) -> None:
        """While the answer is awaited: what came of the write is then unknown."""
        server = Server()
        asked = asyncio.Event()

        async def never(_: object) -> Answer:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        await server.discovery.resource(CONFIG_MAP)
        server.transport.handler = never
        client, diary = _guarded(server)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_quietly(write(client)))
            await asked.wait()

            task.cancel()

        assert [what for what, _, _ in diary.told] == ["began", "failed"]
        assert isinstance(diary.told[-1][2], asyncio.CancelledError)
        assert outcome_unknown(diary.told[-1][2])

    async def test_is_not_told_of_what_never_began(self, server: Server) -> None:
        """A kind that is not served, an owner that is not named."""
        client, diary = _guarded(server)
        unserved = {**manifest(), "kind": "Nothing"}

        with pytest.raises(NoKindMatch):
            await client.apply(unserved, field_owner=OWNER)
        with pytest.raises(ValueError, match="apply ConfigMap ns/a: no field owner"):
            await client.apply(manifest())

        assert diary.told == []

    async def test_names_collections_and_evictions(self, server: Server) -> None:
        """A collection has no name, an eviction is one of the pod."""
        server.script(json_response({"items": []}), json_response({}, 201))
        client, diary = _guarded(server)

        await client.delete_collection(CONFIG_MAP, namespace="ns", selector=EVERYTHING)
        diary.transport.requests.clear()
        await client.evict(KEY, uid="u")

        collection, eviction = diary.told[0][1], diary.told[2][1]
        assert (collection.verb, collection.key) == (Verb.DELETE_COLLECTION, ObjectKey("ns", ""))
        assert (eviction.verb, eviction.gvk, eviction.key) == (Verb.EVICT, POD, KEY)
        assert eviction.subresource == "eviction"


async def _quietly(attempt: Awaitable[Any]) -> None:
    await attempt


class TestDryRun:
    """Everything but storing."""

    @pytest.mark.parametrize("name", DRY_RUNS)
    async def test_is_asked_of_every_verb(self, server: Server, name: str) -> None:
        """In the query, and for deletions in the body, which is all that the server reads then."""
        server.script(json_response(STORED))

        await DRY_RUNS[name](server.client)

        assert query_of(server.request)["dryRun"] == "All"
        if name in {"delete", "delete_collection"}:
            assert body_of(server.request)["dryRun"] == ["All"]

    async def test_is_never_meant_by_accident(self, server: Server, write: Attempt) -> None:
        """A write that is none must not be one."""
        server.script(json_response(STORED))

        await write(server.client)

        assert "dryRun" not in server.request.url
        assert b"dryRun" not in (server.request.body or b"")


class TestScope:
    """Collections are deleted where the caller said, or not at all."""

    async def test_a_namespaced_kind_needs_its_namespace(self, server: Server) -> None:
        """Left empty it would be all of them."""
        with pytest.raises(ValueError, match=r"delete selected ConfigMap: .* name the namespace"):
            await server.client.delete_collection(CONFIG_MAP, namespace="", selector=EVERYTHING)

        assert server.requests == []

    async def test_a_kind_without_namespaces_takes_none(self, server: Server) -> None:
        """The path would leave it out, and reach wider than what was named."""
        with pytest.raises(ValueError, match="Node has no namespaces"):
            await server.client.delete_collection(NODE, namespace="ns", selector=EVERYTHING)

        assert server.requests == []

    async def test_cluster_scoped_collections(self, server: Server) -> None:
        """Selected by labels."""
        server.script(json_response({"items": None}))

        await server.client.delete_collection(NODE, namespace="", selector=labels_equal({"a": "b"}))

        assert (server.request.method, path_of(server.request)) == ("DELETE", "/api/v1/nodes")
        assert query_of(server.request)["labelSelector"] == "a=b"


async def test_a_timeout_of_the_server_is_told_apart(server: Server) -> None:
    """504 is the server's own word that it gave up."""
    server.script(status_response(504, "Timeout", "request did not complete"))

    with pytest.raises(ServerTimeout, match=f"update ConfigMap {KEY}: request did not"):
        await server.client.update(manifest(resourceVersion="5"), field_owner=OWNER)

    assert path_of(server.request) == f"{PATH}/a"


class TestUnknownFieldInApply:
    """The server answers it with 500, and the write is refused all the same."""

    TEXT = (
        "failed to create typed patch object (ns/a; /v1, Kind=ConfigMap): .dta: field not declared"
    )

    async def test_is_a_bad_request(self, server: Server) -> None:
        """As with every other verb, so that nobody looks what came of it."""
        server.script(status_response(500, "", self.TEXT))
        client, diary = _guarded(server)

        with pytest.raises(BadRequest, match=r"apply ConfigMap ns/a: .*\.dta: field not") as caught:
            await client.apply(manifest(), field_owner=OWNER)

        assert caught.value.code == 400
        assert not outcome_unknown(diary.told[-1][2])

    @pytest.mark.parametrize(
        "answer",
        [
            status_response(500, "InternalError", "etcdserver: request timed out"),
            status_response(503, "", TEXT),
        ],
    )
    async def test_is_told_from_other_failures(self, server: Server, answer: Answer) -> None:
        """Of which the outcome is open."""
        server.script(answer)

        with pytest.raises(ServerError):
            await server.client.apply(manifest(), field_owner=OWNER)

    async def test_concerns_no_other_verb(self, server: Server) -> None:
        """They are answered by 400 and 422."""
        server.script(status_response(500, "", self.TEXT))

        with pytest.raises(ServerError):
            await server.client.patch_merge(CONFIG_MAP, KEY, {}, field_owner=OWNER)
