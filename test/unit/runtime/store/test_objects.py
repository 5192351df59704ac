"""A store turns states, deletions and lists into events, and never goes back in time."""

import pytest

from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.event import Created, Deleted, Updated
from smbpctl.runtime.meta import (
    GroupVersionKind,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    StoredObject,
    labels_equal,
)
from smbpctl.runtime.store import Store

GVK = GroupVersionKind("demo.example.com", "v1", "Widget")


def widget(
    name: str = "a",
    *,
    version: str = "",
    uid: str = "u1",
    namespace: str = "n",
    labels: dict[str, str] | None = None,
    owners: tuple[str, ...] = (),
    raw: bytes = b"{}",
) -> StoredObject:
    """Return a stored widget."""
    return StoredObject(
        gvk=GVK,
        meta=ObjectMeta(
            name=name,
            namespace=namespace,
            uid=uid,
            resource_version=version,
            labels=labels,
            owner_references=tuple(
                OwnerReference(api_version="v1", kind="Owner", name=owner, uid=owner)
                for owner in owners
            ),
        ),
        raw=raw,
    )


def test_a_new_object_is_created_then_updated_then_deleted() -> None:
    """The plain life of an object."""
    store = Store()
    first, second, last = (widget(version=version) for version in ("1", "2", "3"))

    events = [*store.put(first), *store.put(second), *store.remove(last)]

    assert events == [Created(first), Updated(first, second), Deleted(last)]
    assert len(store) == 0


def test_the_same_version_is_no_news() -> None:
    """A repeated event tells nobody anything."""
    store = Store()
    store.put(widget(version="5"))

    assert store.put(widget(version="5", raw=b"{ }")) == []


def test_an_older_version_is_no_news() -> None:
    """Nine is older than ten: versions are numbers, not text."""
    store = Store()
    newest = widget(version="10")
    store.put(newest)

    assert store.put(widget(version="9")) == []
    assert store.get(ObjectKey("n", "a")) is newest


def test_versions_that_are_no_numbers_are_believed_in_order() -> None:
    """Aggregated servers may send anything; what comes later counts."""
    store = Store()
    first, second = widget(version="zebra"), widget(version="apple")
    store.put(first)

    assert store.put(second) == [Updated(first, second)]


def test_objects_without_versions_are_always_news() -> None:
    """Some aggregated kinds have none; their updates must not be lost."""
    store = Store()
    first, second = widget(), widget(raw=b"{ }")
    store.put(first)

    assert store.put(second) == [Updated(first, second)]


def test_another_uid_is_a_deletion_and_a_creation() -> None:
    """A namesake is another object; nobody may take it for a change of the old one."""
    store = Store()
    old, new = widget(version="1", uid="u1"), widget(version="5", uid="u2")
    store.put(old)

    assert store.put(new) == [Deleted(old, final_state_unknown=True), Created(new)]


def test_a_deletion_of_an_unseen_namesake_ends_the_one_that_is_held() -> None:
    """Its creation was missed, but a newer deletion proves that the held one is gone as well."""
    store = Store()
    held = widget(version="1", uid="u1")
    store.put(held)

    events = store.remove(widget(version="9", uid="u2"))

    assert events == [Deleted(held, final_state_unknown=True)]


def test_an_echo_of_a_deletion_does_not_delete_the_successor() -> None:
    """The old DELETED event may arrive again after the name was taken anew."""
    store = Store()
    successor = widget(version="7", uid="u2")
    store.put(successor)

    assert store.remove(widget(version="6", uid="u1")) == []
    assert store.list() == [successor]


def test_an_echo_does_not_bring_a_deleted_object_back() -> None:
    """After a deletion only newer states of the name count."""
    store = Store()
    store.put(widget(version="5"))
    store.remove(widget(version="6"))

    assert store.put(widget(version="5")) == []
    assert len(store) == 0


def test_what_a_newer_list_lacks_does_not_come_back() -> None:
    """The list proves that the object was gone by then."""
    store = Store()
    store.replace([], "100", initial=True)

    assert store.put(widget(version="50")) == []
    assert len(store) == 0


def test_a_bookmark_ahead_of_its_event_hides_nothing() -> None:
    """A server may send a bookmark too early: only events and lists rule out older states."""
    store = Store()
    store.replace([], "5", initial=True)
    store.advance("20")
    late = widget(version="10")

    assert store.put(late) == [Created(late)]
    assert store.resource_version == "20"


def test_a_list_deletes_first_then_creates_and_updates() -> None:
    """The difference to a list: deletions are inferred, so their last state is not known."""
    store = Store()
    gone, old, same = widget("z", version="1"), widget("b", version="2"), widget("c", version="3")
    store.replace([gone, old, same], "3", initial=True)
    new, added = widget("b", version="8"), widget("a", version="9")

    events = store.replace([added, new, same], "9", initial=False)

    assert events == [
        Deleted(gone, final_state_unknown=True),
        Created(added),
        Updated(old, new),
    ]
    assert store.resource_version == "9"


def test_the_first_list_is_marked() -> None:
    """Handlers can tell what was there from what came."""
    stored = widget(version="1")

    assert Store().replace([stored], "1", initial=True) == [Created(stored, initial=True)]


def test_a_list_is_believed_even_where_it_is_older() -> None:
    """Lists are consistent reads: older versions mean that the cluster was restored."""
    store = Store()
    before, restored = widget(version="50"), widget(version="40")
    store.replace([before], "50", initial=True)

    events = store.replace([restored], "45", initial=False)

    assert events == [Updated(before, restored)]
    assert store.resource_version == "45"
    assert store.put(widget("b", version="46")) != []


def test_a_list_brings_other_bytes_of_the_same_version_silently() -> None:
    """Lists leave out the kind where watches do not; telling that would wake every key."""
    store = Store()
    before = widget(version="5", labels={"tier": "x"}, raw=b'{"kind":"Widget"}')
    after = widget(version="5", labels={"tier": "x"}, raw=b"{}")
    store.add_index("tier", lambda each: list((each.meta.labels or {}).values()))
    store.replace([before], "5", initial=True)

    assert store.replace([after], "6", initial=False) == []
    assert store.list()[0] is after
    assert store.by_index("tier", "x")[0] is after
    assert store.bytes() == 2


def test_a_list_tells_other_bytes_where_there_are_no_versions() -> None:
    """Nothing else shows that such an object changed."""
    store = Store()
    before, after = widget(raw=b"{}"), widget(raw=b'{"new":1}')
    store.replace([before], "5", initial=True)

    assert store.replace([after], "6", initial=False) == [Updated(before, after)]
    assert store.replace([after], "7", initial=False) == []


def test_a_difference_can_be_taken_in_slices() -> None:
    """Each change is made as its event is taken; the version counts once all are."""
    store = Store()
    store.replace([widget("a", version="1")], "1", initial=True)

    listing = store.listing()
    listing.add(widget("b", version="2"))
    steps = store.replacing(listing, "2", initial=False)
    first = next(steps)

    assert [type(each) for each in first] == [Deleted]
    assert store.list() == []
    assert store.resource_version == "1"
    assert [type(each) for events in steps for each in events] == [Created]
    assert store.resource_version == "2"


def test_events_and_bookmarks_advance_the_version_and_nothing_takes_it_back() -> None:
    """It is where a watch resumes, and what own writes are compared with."""
    store = Store()

    seen: list[str] = []
    for advance in (
        lambda: store.replace([], "5", initial=True),
        lambda: store.put(widget(version="7")),
        lambda: store.remove(widget(version="9")),
        lambda: store.advance("12"),
        lambda: store.advance("3"),
        lambda: store.put(widget(version="4")),
        lambda: store.advance(""),
    ):
        advance()
        seen.append(store.resource_version)

    assert seen == ["5", "7", "9", "12", "12", "12", "12"]


def test_lists_are_sorted_and_narrowed_by_namespace_and_labels() -> None:
    """Sorted by namespace and name; None is all namespaces, empty is cluster scope."""
    store = Store()
    x = {"tier": "x"}
    for each in (
        widget("b", namespace="m", labels=x),
        widget("a", namespace="n"),
        widget("a", namespace="m"),
        widget("c", namespace=""),
    ):
        store.put(each)

    def named(found: list[StoredObject]) -> list[str]:
        return [str(each.key) for each in found]

    assert named(store.list()) == ["c", "m/a", "m/b", "n/a"]
    assert named(store.list("m")) == ["m/a", "m/b"]
    assert named(store.list("")) == ["c"]
    assert named(store.list("nowhere")) == []
    assert named(store.list(None, labels_equal(x))) == ["m/b"]
    assert store.keys() == [each.key for each in store.list()]


def test_indexes_follow_every_change() -> None:
    """Added at any time; an object is found by its present values only."""
    store = Store()
    store.put(widget(version="1", labels={"tier": "x"}))

    store.add_index("tier", lambda each: [(each.meta.labels or {}).get("tier", "none")])
    before = store.by_index("tier", "x")
    store.put(widget(version="2", labels={"tier": "y"}))

    assert [each.meta.resource_version for each in before] == ["1"]
    assert store.by_index("tier", "x") == []
    assert [each.meta.resource_version for each in store.by_index("tier", "y")] == ["2"]


def test_an_index_that_was_not_added_is_an_error() -> None:
    """An empty answer would hide the mistake."""
    with pytest.raises(IndexMissing, match="add_index"):
        Store().by_index("tier", "x")


def test_dependents_are_found_by_owner_uid() -> None:
    """All owners count, not only the controlling one."""
    store = Store()
    store.put(widget("a", owners=("o1", "o2")))
    store.put(widget("b", owners=("o2",)))

    assert [each.meta.name for each in store.by_owner("o2")] == ["a", "b"]
    assert [each.meta.name for each in store.by_owner("o1")] == ["a"]
    assert store.by_owner("o3") == []


def test_bytes_are_those_of_the_json_held() -> None:
    """Updates and deletions give back what they replace."""
    store = Store()
    store.put(widget("a", version="1", raw=b"12345"))
    store.put(widget("b", version="2", raw=b"1"))
    store.put(widget("a", version="3", raw=b"12"))
    store.remove(widget("b", version="4"))

    assert store.bytes() == 2


def test_a_listing_shares_what_is_held_and_equal() -> None:
    """A relist of unchanged objects must not double the memory."""
    store = Store()
    held = widget("a", version="1")
    store.replace([held, widget("b", version="2")], "2", initial=True)
    changed = widget("b", version="3")

    listing = store.listing()
    listing.add(widget("a", version="1"))
    listing.add(changed)

    assert listing.spaces["n"]["a"] is held
    assert listing.spaces["n"]["b"] is changed


def test_a_listing_that_comes_as_a_stream_keeps_the_newest_of_each() -> None:
    """Whatever is repeated: no older state comes back, and nothing that was deleted."""
    listing = Store().listing()
    old, new = widget("a", version="2"), widget("a", version="6")

    for stored in (old, new, old, widget("b", version="3")):
        listing.put(stored)
    listing.discard(widget("b", version="7"))
    listing.discard(widget("b", version="2"))
    listing.put(widget("b", version="3"))
    listing.discard(widget("a", version="4"))

    assert listing.spaces["n"] == {"a": new}


def test_what_is_created_again_while_a_stream_lists_is_there() -> None:
    """Under the same name, after it was deleted, before the list is complete."""
    listing = Store().listing()
    again = widget("a", version="8", uid="u2")

    listing.put(widget("a", version="2"))
    listing.discard(widget("a", version="7"))
    listing.discard(widget("never-there", version="7"))
    listing.put(again)

    assert listing.spaces["n"] == {"a": again}


def test_a_twin_is_an_empty_store_with_the_same_indexes() -> None:
    """It can be filled beside the store, and take its place."""
    store = Store()
    store.add_index("name", lambda each: [each.meta.name])
    store.put(widget("a", version="1"))

    twin = store.twin()
    twin.put(widget("b", version="2"))

    assert twin.by_index("name", "a") == []
    assert len(twin.by_index("name", "b")) == 1
    assert [each.meta.name for each in store.list()] == ["a"]


def test_a_store_is_behind_another_that_knows_a_later_change() -> None:
    """Bookmarks tell of no change of the objects held; unknown orders are not behind."""
    one, other = Store(), Store()
    one.put(widget("a", version="5"))
    other.put(widget("a", version="7"))

    behind = one.behind(other), other.behind(one)
    other.advance("90")
    one.put(widget("a", version="7"))

    assert behind == (True, False)
    assert not one.behind(other)
    assert one.held(widget("a")) is not None


def test_differences_lead_from_one_store_to_another() -> None:
    """As handlers of the first one are told: deletions first, namesakes as two, no echoes."""
    now, later = Store(), Store()
    same, gone = widget("same", version="1"), widget("gone", version="2")
    old, new = widget("changed", version="3"), widget("changed", version="9")
    lost, namesake = widget("name", version="4"), widget("name", version="10", uid="u2")
    fresh = widget("fresh", version="11")
    for stored in (same, gone, old, lost):
        now.put(stored)
    for stored in (widget("same", version="1", raw=b'{"x":1}'), new, namesake, fresh):
        later.put(stored)

    events = now.differences(later, initial=False)

    assert events == [
        Deleted(gone, final_state_unknown=True),
        Updated(old, new),
        Created(fresh),
        Deleted(lost, final_state_unknown=True),
        Created(namesake),
    ]
