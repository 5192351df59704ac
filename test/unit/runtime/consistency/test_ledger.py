"""What the ledger makes of writes: overlays, needs of the run, and moments before which to wait."""

import asyncio
from datetime import timedelta

import pytest

from smbpctl.runtime.client import Verb, Write
from smbpctl.runtime.consistency import Run, WriteLedger
from smbpctl.runtime.errors import ApiStatusError, TransportError, status_error
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from smbpctl.runtime.transport.answer import PathNotServed
from test.support.manual_clock import ManualClock
from test.support.own_writes import GVK, OneScope, Server, value_of

A = ObjectKey("m", "a")
OVER = timedelta(seconds=32)


def bound(version: str) -> bytes:
    """A request that is bound to a version."""
    return f'{{"metadata":{{"resourceVersion":"{version}"}}}}'.encode()


class Desk:
    """A ledger over one scope, with a server behind it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server, self.scope = Server(), OneScope()
        self.ledger = WriteLedger(clock=self.clock)
        self.ledger.bind(self.scope)

    def hear(self) -> None:
        self.server.tell(self.scope.store, len(self.server.untold))

    def answered(
        self,
        verb: Verb,
        answer: bytes,
        *,
        key: ObjectKey = A,
        subresource: str = "",
        gvk: GroupVersionKind = GVK,
    ) -> Run:
        write = Write(verb, gvk, key, subresource)
        with Run() as run:
            self.ledger.began(write, OVER)
            self.ledger.answered(write, answer)
        return run

    def failed(
        self,
        error: BaseException,
        verb: Verb = Verb.APPLY,
        key: ObjectKey = A,
        *,
        body: bytes = b"",
    ) -> Run:
        write = Write(verb, GVK, key, body=body)
        with Run() as run:
            self.ledger.began(write, OVER)
            self.ledger.failed(write, error)
        return run


class TestAnswers:
    def test_a_write_is_read_and_needed(self) -> None:
        """The run's next run has to see it."""
        desk = Desk()

        run = desk.answered(Verb.APPLY, desk.server.put(A, 1))

        read = desk.scope.read(A)
        assert read is not None
        assert value_of(read) == 1
        assert [(need.key, need.met) for need in run.needs] == [(A, False)]

    def test_what_the_cache_has_already_is_not_needed(self) -> None:
        """The event was faster."""
        desk = Desk()
        answer = desk.server.put(A, 1)
        desk.hear()

        assert desk.answered(Verb.APPLY, answer).needs == []

    def test_what_no_informer_is_told_of_is_not_waited_for(self) -> None:
        """Its own answer decides: a label may have taken it out of the selection."""
        desk = Desk()
        desk.scope.blind_to = {"n"}

        run = desk.answered(Verb.CREATE, desk.server.put(ObjectKey("n", "a"), 1))

        assert run.needs == []
        assert len(desk.scope.overlay) == 0

    def test_an_object_that_leaves_the_scope_is_forgotten(self) -> None:
        """Nothing would ever end the wait for it."""
        desk = Desk()
        desk.answered(Verb.CREATE, desk.server.put(A, 1))
        answer = desk.server.put(A, 2)
        desk.scope.admitting = False

        run = desk.answered(Verb.APPLY, answer)

        assert run.needs == []
        assert len(desk.scope.overlay) == 0

    def test_a_scale_is_waited_for_by_its_version(self) -> None:
        """The answer is of another kind and names UID and version of the scaled object."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()
        desk.server.put(A, 2)
        truth = desk.server.objects[A]
        scale = (
            '{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":'
            f'{{"name":"a","namespace":"m","uid":"{truth.uid}",'
            f'"resourceVersion":"{truth.version}"}}}}'
        )

        run = desk.answered(Verb.PATCH, scale.encode(), subresource="scale")
        before = [need.met for need in run.needs]
        desk.hear()
        desk.scope.overlay.settle()

        assert before == [False]
        assert [need.met for need in run.needs] == [True]

    def test_an_answer_without_identity_says_nothing(self) -> None:
        """A binding answers with a bare Status."""
        desk = Desk()

        run = desk.answered(Verb.CREATE, b'{"kind":"Status"}', subresource="binding")

        assert run.needs == []

    @pytest.mark.parametrize("verb", [Verb.DELETE, Verb.EVICT])
    def test_a_deletion_is_terminating_and_needed(self, verb: Verb) -> None:
        """Until the cache has heard of it."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()
        answer = desk.server.delete(A) or b""

        run = desk.answered(verb, answer)

        read = desk.scope.read(A)
        assert read is not None
        assert read.meta.deletion_timestamp is not None
        assert [need.met for need in run.needs] == [False]

    def test_an_eviction_answer_names_no_uid(self) -> None:
        """The object that is known of the name is meant."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()

        run = desk.answered(Verb.EVICT, b'{"kind":"Status","status":"Success"}')

        read = desk.scope.read(A)
        assert read is not None
        assert read.meta.deletion_timestamp is not None
        assert len(run.needs) == 1

    def test_a_deletion_held_by_a_finalizer_shows_the_object(self) -> None:
        """The answer is the object, terminating."""
        desk = Desk()
        desk.server.put(A, 1, finalizer=True)
        desk.hear()

        run = desk.answered(Verb.DELETE, desk.server.delete(A) or b"")
        desk.hear()
        desk.scope.overlay.settle()

        assert [need.met for need in run.needs] == [True]

    def test_a_deleted_collection_is_to_be_read_at_once(self) -> None:
        """The answer does not say which objects went."""
        desk = Desk()

        run = desk.answered(Verb.DELETE_COLLECTION, b'{"kind":"Status"}', key=ObjectKey("m", ""))

        assert [(need.key.namespace, need.readable_at) for need in run.needs] == [
            ("m", desk.clock.monotonic())
        ]

    def test_without_scopes_it_only_counts_for_the_run(self) -> None:
        """A client may be used before any cache is."""
        ledger = WriteLedger(clock=ManualClock())
        write = Write(Verb.CREATE, GVK, A)

        with Run() as run:
            ledger.began(write, OVER)
            ledger.answered(write, b"{}")

        assert run.write_digest != ""
        assert run.needs == []

    def test_writes_outside_of_runs_are_overlaid_too(self) -> None:
        """Whoever reads the cache sees them."""
        desk = Desk()
        write = Write(Verb.APPLY, GVK, A)

        desk.ledger.began(write, OVER)
        desk.ledger.answered(write, desk.server.put(A, 1))

        assert desk.scope.read(A) is not None


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [
            TransportError("lost", sent=True),
            status_error({}, code=500),
            status_error({}, code=504),
            asyncio.CancelledError(),
        ],
    )
    def test_an_unknown_outcome_is_open_until_it_is_over(self, error: BaseException) -> None:
        """A live read helps only when the write cannot be executed any more."""
        desk = Desk()
        began = desk.clock.monotonic()

        run = desk.failed(error)

        assert run.not_before == began + OVER.total_seconds()
        assert [(need.key, need.readable_at) for need in run.needs] == [(A, run.not_before)]
        assert desk.scope.overlay.cautious(A)

    def test_a_nameless_create_without_answer_puts_the_namespace_in_question(self) -> None:
        """The server would have chosen the name."""
        desk = Desk()

        run = desk.failed(TransportError("lost", sent=True), Verb.CREATE, key=ObjectKey("m", ""))

        assert [need.pending for need in run.needs] == [None]
        assert not run.needs[0].met

    @pytest.mark.parametrize(
        "error",
        [
            TransportError("refused", sent=False),
            status_error({}, code=409),
            status_error({}, code=422),
            ValueError("no name"),
        ],
    )
    def test_a_refusal_changes_nothing(self, error: Exception) -> None:
        """The object is as it was."""
        desk = Desk()

        run = desk.failed(error)

        assert run.needs == []
        assert run.not_before == 0.0
        assert len(desk.scope.overlay) == 0

    def test_a_conflict_waits_for_the_version_that_caused_it(self) -> None:
        """The cache showed an older one; a run on that would only conflict again."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()
        version = desk.server.objects[A].version
        desk.server.put(A, 2)

        run = desk.failed(status_error({}, code=409), body=bound(str(version)))
        before = [need.met for need in run.needs]
        desk.hear()

        assert before == [False]
        assert [need.met for need in run.needs] == [True]

    def test_a_conflict_that_the_cache_knows_of_waits_for_nothing(self) -> None:
        """The event was faster than the refusal."""
        desk = Desk()
        desk.server.put(A, 1)
        version = desk.server.objects[A].version
        desk.server.put(A, 2)
        desk.hear()

        assert desk.failed(status_error({}, code=409), body=bound(str(version))).needs == []

    def test_a_conflict_of_field_managers_waits_for_nothing(self) -> None:
        """It was bound to no version: the cache is not what is wrong."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()

        assert desk.failed(status_error({}, code=409), body=b'{"metadata":{}}').needs == []

    @pytest.mark.parametrize("verb", [Verb.CREATE, Verb.APPLY])
    def test_a_creation_of_what_exists_waits_until_it_is_seen(self, verb: Verb) -> None:
        """Whoever made it, the cache will show it."""
        desk = Desk()
        desk.server.put(A, 1)
        body = b"{}" if verb is Verb.CREATE else bound("1")
        refusal = status_error({"reason": "AlreadyExists"}, code=409)

        run = desk.failed(refusal, verb, body=body)
        before = [need.met for need in run.needs]
        desk.hear()

        assert before == [False]
        assert [need.met for need in run.needs] == [True]

    def test_a_404_says_that_the_object_is_gone(self) -> None:
        """As good as a live read."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()

        desk.failed(status_error({"details": {"name": "a"}}, code=404), Verb.DELETE)

        assert desk.scope.read(A) is None

    def test_a_404_of_the_path_says_nothing_of_the_object(self) -> None:
        """The subresource, or the kind, is not served."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()
        error: ApiStatusError = PathNotServed("no such path", code=404)

        desk.failed(error, Verb.DELETE)

        assert desk.scope.read(A) is not None

    def test_a_404_does_not_hide_what_came_meanwhile(self) -> None:
        """The object of that name was created after the request was answered."""
        desk = Desk()
        desk.server.put(A, 1)
        desk.hear()
        write = Write(Verb.DELETE, GVK, A)

        desk.ledger.began(write, OVER)
        desk.server.remove(A)
        desk.server.put(A, 2)
        desk.hear()
        desk.ledger.failed(write, status_error({}, code=404))

        read = desk.scope.read(A)
        assert read is not None
        assert value_of(read) == 2
