"""Tests of the hand-over of fields from managers that wrote by update."""

from typing import Any

from smbpctl.runtime.apply.migration import migration_patch


def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One entry of managedFields."""
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "time": "2025-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def live(*entries: dict[str, Any]) -> dict[str, Any]:
    """An object as it was read."""
    metadata = {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": list(entries)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def patch(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    """The patch that hands over what kubectl owns."""
    return migration_patch(live(*entries), field_owner="me", from_managers={"kubectl"})


def test_fields_of_updates_become_fields_of_our_apply() -> None:
    """The union of both is ours then, and the entry handed over is gone."""
    ours = entry("me", "Apply", {"f:data": {"f:a": {}}})
    theirs = entry("kubectl", "Update", {"f:data": {".": {}, "f:b": {}}})
    bystander = entry("other", "Update", {"f:data": {"f:c": {}}})

    operations = patch(theirs, bystander, ours)

    merged, *kept = operations[1]["value"]
    assert (merged["manager"], merged["operation"]) == ("me", "Apply")
    assert merged["fieldsV1"] == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    assert kept == [bystander]


def test_the_first_apply_starts_with_what_was_handed_over() -> None:
    """Without an entry of ours, theirs becomes ours."""
    merged = patch(entry("kubectl", "Update", {"f:data": {"f:b": {}}}))[1]["value"]

    assert [(each["manager"], each["fieldsV1"]) for each in merged] == [
        ("me", {"f:data": {"f:b": {}}})
    ]


def test_our_status_is_no_part_of_what_is_merged() -> None:
    """An entry of ours on a subresource has paths of its own."""
    status = entry("me", "Apply", {"f:status": {}}, subresource="status")

    merged, *kept = patch(status, entry("kubectl", "Update", {"f:data": {}}))[1]["value"]

    assert merged["fieldsV1"] == {"f:data": {}}
    assert kept == [status]


def test_the_patch_is_bound_to_the_object_and_version_that_were_read() -> None:
    """Between read and patch anybody may write; then nothing is handed over."""
    operations = patch(entry("kubectl", "Update", {}))

    assert operations[0] == {"op": "test", "path": "/metadata/uid", "value": "u"}
    assert operations[2] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_nothing_to_hand_over_is_no_patch() -> None:
    """Applies, status updates and other managers are left alone."""
    status = entry("kubectl", "Update", {}, subresource="status")

    assert patch(status, entry("kubectl", "Apply", {}), entry("other", "Update", {})) == []


def test_entries_of_another_api_version_stay() -> None:
    """Paths of another version may mean other fields."""
    old = entry("kubectl", "Update", {"f:x": {}}, apiVersion="v1beta1")

    operations = patch(entry("kubectl", "Update", {"f:y": {}}), old)

    merged, *kept = operations[1]["value"]
    assert merged["fieldsV1"] == {"f:y": {}}
    assert kept == [old]
