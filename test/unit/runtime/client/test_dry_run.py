"""The writes of a reconciler, told and not made."""

from typing import Any

import pytest

from smbpctl.runtime.client import REDACTED, Client, DryRunRecorder, Effect, Verb
from smbpctl.runtime.errors import Conflict, Forbidden, TransportError
from smbpctl.runtime.meta import ObjectKey
from test.support.fake_transport import body_of, json_response, query_of, status_response
from test.unit.runtime.client.server import (
    CONFIG_MAP,
    EVERYTHING,
    KEY,
    OWNER,
    STORED,
    WRITES,
    Server,
    exercise_reads,
    manifest,
)


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


@pytest.mark.parametrize("name", WRITES)
async def test_nothing_is_stored(server: Server, name: str) -> None:
    """Of no verb: every request that is no read is a dry run, in all ways the server reads."""
    server.script(json_response(STORED), json_response(STORED))
    recorder = DryRunRecorder(server.client)

    await WRITES[name](recorder.client)

    writes = [request for request in server.requests if request.method != "GET"]
    assert [query_of(request)["dryRun"] for request in writes] == ["All"]
    if writes[0].method == "DELETE":
        assert body_of(writes[0])["dryRun"] == ["All"]


async def test_nor_by_raw_requests(server: Server) -> None:
    """They are no writes of objects, and may be all the same."""
    server.script(json_response({}))

    await DryRunRecorder(server.client).client.post("/api/v1/namespaces/ns/pods", {})

    assert query_of(server.request)["dryRun"] == "All"


async def test_a_change_is_told_field_by_field(server: Server) -> None:
    """Against what is stored; the caller gets what the server answered."""
    answer = {**manifest(resourceVersion="5"), "data": {"k": "new"}}
    server.script(json_response(manifest(resourceVersion="5")), json_response(answer))
    recorder = DryRunRecorder(server.client)

    stored = await recorder.client.apply(manifest(), field_owner=OWNER)

    (planned,) = recorder.planned
    assert stored == answer
    assert (planned.verb, planned.gvk, planned.key) == (Verb.APPLY, CONFIG_MAP, KEY)
    assert (planned.effect, planned.field_owner) == (Effect.CHANGED, OWNER)
    assert str(planned) == 'apply ConfigMap ns/a: changed\n  .data.k: "v" -> "new"'


async def test_what_others_do_meanwhile_is_no_part_of_the_plan(server: Server) -> None:
    """The answer is in the version it started from: another one than was read is read again."""
    first, second = manifest(resourceVersion="5"), manifest(resourceVersion="6", labels={"a": "b"})
    answer = {**second, "data": {"k": "new"}}
    server.script(*map(json_response, (first, answer, second, answer)))
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(manifest(), field_owner=OWNER)

    (planned,) = recorder.planned
    assert [change.path for change in planned.changes] == [".data.k"]


async def test_an_object_that_never_rests_is_told_as_it_is(server: Server) -> None:
    """After some attempts, with what others did."""
    answers = [json_response(manifest(resourceVersion=str(version))) for version in range(1, 11)]
    server.script(*answers)
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(manifest(), field_owner=OWNER)

    assert [each.effect for each in recorder.planned] == [Effect.UNCHANGED]
    assert len(server.requests) == 10


async def test_what_would_change_nothing_says_so(server: Server) -> None:
    """A write all the same: the server is asked."""
    server.script(
        json_response(manifest(resourceVersion="5")), json_response(manifest(resourceVersion="5"))
    )
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(manifest(), field_owner=OWNER)

    assert [str(each) for each in recorder.planned] == ["apply ConfigMap ns/a: unchanged"]


@pytest.mark.parametrize("verb", ["apply", "create"])
async def test_what_would_be_created_is_told_whole(server: Server, verb: str) -> None:
    """A creation does not look whether there is something: the server would refuse it."""
    absent = [status_response(404, "NotFound")] if verb == "apply" else []
    server.script(*absent, json_response(manifest()))
    recorder = DryRunRecorder(server.client)

    await getattr(recorder.client, verb)(manifest(), field_owner=OWNER)

    (planned,) = recorder.planned
    assert planned.effect is Effect.CREATED
    assert '.data.k: absent -> "v"' in str(planned)


async def test_secrets_are_not_told(server: Server) -> None:
    """Neither in the change nor in its text."""
    before = {**manifest(), "kind": "Secret", "data": {"k": "c2VjcmV0"}}
    after = {**manifest(), "kind": "Secret", "data": {"k": "b3RoZXI="}}
    server.script(json_response(before), json_response(after))
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(after, field_owner=OWNER)

    ((change,),) = [each.changes for each in recorder.planned]
    assert (change.path, change.before, change.after) == (".data.k", REDACTED, REDACTED)
    assert "b3RoZXI" not in repr(recorder.planned)


async def test_subresources_are_compared_with_the_object(server: Server) -> None:
    """But for the scale, which is an object of its own."""
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}}
    server.script(
        json_response(STORED),
        json_response({**STORED, "status": {"n": 1}}),
        json_response({**scale, "spec": {"replicas": 1}}),
        json_response({**scale, "spec": {"replicas": 3}}),
    )
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(STORED, field_owner=OWNER, subresource="status")
    await recorder.client.set_scale(CONFIG_MAP, KEY, 3, field_owner=OWNER)

    assert [str(each) for each in recorder.planned] == [
        "apply ConfigMap/status ns/a: changed\n  .status.n: absent -> 1",
        "patch ConfigMap/scale ns/a: changed\n  .spec.replicas: 1 -> 3",
    ]
    assert server.requests[0].url.endswith("/a")
    assert server.requests[2].url.endswith("/a/scale")


async def test_deletions(server: Server) -> None:
    """Told without content; a collection object by object, absence as such."""
    items = [{"metadata": {"name": name, "namespace": "ns"}} for name in ("b", "c")]
    server.script(
        json_response({"kind": "Status", "status": "Success"}),
        status_response(404, "NotFound"),
        json_response({"kind": "ConfigMapList", "items": items}),
        json_response({}, 201),
    )
    recorder = DryRunRecorder(server.client)

    first = await recorder.client.delete(CONFIG_MAP, KEY)
    second = await recorder.client.delete(CONFIG_MAP, KEY)
    await recorder.client.delete_collection(CONFIG_MAP, namespace="ns", selector=EVERYTHING)
    await recorder.client.evict(KEY, uid="u")

    assert (first, second) == (True, False)
    assert [str(each) for each in recorder.planned] == [
        "delete ConfigMap ns/a: deleted",
        "delete ConfigMap ns/a: absent",
        "deletecollection ConfigMap ns/b: deleted",
        "deletecollection ConfigMap ns/c: deleted",
        "evict Pod/eviction ns/a: deleted",
    ]


async def test_a_refusal_is_told_and_rises(server: Server) -> None:
    """With the server's words: plans exist to find these."""
    server.script(json_response(STORED), status_response(409, "Conflict", "owned by helm"))
    recorder = DryRunRecorder(server.client)

    with pytest.raises(Conflict):
        await recorder.client.apply(manifest(), field_owner=OWNER)

    (planned,) = recorder.planned
    assert (planned.effect, planned.changes) == (Effect.REFUSED, ())
    assert planned.refusal == "apply ConfigMap ns/a: owned by helm"


async def test_what_may_not_be_read_is_no_refusal_of_the_write(server: Server) -> None:
    """The error rises; what the server says to the write is not known."""
    server.script(status_response(403, "Forbidden"))
    recorder = DryRunRecorder(server.client)

    with pytest.raises(Forbidden, match="get ConfigMap ns/a"):
        await recorder.client.apply(manifest(), field_owner=OWNER)

    assert recorder.planned == ()


async def test_a_lost_answer_is_no_plan(server: Server) -> None:
    """Nothing is known of what would have come of it."""
    server.script(json_response(STORED), TransportError("down", sent=True))
    recorder = DryRunRecorder(server.client)

    with pytest.raises(TransportError):
        await recorder.client.apply(manifest(), field_owner=OWNER)

    assert recorder.planned == ()


async def test_dry_runs_of_the_caller_are_no_writes(server: Server) -> None:
    """They were never meant to change anything."""
    server.script(json_response(STORED))
    recorder = DryRunRecorder(server.client)

    await recorder.client.apply(manifest(), field_owner=OWNER, dry_run=True)

    assert (recorder.planned, len(server.requests)) == ((), 1)


async def test_reads_are_passed_on(server: Server) -> None:
    """They show what is stored."""
    await exercise_reads(server, DryRunRecorder(server.client).client)


async def test_no_fence_and_no_observer_is_involved(server: Server) -> None:
    """A plan can be made by a process that does not lead."""
    server.script(json_response(STORED), json_response(STORED))

    class Closed:
        def check(self) -> None:
            raise AssertionError

        def allowance(self) -> None:
            raise AssertionError

    class Silent:
        def began(self, *told: Any) -> None:
            raise AssertionError

        answered = failed = began

    client = Client(server.transport, server.discovery, fence=Closed(), observer=Silent())
    recorder = DryRunRecorder(client)

    await recorder.client.apply(manifest(), field_owner=OWNER)

    assert [each.key for each in recorder.planned] == [ObjectKey("ns", "a")]
