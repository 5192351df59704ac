"""An index finds objects by the values a function gives them."""

from structlog.testing import capture_logs

from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject
from smbpctl.runtime.store.index import Index

GVK = GroupVersionKind("", "v1", "Thing")


def thing(name: str, *values: str) -> StoredObject:
    """Return an object whose labels are its index values."""
    return StoredObject(
        gvk=GVK, meta=ObjectMeta(name=name, labels=dict.fromkeys(values, "")), raw=b""
    )


def by_label(stored: StoredObject) -> list[str]:
    """Index function: the label keys; raises for one name."""
    if stored.meta.name == "odd":
        raise KeyError("odd")
    return list(stored.meta.labels or {})


def test_objects_are_found_by_each_of_their_values_in_key_order() -> None:
    """One object may have several values, one value several objects."""
    index = Index("label", by_label)

    for each in (thing("b", "x", "y"), thing("a", "x"), thing("c")):
        index.add(each)

    assert [each.meta.name for each in index.find("x")] == ["a", "b"]
    assert [each.meta.name for each in index.find("y")] == ["b"]
    assert index.find("z") == []


def test_a_value_without_objects_leaves_nothing_behind() -> None:
    """Values that come and go do not pile up."""
    index = Index("label", by_label)
    index.add(thing("a", "x"))

    index.discard(thing("a", "x"))
    index.discard(thing("never added", "x"))

    assert index.find("x") == []
    assert index._values == {}


def test_a_function_that_raises_leaves_the_object_out() -> None:
    """One odd object must not stop the informer that delivers it; the log names it."""
    index = Index("label", by_label)

    with capture_logs() as logs:
        index.add(thing("odd", "x"))
        index.add(thing("a", "x"))

    assert [each.meta.name for each in index.find("x")] == ["a"]
    assert [(each["event"], each["index"], each["key"]) for each in logs] == [
        ("index function failed", "label", "odd")
    ]
