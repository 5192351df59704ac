"""Tests of the views of live objects."""

from typing import Any

import msgspec
import pytest

from smbpctl.runtime.apply.live import cached_view, is_older, read_view
from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject

REFERENCE = {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "owner", "controller": True}


def manifest(**metadata: Any) -> dict[str, Any]:
    """An object as it is read live."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", **metadata},
    }


def stored(fields: dict[str, bytes] | None = None, **metadata: Any) -> StoredObject:
    """The same object as the cache holds it."""
    whole = manifest(**metadata)
    return StoredObject(
        gvk=GroupVersionKind("", "v1", "ConfigMap"),
        meta=msgspec.convert(whole["metadata"], ObjectMeta),
        raw=msgspec.json.encode(whole),
        fields=fields,
    )


def test_cached_and_read_objects_give_the_same_view() -> None:
    """Whether an object came by watch or by get makes no difference to a decision."""
    metadata: dict[str, Any] = {
        "annotations": {"a": "b"},
        "ownerReferences": [REFERENCE],
        "deletionTimestamp": "2025-01-01T00:00:00Z",
    }
    entry = {"manager": "me", "operation": "Apply", "fieldsV1": {"f:data": {}}}

    cached = cached_view(stored({"me": b'{"f:data":{}}'}, **metadata), "me")
    read = read_view(manifest(**metadata, managedFields=[entry]), "me")

    for view in (cached, read):
        assert (view.uid, view.resource_version, view.deleting) == ("u", "7", True)
        assert (view.controller_uid, view.annotations) == ("owner", {"a": "b"})
        assert view.fields == {"f:data": {}}
        assert view.manifest()["metadata"]["uid"] == "u"


def test_an_object_without_owner_annotations_and_fields_has_none() -> None:
    """Absence is not an error, for neither source."""
    for view in (cached_view(stored(), "me"), read_view(manifest(), "me")):
        assert (view.controller_uid, dict(view.annotations), view.fields) == (None, {}, None)
        assert view.deleting is False


def test_a_broken_cached_record_owns_nothing() -> None:
    """The next apply mends it."""
    assert cached_view(stored({"me": b"?"}), "me").fields is None


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [("9", "10", True), ("10", "9", False), ("9", "9", False), ("", "9", False), ("9", "x", False)],
)
def test_resource_versions_are_ordered_as_numbers(one: str, other: str, *, older: bool) -> None:
    """Nine is older than ten; what is no number has no order."""
    assert is_older(one, other) is older
