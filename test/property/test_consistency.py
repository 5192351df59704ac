"""What a process wrote it reads, however far its caches are behind, and nothing is hidden."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smbpctl.runtime.meta import ObjectKey, StoredObject
from test.support.own_writes import DECODER, OneScope, Server, body, value_of

KEYS = [ObjectKey("m", "a"), ObjectKey("n", "a")]
keys = st.sampled_from(KEYS)


class OwnWrites(RuleBasedStateMachine):
    """One kind, two namespaces, four names; the store hears of events late or by a list."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.scope = OneScope()
        self.server.relist(self.scope.store)
        self.values = 0
        # The newest state of each object that an answer has shown us, by UID.
        self.shown: dict[str, int] = {}
        self.asked_away: set[str] = set()
        self.open: set[ObjectKey] = set()
        # Answers on their way: what becomes known when they arrive, oldest first.
        self.late: list[Callable[[], None]] = []

    def next_value(self) -> int:
        self.values += 1
        return self.values

    def note(self, key: ObjectKey) -> None:
        self.show(DECODER.object(body(key, self.server.objects[key])))

    def show(self, stored: StoredObject) -> None:
        uid, version = stored.meta.uid, int(stored.meta.resource_version)
        self.shown[uid] = max(version, self.shown.get(uid, 0))

    @rule(key=keys, finalizer=st.booleans(), late=st.booleans())
    def write(self, key: ObjectKey, finalizer: bool, late: bool) -> None:
        answer = self.server.put(key, self.next_value(), finalizer=finalizer)

        def arrives() -> None:
            self.scope.overlay.wrote(DECODER.object(answer))
            self.show(DECODER.object(answer))

        if late:
            self.late.append(arrives)
        else:
            arrives()

    @rule(key=keys)
    def delete_late(self, key: ObjectKey) -> None:
        """A deletion whose answer comes when others have written to that name already."""
        before = self.server.objects.get(key)
        if before is None or before.finalizer:
            return
        self.server.remove(key)

        def arrives() -> None:
            known = self.scope.read(key)
            self.scope.overlay.deleting(key, before.uid, "2026-01-01T00:00:00Z")
            if known is not None and known.meta.uid == before.uid:
                self.asked_away.add(before.uid)

        self.late.append(arrives)

    @precondition(lambda self: bool(self.late))
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))()

    @rule(key=keys)
    def write_a_subresource(self, key: ObjectKey) -> None:
        """The answer has UID and version, but not the object."""
        if key in self.server.objects and self.scope.read(key) is not None:
            self.server.put(key, self.next_value())
            truth = self.server.objects[key]
            seen = self.scope.read(key)
            if seen is not None and seen.meta.uid == truth.uid:
                self.scope.overlay.changed(key, truth.uid, str(truth.version))

    @rule(key=keys)
    def delete(self, key: ObjectKey) -> None:
        before, known = self.server.objects.get(key), self.scope.read(key)
        answer = self.server.delete(key)
        if answer is None or before is None:
            return
        after = self.server.objects.get(key)
        if after is not None:
            self.scope.overlay.wrote(DECODER.object(answer))
            self.note(key)
        else:
            self.scope.overlay.deleting(key, before.uid, "2026-01-01T00:00:00Z")
        if known is not None and known.meta.uid == before.uid:
            self.asked_away.add(before.uid)

    @rule(key=keys)
    def evict(self, key: ObjectKey) -> None:
        """The answer is a bare Status, whether the object is gone or stays terminating."""
        before, known = self.server.objects.get(key), self.scope.read(key)
        if before is None or known is None or known.meta.uid != before.uid:
            return
        self.server.delete(key)
        self.scope.overlay.deleting(key, before.uid, "2026-01-01T00:00:00Z")
        self.asked_away.add(before.uid)

    @rule(key=keys, executed=st.booleans())
    def lose_an_answer(self, key: ObjectKey, executed: bool) -> None:
        if executed:
            self.server.put(key, self.next_value())
        self.scope.overlay.lost(key)
        self.open.add(key)

    @rule(key=keys)
    def read_live(self, key: ObjectKey) -> None:
        truth = self.server.objects.get(key)
        if truth is None:
            known = self.scope.read(key)
            gone = known.meta.uid if known else ""
            self.scope.overlay.learnt(key, None, gone=gone)
        else:
            self.scope.overlay.learnt(key, DECODER.object(body(key, truth)))
            self.note(key)
        self.open.discard(key)

    @rule(key=keys)
    def somebody_writes(self, key: ObjectKey) -> None:
        self.server.put(key, self.next_value())

    @rule(key=keys)
    def somebody_removes(self, key: ObjectKey) -> None:
        if key in self.server.objects:
            self.server.remove(key)

    @rule(count=st.integers(1, 3))
    def the_store_hears(self, count: int) -> None:
        self.server.tell(self.scope.store, count)
        self.scope.overlay.settle()

    @rule()
    def the_store_lists(self) -> None:
        self.server.relist(self.scope.store)
        self.scope.overlay.settle()

    @rule()
    def a_bookmark_comes(self) -> None:
        self.server.bookmark(self.scope.store)
        self.scope.overlay.settle()

    @precondition(lambda self: not self.open)
    @rule()
    def everything_is_heard(self) -> None:
        """A store that knows all is read as it is: the overlay is empty and says the truth."""
        self.server.tell(self.scope.store, len(self.server.untold))
        self.scope.overlay.settle()
        assert len(self.scope.overlay) == 0
        for key in KEYS:
            read, truth = self.scope.read(key), self.server.objects.get(key)
            assert (read and value_of(read)) == (truth and truth.value)

    @invariant()
    def what_was_answered_is_read(self) -> None:
        """An object that still exists is never read in an older state than we were shown."""
        for key, truth in self.server.objects.items():
            if (shown := self.shown.get(truth.uid)) is not None:
                read = self.scope.read(key)
                assert read is not None
                assert read.meta.uid == truth.uid
                # Where a subresource was answered, its version is known and its content is not.
                assert int(read.meta.resource_version) >= shown

    @invariant()
    def what_exists_is_not_hidden(self) -> None:
        """An object that the store holds and the server has is read, whatever we asked for."""
        for key, truth in self.server.objects.items():
            held = self.scope.store.get(key)
            if held is not None and held.meta.uid == truth.uid:
                assert self.scope.read(key) is not None

    @invariant()
    def what_was_asked_away_is_terminating(self) -> None:
        """Until it is known to be gone, it is read as being deleted."""
        for key in KEYS:
            read = self.scope.read(key)
            if read is not None and read.meta.uid in self.asked_away:
                assert read.meta.deletion_timestamp is not None
                assert read.manifest()["metadata"]["deletionTimestamp"]

    @invariant()
    def lists_agree_with_gets(self) -> None:
        """A list holds exactly what a get of each key returns, sorted."""
        for namespace in ("m", "n"):
            found = self.scope.overlay.over_all(
                self.scope.store.list(namespace),
                lambda stored, namespace=namespace: stored.meta.namespace == namespace,
            )
            gets = [self.scope.read(key) for key in KEYS if key.namespace == namespace]
            assert found == [each for each in gets if each is not None]


TestOwnWrites = OwnWrites.TestCase
TestOwnWrites.settings = settings(max_examples=1000, stateful_step_count=30, deadline=None)
