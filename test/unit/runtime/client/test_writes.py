"""The call that each verb makes of its arguments."""

import pytest

from smbpctl.runtime.client import Validation, Verb
from smbpctl.runtime.client.writes import (
    apply,
    create,
    delete,
    delete_collection,
    evict,
    in_version,
    patch,
    preconditions,
    update,
)
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, ObjectKey
from test.unit.runtime.client.server import CONFIG_MAP, KEY, OWNER, manifest


def test_a_creation_takes_its_namespace_from_the_object() -> None:
    """The name may be the server's choice: messages then show how it begins."""
    unnamed = manifest(name="", generateName="a-")

    call = create(unnamed, {"field_owner": OWNER})

    assert (call.verb, call.key, call.name) == (Verb.CREATE, ObjectKey("ns", ""), "ns/a-")
    assert (call.field_owner, call.validation) == (OWNER, Validation.STRICT)


def test_an_update_carries_a_version_unless_it_is_waived() -> None:
    """Waived, the one in the manifest does not bind either."""
    read = manifest(resourceVersion="5")

    bound = update(read, {}, subresource="", overwrite=False)
    waived = update(read, {}, subresource="status", overwrite=True)

    assert bound.body == read
    assert (waived.body, waived.subresource) == (manifest(), "status")
    with pytest.raises(ValueError, match="resourceVersion is missing"):
        update(manifest(resourceVersion=""), {}, subresource="", overwrite=False)


def test_options_are_passed_on() -> None:
    """Of every verb that stores content."""
    options = {"field_owner": OWNER, "validation": Validation.WARN, "dry_run": True}
    read = manifest(resourceVersion="5")

    calls = [
        create(read, options),
        update(read, options, subresource="", overwrite=False),
        apply(read, options, subresource="", force=True),
        patch((CONFIG_MAP, KEY, "status"), {}, options, content_type="x/y"),
    ]

    assert {(call.field_owner, call.validation, call.dry_run) for call in calls} == {
        (OWNER, Validation.WARN, True)
    }
    assert [call.force for call in calls] == [False, False, True, False]
    assert (calls[3].subresource, calls[3].content_type) == ("status", "x/y")


def test_preconditions_are_only_those_given() -> None:
    """None stands for no expectation, not for an empty one."""
    tests = preconditions(uid=None, resource_version="5")

    assert tests == [{"op": "test", "path": "/metadata/resourceVersion", "value": "5"}]
    assert preconditions(uid=None, resource_version=None) == []
    assert in_version({"data": {}}, None) == {"data": {}}


def test_what_takes_objects_away_has_no_owner_and_nothing_to_validate() -> None:
    """The rest is in the body."""
    everything = LabelSelector.everything()

    calls = [
        delete(CONFIG_MAP, KEY, {}, dry_run=False),
        delete_collection(CONFIG_MAP, "ns", {}, selector=everything, fields=None, dry_run=False),
        evict(KEY, {}, dry_run=False),
    ]

    assert {(call.field_owner, call.validation) for call in calls} == {("", None)}
    assert [call.key for call in calls] == [KEY, ObjectKey("ns", ""), KEY]
    assert calls[2].gvk == GroupVersionKind("", "v1", "Pod")
