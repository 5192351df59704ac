"""What lies over a store: answers until it has caught up, deletions as what they are."""

from smbpctl.runtime.meta import ObjectKey
from test.support.own_writes import DECODER, OneScope, Server, Truth, body, value_of

A, B = ObjectKey("m", "a"), ObjectKey("m", "b")
MOMENT = "2026-01-01T00:00:00Z"


def heard() -> tuple[Server, OneScope]:
    """A server with one object that the store knows."""
    server, scope = Server(), OneScope()
    server.put(A, 1)
    server.tell(scope.store, 1)
    return server, scope


class TestWrites:
    def test_an_answer_is_read_until_the_store_has_it(self) -> None:
        """Then the store is read again, and nothing is kept."""
        server, scope = heard()

        scope.overlay.wrote(DECODER.object(server.put(A, 2)))
        before = scope.read(A)
        server.tell(scope.store, 1)
        settled = scope.overlay.settle()

        assert before is not None
        assert value_of(before) == 2
        assert [each.key for each in settled] == [A]
        assert len(scope.overlay) == 0

    def test_an_answer_that_the_store_has_already_is_not_kept(self) -> None:
        """An event can be faster than the answer, and an apply that changes nothing is old."""
        server, scope = heard()
        answer = server.put(A, 2)
        server.tell(scope.store, 1)

        pending = scope.overlay.wrote(DECODER.object(answer))

        assert pending is None
        assert len(scope.overlay) == 0

    def test_a_bookmark_past_the_write_is_as_good_as_its_event(self) -> None:
        """Quiet kinds send nothing else; what was written may be deleted by then."""
        server, scope = heard()
        scope.overlay.wrote(DECODER.object(server.put(B, 1)))
        server.remove(B)
        server.untold.clear()

        server.bookmark(scope.store)

        assert [each.key for each in scope.overlay.settle()] == [B]
        assert scope.read(B) is None

    def test_an_answer_overtaken_by_a_later_one_does_not_count(self) -> None:
        """Answers of two writes under way may arrive in either order."""
        server, scope = heard()
        first = server.put(A, 2)
        second = server.put(A, 3)

        scope.overlay.wrote(DECODER.object(second))
        scope.overlay.wrote(DECODER.object(first))

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 3

    def test_a_late_answer_about_a_former_namesake_does_not_count(self) -> None:
        """Deleted and created again in between: the new object stands."""
        server, scope = heard()
        late = server.put(A, 2)
        server.remove(A)

        scope.overlay.wrote(DECODER.object(server.put(A, 3)))
        scope.overlay.wrote(DECODER.object(late))

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 3

    def test_a_version_without_content_keeps_the_newest_content(self) -> None:
        """A scale changes an object without showing it: what was applied before is still read."""
        server, scope = heard()
        scope.overlay.wrote(DECODER.object(server.put(A, 2)))
        uid = server.objects[A].uid
        server.put(A, 3)

        pending = scope.overlay.changed(A, uid, str(server.version))
        server.tell(scope.store, 1)
        read = scope.read(A)
        server.tell(scope.store, 1)

        assert pending is not None
        assert read is not None
        assert value_of(read) == 2
        assert [each.key for each in scope.overlay.settle()] == [A]

    def test_versions_that_cannot_be_compared_wait_for_the_same_one(self) -> None:
        """An aggregated server may count as it likes: only equality is certain."""
        scope = OneScope()
        odd = body(A, Truth("u1", 0, 7, finalizer=False)).replace(b'"0"', b'"v-b"')
        scope.overlay.wrote(DECODER.object(odd))

        scope.store.put(DECODER.object(odd.replace(b"v-b", b"v-a").replace(b"7", b"6")))
        behind = scope.read(A)
        scope.store.put(DECODER.object(odd))

        assert behind is not None
        assert value_of(behind) == 7
        assert [each.key for each in scope.overlay.settle()] == [A]


class TestDeletions:
    def test_a_deletion_is_read_as_terminating_until_its_event(self) -> None:
        """The answer does not say whether the object is gone, so it is never hidden."""
        server, scope = heard()
        uid = server.objects[A].uid

        server.delete(A)
        scope.overlay.deleting(A, uid, MOMENT)
        before = scope.read(A)
        server.tell(scope.store, 1)
        scope.overlay.settle()

        assert before is not None
        assert before.meta.deletion_timestamp == MOMENT
        assert before.manifest()["metadata"]["deletionTimestamp"] == MOMENT
        assert value_of(before) == 1
        assert scope.read(A) is None
        assert len(scope.overlay) == 0

    def test_what_we_wrote_and_deleted_is_both(self) -> None:
        """The content is that of our write, and it is being deleted."""
        server, scope = heard()
        scope.overlay.wrote(DECODER.object(server.put(B, 5)))

        scope.overlay.deleting(B, server.objects[B].uid, MOMENT)

        read = scope.read(B)
        assert read is not None
        assert value_of(read) == 5
        assert read.meta.deletion_timestamp == MOMENT

    def test_a_list_without_the_object_ends_it(self) -> None:
        """A list is a consistent read: an object of that UID is not there any more."""
        server, scope = heard()
        server.delete(A)
        scope.overlay.deleting(A, "u1", MOMENT)

        server.relist(scope.store)

        assert [each.key for each in scope.overlay.settle()] == [A]
        assert scope.read(A) is None

    def test_a_new_object_of_the_name_ends_it(self) -> None:
        """Another UID is another object, and alive."""
        server, scope = heard()
        server.delete(A)
        scope.overlay.deleting(A, "u1", MOMENT)
        server.put(A, 9)

        server.tell(scope.store, 2)

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 9
        assert read.meta.deletion_timestamp is None

    def test_the_deletion_of_another_object_is_none_of_ours(self) -> None:
        """The answer names a UID that nobody has read: there is nothing to show."""
        _, scope = heard()

        assert scope.overlay.deleting(A, "somebody-else", MOMENT) is None
        read = scope.read(A)
        assert read is not None
        assert read.meta.deletion_timestamp is None

    def test_a_terminating_object_that_stays_is_read_from_the_store(self) -> None:
        """With a finalizer its event says that it terminates; then nothing is overlaid."""
        server, scope = OneServer.with_finalizer()

        answer = server.delete(A)
        assert answer is not None
        scope.overlay.wrote(DECODER.object(answer))
        server.tell(scope.store, 1)

        assert [each.key for each in scope.overlay.settle()] == [A]
        read = scope.read(A)
        assert read is not None
        assert read.meta.deletion_timestamp is not None


class OneServer:
    """Worlds of one object."""

    @staticmethod
    def with_finalizer() -> tuple[Server, OneScope]:
        """The object stays when it is deleted."""
        server, scope = Server(), OneScope()
        server.put(A, 1, finalizer=True)
        server.tell(scope.store, 1)
        return server, scope


class TestUnknownOutcomes:
    def test_a_lost_write_stays_open_whatever_the_store_hears(self) -> None:
        """It may still be executed: only a live read tells."""
        server, scope = heard()
        pending = scope.overlay.lost(A)
        server.put(A, 2)

        server.tell(scope.store, 1)

        assert scope.overlay.settle() == []
        assert not pending.settled

    def test_a_live_read_closes_it(self) -> None:
        """What was read live is read from then on, and the next write is bound to it."""
        server, scope = heard()
        scope.overlay.lost(A)
        server.put(A, 2)

        scope.overlay.learnt(A, DECODER.object(body(A, server.objects[A])))
        read = scope.read(A)

        assert read is not None
        assert value_of(read) == 2
        assert scope.overlay.cautious(A)

    def test_the_next_answer_ends_the_caution(self) -> None:
        """That write was bound to a state, so nothing earlier can come after it."""
        server, scope = heard()
        scope.overlay.lost(A)
        scope.overlay.learnt(A, DECODER.object(body(A, server.objects[A])))

        scope.overlay.wrote(DECODER.object(server.put(A, 2)))

        assert not scope.overlay.cautious(A)

    def test_an_answer_before_the_live_read_does_not(self) -> None:
        """The lost write may be executed after the answered one."""
        server, scope = heard()
        scope.overlay.lost(A)

        scope.overlay.wrote(DECODER.object(server.put(A, 2)))

        assert scope.overlay.cautious(A)
        assert scope.overlay.settle() == []

    def test_a_live_404_hides_what_the_store_still_holds(self) -> None:
        """The server has said that it is gone; the event only comes later."""
        server, scope = heard()
        scope.overlay.lost(A)
        server.remove(A)

        scope.overlay.learnt(A, None)
        hidden = scope.read(A)
        server.tell(scope.store, 1)

        assert hidden is None
        assert [each.key for each in scope.overlay.settle()] == [A]

    def test_a_live_404_hides_what_the_store_has_yet_to_hear_of(self) -> None:
        """Created, deleted and gone before the store knew of any of it: it must not come alive."""
        server, scope = heard()
        scope.overlay.wrote(DECODER.object(server.put(B, 1)))
        uid = server.objects[B].uid
        server.delete(B)
        scope.overlay.deleting(B, uid, MOMENT)
        scope.overlay.learnt(B, None)

        server.tell(scope.store, 1)
        in_between = scope.read(B)
        server.tell(scope.store, 1)

        assert in_between is None
        assert [each.key for each in scope.overlay.settle()] == [B]

    def test_a_live_404_does_not_hide_a_later_namesake(self) -> None:
        """The read began when another object had the name."""
        server, scope = heard()
        server.remove(A)
        server.put(A, 4)
        server.tell(scope.store, 2)

        scope.overlay.learnt(A, None, gone="u1")

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 4

    def test_what_was_created_without_answer_and_is_not_there_is_forgotten(self) -> None:
        """Nothing has the name, neither here nor there."""
        _, scope = heard()
        scope.overlay.lost(B)

        scope.overlay.learnt(B, None)

        assert len(scope.overlay) == 0
        assert not scope.overlay.cautious(B)


class TestLists:
    def test_objects_are_added_replaced_and_taken_out(self) -> None:
        """A list says the same as a get of each key; what was changed may not belong any more."""
        server, scope = heard()
        scope.overlay.wrote(DECODER.object(server.put(A, 2)))
        scope.overlay.wrote(DECODER.object(server.put(B, 3)))

        everything = scope.overlay.over_all(scope.store.list(), lambda _: True)
        large = scope.overlay.over_all(scope.store.list(), lambda each: value_of(each) > 2)

        assert [value_of(each) for each in everything] == [2, 3]
        assert [each.key for each in large] == [B]

    def test_without_pending_objects_the_list_is_passed_on(self) -> None:
        """The common case costs nothing."""
        _, scope = heard()
        found = scope.store.list()

        assert scope.overlay.over_all(found, lambda _: False) is found

    def test_what_is_forgotten_is_read_from_the_store(self) -> None:
        """Whatever was pending."""
        server, scope = heard()
        pending = scope.overlay.wrote(DECODER.object(server.put(A, 2)))

        scope.overlay.forget(A)

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 1
        assert pending is not None
        assert pending.settled


class TestNamesakes:
    """One name, several objects after one another, and a store that knows the first alone."""

    def test_an_object_before_the_one_that_is_gone_does_not_come_back(self) -> None:
        """The store still holds the first when the second is known to be gone."""
        server, scope = heard()
        server.remove(A)
        second = DECODER.object(server.put(A, 2))
        scope.overlay.wrote(second)
        server.remove(A)

        scope.overlay.learnt(A, None, gone=second.meta.uid)

        assert scope.read(A) is None
        server.tell(scope.store, len(server.untold))
        scope.overlay.settle()
        assert len(scope.overlay) == 0

    def test_a_late_deletion_of_the_first_leaves_the_second(self) -> None:
        """Its answer arrives when the name has been written again."""
        server, scope = heard()
        first = scope.read(A)
        assert first is not None
        server.remove(A)
        scope.overlay.wrote(DECODER.object(server.put(A, 2)))

        assert scope.overlay.deleting(A, first.meta.uid, MOMENT) is None

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 2

    def test_a_late_answer_does_not_hide_what_the_store_holds(self) -> None:
        """A lost write keeps the overlay open over a store that is newer than the answer."""
        server, scope = heard()
        late = server.put(A, 2)
        server.put(A, 3)
        server.tell(scope.store, 2)
        scope.overlay.lost(A)

        scope.overlay.wrote(DECODER.object(late))

        read = scope.read(A)
        assert read is not None
        assert value_of(read) == 3
