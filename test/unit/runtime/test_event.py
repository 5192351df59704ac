"""What an informer tells: plain values."""

import pytest

from smbpctl.runtime.event import Cause, Created, Deleted, Event, Generic, Trigger, Updated
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, ObjectMeta, StoredObject

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


def an_object(version: str) -> StoredObject:
    """Return a cached object."""
    meta = ObjectMeta(name="a", uid="u1", resource_version=version)
    return StoredObject(gvk=CONFIG_MAP, meta=meta, raw=b"{}")


OLD, NEW = an_object("1"), an_object("2")


class TestEvent:
    @pytest.mark.parametrize("event", [Created(NEW), Updated(OLD, NEW), Deleted(NEW), Generic(NEW)])
    def test_every_event_has_the_newest_state_known(self, event: Event) -> None:
        """Handlers need not look at the type to learn which object it is about."""
        assert event.object is NEW

    def test_types_are_told_apart_by_matching(self) -> None:
        """Two events of different types are never equal, whatever they carry."""
        events: list[Event] = [Created(NEW), Deleted(NEW), Generic(NEW)]

        assert [events.index(event) for event in events] == [0, 1, 2]
        assert Created(NEW) == Created(an_object("2"))

    def test_marks_are_off_unless_set(self) -> None:
        """Only the first list makes initial events, only a list makes inferred deletions."""
        assert not Created(NEW).initial
        assert not Deleted(NEW).final_state_unknown
        assert Created(NEW, initial=True) != Created(NEW)

    @pytest.mark.parametrize("field", ["old", "object"])
    def test_an_event_cannot_be_changed(self, field: str) -> None:
        """All handlers of an informer get the same one."""
        event = Updated(OLD, NEW)

        with pytest.raises(AttributeError):
            setattr(event, field, an_object("3"))


class TestCause:
    """What woke a key."""

    def test_it_names_the_object(self) -> None:
        """As people write it: what happened, kind, key and version."""
        cause = Cause(Trigger.UPDATED, CONFIG_MAP, "ns", "a", "42")

        assert str(cause) == "updated ConfigMap ns/a@42"
        assert cause.key == ObjectKey("ns", "a")

    def test_it_need_not_have_an_object(self) -> None:
        """A retry has none."""
        assert str(Cause(Trigger.RETRY)) == "retry"

    def test_it_says_the_same_of_another_version(self) -> None:
        """Kind, key and trigger decide: two changes of one object are one cause."""
        cause = Cause(Trigger.UPDATED, CONFIG_MAP, "ns", "a", "1")
        others = [
            Cause(Trigger.DELETED, CONFIG_MAP, "ns", "a", "1"),
            Cause(Trigger.UPDATED, None, "ns", "a", "1"),
            Cause(Trigger.UPDATED, CONFIG_MAP, "", "a", "1"),
            Cause(Trigger.UPDATED, CONFIG_MAP, "ns", "b", "1"),
        ]

        assert cause.same_as(Cause(Trigger.UPDATED, CONFIG_MAP, "ns", "a", "2"))
        assert not any(cause.same_as(other) for other in others)
