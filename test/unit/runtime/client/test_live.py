"""The verbs: what each sends, and what it makes of the answer."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from smbpctl.runtime.client import Backend, GetCall, Propagation, Validation
from smbpctl.runtime.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NoKindMatch,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
)
from smbpctl.runtime.meta import GroupVersionKind, fields_equal, labels_equal
from test.support.fake_transport import (
    Answer,
    FakeResponse,
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
    OWNER,
    PATH,
    POD,
    STORED,
    WRITES,
    Attempt,
    Server,
    manifest,
)


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


def _page(*names: str, token: str = "", version: str = "7") -> FakeResponse:
    items = [{"metadata": {"name": name}} for name in names]
    metadata = {"resourceVersion": version, "continue": token}
    return json_response({"kind": "ConfigMapList", "metadata": metadata, "items": items})


class TestGet:
    """One object."""

    async def test_is_a_get_of_its_path(self, server: Server) -> None:
        """With a limit on the time it may take."""
        server.script(json_response(STORED))

        found = await server.client.get(CONFIG_MAP, KEY)

        assert found == STORED
        assert (server.request.method, server.request.url) == ("GET", f"{PATH}/a")
        assert server.request.headers == {"Accept": "application/json"}
        assert server.request.timeout == timedelta(seconds=30)

    async def test_of_nothing_is_none(self, server: Server) -> None:
        """Absence is no error."""
        server.script(status_response(404, "NotFound"))

        assert await server.client.get(CONFIG_MAP, KEY) is None

    @pytest.mark.parametrize(
        ("answer", "expected", "message"),
        [
            (status_response(403, "Forbidden", "not you"), Forbidden, "not you"),
            (FakeResponse(502, b"<h1>Bad Gateway</h1>"), ServerError, "Bad Gateway"),
            (FakeResponse(200, b"<h1>Log in</h1>"), TransportError, "Log in"),
            (FakeResponse(200, b'{"kind": "Con'), TransportError, "not the expected JSON"),
            (FakeResponse(200, b""), TransportError, "an empty body"),
            (TransportError("down", sent=False), TransportError, "down"),
        ],
    )
    async def test_errors_lead_with_what_was_attempted(
        self, server: Server, answer: Answer, expected: type[Exception], message: str
    ) -> None:
        """Never None: only a 404 of the server says that there is nothing."""
        server.script(answer)

        with pytest.raises(expected, match=f"^get ConfigMap ns/a: .*{message}"):
            await server.client.get(CONFIG_MAP, KEY)

    @pytest.mark.parametrize(
        "gone", [FakeResponse(404, b"404 page not found"), status_response(404, "x", details={})]
    )
    async def test_of_a_kind_that_is_gone_is_not_none(
        self, server: Server, gone: FakeResponse
    ) -> None:
        """The CRD was removed: its objects being absent would be a wrong conclusion."""
        server.script(gone, json_response(STORED))
        with pytest.raises(NoKindMatch, match=r"^get ConfigMap ns/a: "):
            await server.client.get(CONFIG_MAP, KEY)

        await server.client.get(CONFIG_MAP, KEY)

        assert server.transport.calls().count("GET /api") == 2

    async def test_of_an_unknown_kind(self, server: Server) -> None:
        """Nothing is sent."""
        with pytest.raises(NoKindMatch):
            await server.client.get(GroupVersionKind("", "v1", "Nothing"), KEY)

        assert server.requests == []


class TestList:
    """All objects, in pages."""

    async def test_walks_the_pages(self, server: Server) -> None:
        """500 at a time, each following the other's token."""
        server.script(_page("a", "b", token="t1"), _page("c", token="t2"), _page())

        found = await server.client.list(CONFIG_MAP, namespace="ns")

        assert [item["metadata"]["name"] for item in found] == ["a", "b", "c"]
        assert [query_of(request) for request in server.requests] == [
            {"limit": "500"},
            {"limit": "500", "continue": "t1"},
            {"limit": "500", "continue": "t2"},
        ]
        assert {path_of(request) for request in server.requests} == {PATH}

    async def test_items_get_their_kind(self, server: Server) -> None:
        """Typed lists leave it out, and nothing can be applied without."""
        server.script(_page("a"))

        (found,) = await server.client.list(CONFIG_MAP)

        assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")

    async def test_selects_by_labels(self, server: Server) -> None:
        """On the server; without namespace in all of them."""
        server.script(_page())

        await server.client.list(CONFIG_MAP, selector=labels_equal({"app": "x"}))

        assert path_of(server.request) == "/api/v1/configmaps"
        assert query_of(server.request)["labelSelector"] == "app=x"

    async def test_begins_again_when_the_moment_is_forgotten(self, server: Server) -> None:
        """Once: nothing of the first attempt may remain."""
        expired = status_response(410, "Expired", "the token is too old")
        server.script(_page("old", token="t"), expired, _page("new"))

        found = await server.client.list(CONFIG_MAP)

        assert [item["metadata"]["name"] for item in found] == ["new"]

    async def test_gives_up_when_it_is_forgotten_again(self, server: Server) -> None:
        """Whoever asks has a backoff."""
        expired = status_response(410, "Expired")
        server.script(_page("a", token="t"), expired, _page("a", token="t"), expired)

        with pytest.raises(Gone, match=r"^list ConfigMap: "):
            await server.client.list(CONFIG_MAP)

    @pytest.mark.parametrize("items", [None, "absent"])
    async def test_of_nothing(self, server: Server, items: object) -> None:
        """Go writes an empty list as null."""
        body: dict[str, Any] = {"metadata": {}, "items": None}
        if items == "absent":
            del body["items"]
        server.script(json_response(body))

        assert await server.client.list(CONFIG_MAP) == []


class TestListPages:
    """Raw pages for an informer."""

    async def test_are_the_bytes_of_the_server(self, server: Server) -> None:
        """As metadata, from a given moment on, in pages of a given size."""
        first, second = _page("a", token="t"), _page("b")
        server.script(first, second)

        pages = [
            page
            async for page in server.client.list_pages(
                CONFIG_MAP, metadata_only=True, page_size=2, resource_version="5"
            )
        ]

        assert pages == [first.body, second.body]
        assert [query_of(request) for request in server.requests] == [
            {"limit": "2", "resourceVersion": "5"},
            {"limit": "2", "continue": "t"},
        ]
        assert "as=PartialObjectMetadataList" in server.requests[1].headers["Accept"]

    async def test_an_expired_token_rises(self, server: Server) -> None:
        """The informer decides how to begin again."""
        server.script(_page("a", token="t"), status_response(410, "Expired"))
        pages = server.client.list_pages(CONFIG_MAP)

        await anext(pages)

        with pytest.raises(Gone):
            await anext(pages)

    async def test_a_page_that_is_no_list(self, server: Server) -> None:
        """A login page must not pass for an empty list."""
        server.script(FakeResponse(200, b"<html>"))

        with pytest.raises(TransportError, match="list ConfigMap in ns"):
            await anext(server.client.list_pages(CONFIG_MAP, namespace="ns"))


class TestWatch:
    """Raw chunks for an informer."""

    def _watch(self, server: Server, **options: Any) -> Any:
        return server.client.watch(
            CONFIG_MAP,
            **{
                "resource_version": "5",
                "timeout": timedelta(minutes=5),
                "read_timeout": timedelta(seconds=150),
                **options,
            },
        )

    async def test_hands_out_chunks_as_they_come(self, server: Server) -> None:
        """Without total limit, but with one on silence; closed when the block ends."""
        server.script(FakeResponse(stream=[b'{"ty', b'pe": 1}\n']))

        async with self._watch(server, namespace="ns", metadata_only=True) as chunks:
            seen = [chunk async for chunk in chunks]

        request = server.request
        assert seen == [b'{"ty', b'pe": 1}\n']
        assert (request.timeout, request.read_timeout) == (None, timedelta(seconds=150))
        assert query_of(request)["resourceVersion"] == "5"
        assert query_of(request)["timeoutSeconds"] == "300"
        assert "as=PartialObjectMetadata;" in request.headers["Accept"]
        assert server.transport.open_exchanges == 0

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (status_response(410, "Expired"), Gone),
            (status_response(429, "TooManyRequests"), TooManyRequests),
            (FakeResponse(502, b"<html>"), ServerError),
            (FakeResponse(404, b"404 page not found"), NoKindMatch),
            (TransportError("down", sent=False), TransportError),
            (FakeResponse(200, b"<html>", {"content-type": "text/html"}), TransportError),
            (FakeResponse(200, b"x", {}), TransportError),
        ],
    )
    async def test_what_is_no_watch_rises_on_entering(
        self, server: Server, answer: Answer, expected: type[Exception]
    ) -> None:
        """A proxy's page must never be taken for events."""
        server.script(answer)

        with pytest.raises(expected, match=r"^watch ConfigMap( in ns)?: "):
            async with self._watch(server):
                pytest.fail("the block must not be entered")

        assert server.transport.open_exchanges == 0

    async def test_errors_of_the_block_are_not_touched(self, server: Server) -> None:
        """A NotFound raised by whoever handles events says nothing of the watched kind."""
        server.script(FakeResponse(stream=[b"x"]))
        error = NotFound("mine", code=404)

        with pytest.raises(NotFound) as caught:
            async with self._watch(server):
                raise error

        assert caught.value is error


SENDS: dict[str, Attempt] = {**WRITES, "post": lambda client: client.post("/apis/x", {})}


@pytest.fixture(params=SENDS)
def write(request: pytest.FixtureRequest) -> Attempt:
    """Each mutating verb."""
    return SENDS[request.param]


class TestEveryWrite:
    """What all mutating verbs have in common."""

    async def test_ends_on_the_server_before_it_ends_here(
        self, server: Server, write: Attempt
    ) -> None:
        """After a timeout the write is over, one way or the other."""
        server.script(json_response(STORED))

        await write(server.client)

        assert query_of(server.request)["timeout"] == "30000ms"
        assert server.request.timeout == timedelta(seconds=32)

    async def test_tells_whether_a_lost_one_was_sent(self, server: Server, write: Attempt) -> None:
        """And is not repeated."""
        server.script(TransportError("reset", sent=True))

        with pytest.raises(TransportError, match="reset") as caught:
            await write(server.client)

        assert caught.value.sent
        assert len(server.requests) == 1

    async def test_passes_on_when_to_come_back(self, server: Server, write: Attempt) -> None:
        """Flow control and disruption budgets name a delay."""
        headers = {"retry-after": "10"}
        server.script(status_response(429, "TooManyRequests", headers=headers))

        with pytest.raises(TooManyRequests) as caught:
            await write(server.client)

        assert caught.value.retry_after == timedelta(seconds=10)

    async def test_of_a_kind_that_is_gone(self, server: Server, write: Attempt) -> None:
        """Deletion too: the path is gone, not the object."""
        server.script(FakeResponse(404, b"404 page not found"))

        with pytest.raises(NoKindMatch):
            await write(server.client)


class TestCreate:
    """POST."""

    async def test_sends_the_manifest_to_its_namespace(self, server: Server) -> None:
        """Unknown fields are refused; the owner is named."""
        server.script(json_response(STORED, 201))

        stored = await server.client.create(manifest(), field_owner="smbpctl/x")

        assert stored == STORED
        assert (server.request.method, path_of(server.request)) == ("POST", PATH)
        assert body_of(server.request) == manifest()
        assert query_of(server.request) == {
            "timeout": "30000ms",
            "fieldManager": "smbpctl/x",
            "fieldValidation": "Strict",
        }

    async def test_a_taken_name(self, server: Server) -> None:
        """AlreadyExists is not a Conflict."""
        server.script(status_response(409, "AlreadyExists"))

        with pytest.raises(AlreadyExists, match=r"^create ConfigMap ns/a: "):
            await server.client.create(manifest(), field_owner="x")

    async def test_a_generated_name(self, server: Server) -> None:
        """The server chooses it."""
        unnamed = {**manifest(), "metadata": {"generateName": "a-", "namespace": "ns"}}
        server.script(status_response(422, "Invalid"))

        with pytest.raises(Invalid, match=r"^create ConfigMap ns/a-: "):
            await server.client.create(unnamed, field_owner="x")


class TestApply:
    """Server-side apply."""

    async def test_is_a_patch_of_the_apply_type(self, server: Server) -> None:
        """Strict, and not forced unless asked."""
        server.script(json_response(STORED))

        await server.client.apply(manifest(), field_owner="smbpctl/x")

        request = server.request
        assert (request.method, path_of(request)) == ("PATCH", f"{PATH}/a")
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert body_of(request) == manifest()
        assert query_of(request) == {
            "timeout": "30000ms",
            "fieldManager": "smbpctl/x",
            "fieldValidation": "Strict",
        }

    async def test_options(self, server: Server) -> None:
        """Force, dry run, subresource."""
        server.script(json_response(STORED))

        await server.client.apply(
            manifest(), field_owner="x", force=True, subresource="status", dry_run=True
        )

        query = query_of(server.request)
        assert path_of(server.request) == f"{PATH}/a/status"
        assert (query["force"], query["dryRun"]) == ("true", "All")

    async def test_a_conflict_names_managers_and_fields(self, server: Server) -> None:
        """As the server tells them."""
        cause = {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl"',
            "field": ".data.k",
        }
        details = {"name": "a", "causes": [cause]}
        server.script(status_response(409, "Conflict", "1 conflict", details=details))

        with pytest.raises(Conflict, match=r"^apply ConfigMap/status ns/a: 1 conflict") as caught:
            await server.client.apply(manifest(), field_owner="x", subresource="status")

        (found,) = caught.value.causes
        assert (found.field, found.message) == (".data.k", 'conflict with "kubectl"')

    async def test_an_unknown_field(self, server: Server) -> None:
        """Strict validation answers 400."""
        server.script(status_response(400, "BadRequest", 'unknown field "spec.x"'))

        with pytest.raises(BadRequest, match="unknown field"):
            await server.client.apply(manifest(), field_owner="x")

    async def test_without_name(self, server: Server) -> None:
        """A programming error, before anything is sent."""
        with pytest.raises(ValueError, match=r"metadata\.name is missing"):
            await server.client.apply({**manifest(), "metadata": {}}, field_owner="x")

        assert server.transport.requests == []


async def test_json_patch(server: Server) -> None:
    """A list of operations, under its media type."""
    operations = [{"op": "test", "path": "/metadata/uid", "value": "u"}]
    server.script(json_response(STORED), status_response(422, "Invalid", "test failed"))

    await server.client.patch_json(
        CONFIG_MAP, KEY, operations, field_owner="x", subresource="status"
    )
    with pytest.raises(Invalid, match=r"^patch ConfigMap ns/a: test failed"):
        await server.client.patch_json(CONFIG_MAP, KEY, operations, field_owner="x")

    first = server.requests[0]
    assert path_of(first) == f"{PATH}/a/status"
    assert first.headers["Content-Type"] == "application/json-patch+json"
    assert body_of(first) == operations


async def test_merge_patch(server: Server) -> None:
    """Null removes a field and must be sent."""
    server.script(json_response(STORED))

    await server.client.patch_merge(CONFIG_MAP, KEY, {"data": {"k": None}}, field_owner="x")

    assert server.request.headers["Content-Type"] == "application/merge-patch+json"
    assert body_of(server.request) == {"data": {"k": None}}
    assert query_of(server.request)["fieldManager"] == "x"


class TestDelete:
    """DELETE."""

    async def test_is_bound_to_what_was_read(self, server: Server) -> None:
        """By UID and resourceVersion; background deletion unless told otherwise."""
        server.script(json_response({"kind": "Status", "status": "Success"}))

        deleted = await server.client.delete(CONFIG_MAP, KEY, uid="u", resource_version="5")

        assert deleted
        assert (server.request.method, path_of(server.request)) == ("DELETE", f"{PATH}/a")
        body = body_of(server.request)
        assert body["preconditions"] == {"uid": "u", "resourceVersion": "5"}
        assert body["propagationPolicy"] == "Background"

    async def test_of_nothing_is_false(self, server: Server) -> None:
        """What should be gone is gone."""
        server.script(status_response(404, "NotFound"))

        assert not await server.client.delete(CONFIG_MAP, KEY)

    async def test_of_another_object_is_a_conflict(self, server: Server) -> None:
        """The name lives on with another UID."""
        server.script(status_response(409, "Conflict", "the UID in the precondition"))

        with pytest.raises(Conflict, match=r"^delete ConfigMap ns/a: "):
            await server.client.delete(CONFIG_MAP, KEY, uid="u")

    async def test_options(self, server: Server) -> None:
        """Propagation and grace period; the answer's body is of no interest."""
        server.script(FakeResponse(202, b""))

        deleted = await server.client.delete(
            CONFIG_MAP,
            KEY,
            propagation=Propagation.ORPHAN,
            grace_period=timedelta(seconds=5),
        )

        body = body_of(server.request)
        assert deleted
        assert (body["propagationPolicy"], body["gracePeriodSeconds"]) == ("Orphan", 5)
        assert "preconditions" not in body


class TestEvict:
    """Evictions of pods."""

    async def test_is_posted_to_the_pod(self, server: Server) -> None:
        """Bound to the pod's UID."""
        server.script(json_response({"kind": "Status", "status": "Success"}, 201))

        await server.client.evict(KEY, uid="u")

        assert path_of(server.request) == "/api/v1/namespaces/ns/pods/a/eviction"
        assert body_of(server.request)["deleteOptions"]["preconditions"] == {"uid": "u"}

    async def test_a_budget_that_does_not_allow_it(self, server: Server) -> None:
        """429, with the budget in the message."""
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        server.script(status_response(429, "TooManyRequests", message))

        with pytest.raises(TooManyRequests, match=r"^evict Pod ns/a: .*disruption budget"):
            await server.client.evict(KEY, uid="u")

    async def test_of_nothing(self, server: Server) -> None:
        """Unlike a deletion this is told: a drained pod must have been seen to go."""
        server.script(status_response(404, "NotFound"))

        with pytest.raises(NotFound):
            await server.client.evict(KEY, uid="u")


async def test_post_and_get_raw_take_paths(server: Server) -> None:
    """For reviews and for anything that is no object."""
    server.script(json_response({"status": {"allowed": True}}, 201), FakeResponse(200, b"text"))

    review = await server.client.post("/apis/authorization.k8s.io/v1/reviews", {"spec": {}})
    raw = await server.client.get_raw("/readyz?verbose")

    assert review == {"status": {"allowed": True}}
    assert raw == b"text"
    assert server.requests[1].url == "/readyz?verbose"


class TestUpdate:
    """PUT."""

    async def test_replaces_the_version_that_was_read(self, server: Server) -> None:
        """Whole; the version in it is the precondition."""
        read = manifest(resourceVersion="5")
        server.script(json_response(STORED))

        stored = await server.client.update(read, field_owner=OWNER, subresource="status")

        assert stored == STORED
        assert (server.request.method, path_of(server.request)) == ("PUT", f"{PATH}/a/status")
        assert body_of(server.request) == read

    async def test_without_version_is_refused(self, server: Server) -> None:
        """It would overwrite whatever is there by now."""
        with pytest.raises(ValueError, match=r"update ConfigMap ns/a: metadata\.resourceVersion"):
            await server.client.update(manifest(), field_owner=OWNER)

        assert server.transport.requests == []

    async def test_overwrites_only_when_told_to(self, server: Server) -> None:
        """Then the version is not sent, and the caller's manifest is not changed."""
        read = manifest(resourceVersion="5")
        server.script(json_response(STORED))

        await server.client.update(read, field_owner=OWNER, overwrite=True)

        assert body_of(server.request) == manifest()
        assert read["metadata"]["resourceVersion"] == "5"


class TestPreconditions:
    """Patches of the object that was read, and of no other."""

    async def test_of_a_json_patch_are_tests_that_come_first(self, server: Server) -> None:
        """So that nothing is done before they hold."""
        change = {"op": "remove", "path": "/data"}
        server.script(json_response(STORED))

        await server.client.patch_json(
            CONFIG_MAP, KEY, [change], field_owner=OWNER, uid="u", resource_version="5"
        )

        assert body_of(server.request) == [
            {"op": "test", "path": "/metadata/uid", "value": "u"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
            change,
        ]

    async def test_of_a_json_patch_that_do_not_hold(self, server: Server) -> None:
        """A Conflict, not an invalid object: the caller reads again."""
        server.script(status_response(422, "Invalid", "the server rejected our request"))

        with pytest.raises(Conflict, match=r"^patch ConfigMap ns/a: the server rejected"):
            await server.client.patch_json(CONFIG_MAP, KEY, [], field_owner=OWNER, uid="u")

    async def test_do_not_hide_an_invalid_object(self, server: Server) -> None:
        """It names its fields."""
        details = {"causes": [{"field": "data", "reason": "FieldValueInvalid"}]}
        server.script(status_response(422, "Invalid", details=details))

        with pytest.raises(Invalid):
            await server.client.patch_json(CONFIG_MAP, KEY, [], field_owner=OWNER, uid="u")

    async def test_of_a_merge_patch_are_its_version(self, server: Server) -> None:
        """Beside whatever else it changes in the metadata."""
        patch = {"metadata": {"labels": {"a": "b"}}}
        server.script(json_response(STORED), json_response(STORED))

        await server.client.patch_merge(
            CONFIG_MAP, KEY, patch, field_owner=OWNER, resource_version="5"
        )
        await server.client.patch_strategic(
            CONFIG_MAP, KEY, patch, field_owner=OWNER, resource_version="5"
        )

        expected = {"metadata": {"labels": {"a": "b"}, "resourceVersion": "5"}}
        assert [body_of(request) for request in server.requests] == [expected, expected]
        assert patch == {"metadata": {"labels": {"a": "b"}}}

    async def test_of_an_eviction(self, server: Server) -> None:
        """The pod that was seen, in the version that was seen."""
        server.script(json_response({}, 201))

        await server.client.evict(KEY, uid="u", resource_version="5")

        preconditions = body_of(server.request)["deleteOptions"]["preconditions"]
        assert preconditions == {"uid": "u", "resourceVersion": "5"}


async def test_strategic_merge_patch(server: Server) -> None:
    """Under its media type."""
    server.script(json_response(STORED))

    await server.client.patch_strategic(POD, KEY, {"spec": {}}, field_owner=OWNER)

    content_type = server.request.headers["Content-Type"]
    assert content_type == "application/strategic-merge-patch+json"


class TestScale:
    """The subresource that many kinds share."""

    async def test_is_read(self, server: Server) -> None:
        """None when there is no such object."""
        scale = {"kind": "Scale", "spec": {"replicas": 2}}
        server.script(json_response(scale), status_response(404, "NotFound"))

        found = await server.client.get_scale(CONFIG_MAP, KEY)
        absent = await server.client.get_scale(CONFIG_MAP, KEY)

        assert (found, absent) == (scale, None)
        assert path_of(server.requests[0]) == f"{PATH}/a/scale"

    async def test_is_set(self, server: Server) -> None:
        """By a merge patch, which other fields of the scale do not hinder."""
        server.script(json_response({"kind": "Scale"}))

        await server.client.set_scale(CONFIG_MAP, KEY, 0, field_owner=OWNER, resource_version="5")

        assert (server.request.method, path_of(server.request)) == ("PATCH", f"{PATH}/a/scale")
        assert body_of(server.request) == {
            "metadata": {"resourceVersion": "5"},
            "spec": {"replicas": 0},
        }

    async def test_of_a_kind_that_has_none(self, server: Server) -> None:
        """The path is not served: no object is missing."""
        server.script(FakeResponse(404, b"404 page not found"))

        with pytest.raises(NoKindMatch, match=r"^patch ConfigMap/scale ns/a: "):
            await server.client.set_scale(CONFIG_MAP, KEY, 1, field_owner=OWNER)


class TestDeleteCollection:
    """DELETE of what a selector selects."""

    async def test_selects_on_the_server(self, server: Server) -> None:
        """With the options of a deletion; what was asked for is returned with its kind."""
        item = {"metadata": {"name": "a", "namespace": "ns"}}
        server.script(json_response({"kind": "ConfigMapList", "items": [item]}))

        asked = await server.client.delete_collection(
            CONFIG_MAP,
            namespace="ns",
            selector=labels_equal({"app": "x"}),
            fields=fields_equal({"metadata.name": "a"}),
            propagation=Propagation.ORPHAN,
            grace_period=timedelta(seconds=5),
        )

        query, body = query_of(server.request), body_of(server.request)
        assert asked == [{"apiVersion": "v1", "kind": "ConfigMap", **item}]
        assert (server.request.method, path_of(server.request)) == ("DELETE", PATH)
        assert (query["labelSelector"], query["fieldSelector"]) == ("app=x", "metadata.name=a")
        assert (body["propagationPolicy"], body["gracePeriodSeconds"]) == ("Orphan", 5)

    async def test_of_everything(self, server: Server) -> None:
        """By that name only: a selector cannot be left out."""
        server.script(json_response({"kind": "Status", "status": "Success"}))

        asked = await server.client.delete_collection(
            CONFIG_MAP, namespace="ns", selector=EVERYTHING
        )

        assert asked == []
        assert "Selector" not in server.request.url

    async def test_errors_say_where(self, server: Server) -> None:
        """The kind and the namespace."""
        server.script(status_response(403, "Forbidden"))

        with pytest.raises(Forbidden, match=r"^delete selected ConfigMap in ns: "):
            await server.client.delete_collection(CONFIG_MAP, namespace="ns", selector=EVERYTHING)


@pytest.mark.parametrize("validation", Validation)
@pytest.mark.parametrize("name", ["create", "update", "patch_json", "patch_merge", "set_scale"])
async def test_field_validation(server: Server, name: str, validation: Validation) -> None:
    """As asked; unknown fields are refused unless the caller says otherwise."""
    attempts: dict[str, Callable[..., Awaitable[Any]]] = {
        "create": partial(server.client.create, manifest()),
        "update": partial(server.client.update, manifest(resourceVersion="5")),
        "patch_json": partial(server.client.patch_json, CONFIG_MAP, KEY, []),
        "patch_merge": partial(server.client.patch_merge, CONFIG_MAP, KEY, {}),
        "set_scale": partial(server.client.set_scale, CONFIG_MAP, KEY, 1),
    }
    server.script(json_response(STORED), json_response(STORED))

    await attempts[name](field_owner=OWNER)
    await attempts[name](field_owner=OWNER, validation=validation)

    sent = [query_of(request)["fieldValidation"] for request in server.requests]
    assert sent == ["Strict", validation.value]


async def test_a_subresource_is_read(server: Server) -> None:
    """Named in errors too."""
    server.script(json_response(STORED), status_response(403, "Forbidden"))

    found = await server.client.get(POD, KEY, subresource="status")
    with pytest.raises(Forbidden, match=r"^get Pod/status ns/a: "):
        await server.client.get(POD, KEY, subresource="status")

    assert found == STORED
    assert path_of(server.requests[0]) == "/api/v1/namespaces/ns/pods/a/status"


async def test_lists_select_by_fields(server: Server) -> None:
    """Where the server can."""
    server.script(_page())

    await server.client.list(POD, fields=fields_equal({"spec.nodeName": "n"}))

    assert query_of(server.request)["fieldSelector"] == "spec.nodeName=n"


async def test_a_wrapper_stands_before_the_server(server: Server) -> None:
    """The wrapped client is another one; the first is as it was."""
    server.script(json_response(STORED))

    class Absent:
        def __init__(self, backend: Backend) -> None:
            self.resource, self.pages, self.watch = backend.resource, backend.pages, backend.watch
            self.write, self.raw = backend.write, backend.raw

        async def get(self, call: GetCall) -> None:
            return None

    absent = await server.client.wrapped(Absent).get(CONFIG_MAP, KEY)
    found = await server.client.get(CONFIG_MAP, KEY)

    assert (absent, found) == (None, STORED)
