"""Which events matter, and how judgements combine."""

from collections.abc import Callable

import msgspec
import pytest

from smbpctl.runtime.event import Created, Deleted, Event, Generic, Updated
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    ObjectMeta,
    StoredObject,
    labels_equal,
)
from smbpctl.runtime.predicate import (
    Predicate,
    annotations_changed,
    in_namespace,
    label_selector,
    labels_changed,
    only,
    resource_version_changed,
    spec_changed,
)

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
CHANGED = [spec_changed(), labels_changed(), annotations_changed(), resource_version_changed()]


def an_object(
    *,
    uid: str = "u1",
    version: str = "1",
    generation: int = 1,
    deleting: bool = False,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    namespace: str = "default",
) -> StoredObject:
    """Return a cached object; its bytes hold what its metadata does not."""
    metadata: dict[str, object] = {"name": "a"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return StoredObject(
        gvk=CONFIG_MAP,
        meta=ObjectMeta(
            name="a",
            namespace=namespace,
            uid=uid,
            resource_version=version,
            generation=generation,
            deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
            labels=labels,
        ),
        raw=msgspec.json.encode({"metadata": metadata}),
    )


OBJECT = an_object()
EVENTS: list[Event] = [
    Created(OBJECT),
    Updated(OBJECT, an_object(version="2")),
    Deleted(OBJECT),
    Generic(OBJECT),
]


class TestPredicate:
    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("second", [True, False])
    def test_combinations_follow_logic(self, first: bool, second: bool) -> None:
        """`&`, `|` and `~` are and, or and not, event by event."""
        left, right = Predicate(lambda _: first), Predicate(lambda _: second)
        event = EVENTS[0]

        assert (left & right)(event) is (first and second)
        assert (left | right)(event) is (first or second)
        assert (~left)(event) is (not first)

    def test_a_plain_function_combines_too(self) -> None:
        """The right side need not be wrapped."""

        def never(_: Event) -> bool:
            return False

        assert not (only(Created) & never)(EVENTS[0])
        assert (only(Created) | never)(EVENTS[0])


class TestChanged:
    @pytest.mark.parametrize("predicate", CHANGED)
    @pytest.mark.parametrize("event", [EVENTS[0], EVENTS[2], EVENTS[3]])
    def test_only_updates_are_judged(self, predicate: Predicate, event: Event) -> None:
        """What appears, goes or is told from outside always matters."""
        assert predicate(event)

    @pytest.mark.parametrize("predicate", CHANGED)
    def test_a_resync_is_dropped(self, predicate: Predicate) -> None:
        """An update from a state to the same state says nothing new."""
        assert not predicate(Updated(OBJECT, OBJECT))

    @pytest.mark.parametrize("predicate", CHANGED)
    def test_the_start_of_a_deletion_always_passes(self, predicate: Predicate) -> None:
        """Kinds without a generation get none from it; who misses it keeps its finalizer."""
        old = an_object(generation=0)
        deleting = an_object(generation=0, version="2", deleting=True)

        assert predicate(Updated(old, deleting))

    @pytest.mark.parametrize("predicate", CHANGED)
    def test_another_uid_always_passes(self, predicate: Predicate) -> None:
        """An object of the same name is another object, however alike they look."""
        assert predicate(Updated(OBJECT, an_object(uid="u2")))


class TestSpecChanged:
    def test_a_status_write_is_dropped(self) -> None:
        """It changes the resourceVersion and not the generation."""
        assert not spec_changed()(Updated(OBJECT, an_object(version="2")))

    def test_a_new_generation_passes(self) -> None:
        """The API server counts changes of the spec."""
        assert spec_changed()(Updated(OBJECT, an_object(version="2", generation=2)))

    @pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 1), (1, 0)])
    def test_without_a_generation_any_change_passes(self, before: int, after: int) -> None:
        """Secrets and ConfigMaps have none: their resourceVersion is all there is."""
        old = an_object(generation=before)
        same, new = an_object(generation=after), an_object(generation=after, version="2")

        assert spec_changed()(Updated(old, new))
        assert not spec_changed()(Updated(old, same))

    def test_an_object_being_deleted_passes_again_and_again(self) -> None:
        """Each finalizer that goes is such an update, and the next one waits for it."""
        old = an_object(version="2", deleting=True)
        new = an_object(version="3", deleting=True)

        assert spec_changed()(Updated(old, new))


class TestOtherChanges:
    def test_resource_version(self) -> None:
        """Any write passes, a status write included."""
        assert resource_version_changed()(Updated(OBJECT, an_object(version="2")))

    def test_labels(self) -> None:
        """Changed labels pass; absent and empty labels are the same."""
        labelled = an_object(version="2", labels={"app": "x"})
        unlabelled = an_object(version="2", labels={})

        assert labels_changed()(Updated(OBJECT, labelled))
        assert labels_changed()(Updated(labelled, unlabelled))
        assert not labels_changed()(Updated(OBJECT, unlabelled))

    def test_annotations(self) -> None:
        """They are compared as values, whatever order the bytes have them in."""
        one = an_object(annotations={"a": "1", "b": "2"})
        same = an_object(version="2", annotations={"b": "2", "a": "1"})
        other = an_object(version="2", annotations={"a": "1", "b": "3"})

        assert annotations_changed()(Updated(one, other))
        assert annotations_changed()(Updated(OBJECT, one))
        assert not annotations_changed()(Updated(one, same))
        assert not annotations_changed()(Updated(OBJECT, an_object(annotations={})))

    def test_either_of_two_changes(self) -> None:
        """The usual combination keeps deletions and drops status writes."""
        predicate = spec_changed() | labels_changed()

        assert predicate(Updated(OBJECT, an_object(version="2", labels={"app": "x"})))
        assert predicate(Updated(OBJECT, an_object(version="2", generation=2)))
        assert not predicate(Updated(OBJECT, an_object(version="2")))


class TestSelection:
    def test_labels_select_events(self) -> None:
        """An unselected object is nobody's business, whatever happens to it."""
        predicate = label_selector(labels_equal({"app": "x"}))
        selected = an_object(labels={"app": "x", "more": "y"})

        assert predicate(Created(selected))
        assert predicate(Deleted(selected))
        assert not predicate(Created(OBJECT))
        assert not predicate(Updated(OBJECT, OBJECT))

    def test_leaving_the_selection_is_seen(self) -> None:
        """Else the one who acts on the selected objects would keep a ghost."""
        predicate = label_selector(labels_equal({"app": "x"}))
        selected = an_object(labels={"app": "x"})

        assert predicate(Updated(selected, OBJECT))
        assert predicate(Updated(OBJECT, selected))

    def test_everything_is_selected_by_name_only(self) -> None:
        """The empty selector passes all events."""
        predicate = label_selector(LabelSelector.everything())

        assert all(predicate(event) for event in EVENTS)

    def test_only_passes_the_named_types(self) -> None:
        """Each event has exactly one type."""
        predicate = only(Created, Deleted)

        assert [predicate(event) for event in EVENTS] == [True, False, True, False]

    def test_in_namespace_passes_the_named_namespaces(self) -> None:
        """The empty name stands for cluster-scoped objects."""
        predicate = in_namespace("a", "")

        assert predicate(Created(an_object(namespace="a")))
        assert predicate(Created(an_object(namespace="")))
        assert not predicate(Created(an_object(namespace="b")))

    @pytest.mark.parametrize("make", [only, in_namespace])
    def test_naming_nothing_is_refused(self, make: Callable[[], Predicate]) -> None:
        """A predicate that drops everything is a mistake, not a wish."""
        with pytest.raises(ValueError, match="would drop every event"):
            make()
