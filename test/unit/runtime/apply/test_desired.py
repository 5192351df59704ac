"""Tests of the checks and the hash of desired objects."""

from copy import deepcopy
from typing import Any

import pytest

from smbpctl.runtime.apply.desired import annotation_key, canonical_hash, desire

MARK = "example.dev/applied-web"


def config_map(**changes: Any) -> dict[str, Any]:
    """A complete ConfigMap."""
    metadata = {"name": "a", "namespace": "default", "annotations": {"note": "x"}}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}}
    return {**manifest, **changes}


def test_the_annotation_is_named_by_domain_and_owner() -> None:
    """Only the part after the slash names the annotation; an owner without a slash is whole."""
    assert annotation_key("example.dev", "operator/web") == MARK
    assert annotation_key("example.dev", "web") == MARK


@pytest.mark.parametrize(
    ("domain", "owner"),
    [("", "a/b"), ("Example.dev", "a/b"), ("example.dev", "a/"), ("example.dev", "a/" + "b" * 60)],
)
def test_an_impossible_annotation_is_refused(domain: str, owner: str) -> None:
    """A key that the server would refuse is refused at start."""
    with pytest.raises(ValueError, match="name no annotation"):
        annotation_key(domain, owner)


def test_the_hash_is_of_the_object_without_the_annotation() -> None:
    """The annotation carries the hash of what the caller gave, and is part of what is sent."""
    manifest = config_map()

    desired = desire(manifest, annotation=MARK)

    assert desired.digest == canonical_hash(manifest)
    assert desired.manifest["metadata"]["annotations"] == {"note": "x", MARK: desired.digest}
    assert desired.manifest["data"] == {"k": "v"}


def test_the_callers_object_is_left_as_it_is() -> None:
    """Stamping makes copies of what it changes."""
    manifest = config_map()
    before = deepcopy(manifest)

    desire(manifest, annotation=MARK)

    assert manifest == before


def test_the_hash_knows_no_order_of_keys() -> None:
    """Two dicts with the same content have one hash; order in lists counts."""
    assert canonical_hash({"a": 1, "b": [1, 2]}) == canonical_hash({"b": [1, 2], "a": 1})
    assert canonical_hash([1, 2]) != canonical_hash([2, 1])


def test_the_hash_is_stable_over_releases() -> None:
    """A hash that changed with a release would re-apply the world."""
    expected = "31cef7c5ffc9bb80c9eb0d7891aac4e93b024b5ce7a9b38b2fe3f0b7a6a15a6f"

    assert canonical_hash({"b": "ü", "a": [1, 1.5, True, {}]}) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"k": None}}, r"ConfigMap default/a\.data\.k is null"),
        ({"data": [{"k": [None]}]}, r"\.data\[0\]\.k\[0\] is null"),
        ({"data": {1: "x"}}, "key 1, which is not a string"),
        ({"data": {"k": float("nan")}}, r"\.data\.k is nan, which is not JSON"),
        ({"data": {"k": float("inf")}}, "is inf"),
        ({"data": {"k": ("a",)}}, "is not JSON|not JSON"),
        ({"data": {"k": b"x"}}, "not JSON"),
        ({"status": {}}, "apply_status"),
        ({"metadata": {"name": "a", "uid": "u"}}, r"metadata\.uid is the server's"),
        ({"metadata": {"name": "a", "managedFields": []}}, "managedFields"),
        ({"metadata": {"name": "a", "resourceVersion": "1"}}, "resourceVersion"),
        ({"metadata": {"name": "a", "annotations": {MARK: "x"}}}, "written by apply alone"),
        ({"metadata": {}}, r"metadata\.name"),
        ({"kind": ""}, "names no kind"),
    ],
)
def test_what_could_never_converge_is_refused(change: dict[str, Any], words: str) -> None:
    """The message names the object and the path."""
    with pytest.raises(ValueError, match=words):
        desire(config_map(**change), annotation=MARK)


def test_string_data_is_refused_in_secrets_only() -> None:
    """The server turns it into data, under no owner; other kinds may have such a field."""
    body = {"stringData": {"k": "v"}}

    with pytest.raises(ValueError, match="write data instead"):
        desire(config_map(kind="Secret", **body), annotation=MARK)

    assert desire(config_map(**body), annotation=MARK).manifest["stringData"] == {"k": "v"}


def test_the_body_has_what_the_server_records() -> None:
    """Kind, name and namespace are no fields that anybody owns."""
    desired = desire(config_map(), annotation=MARK)

    assert desired.body == {
        "metadata": {"annotations": {"note": "x", MARK: desired.digest}},
        "data": {"k": "v"},
    }


def test_preconditions_are_added_to_a_copy() -> None:
    """UID and resourceVersion go with the request and are no part of what is desired."""
    desired = desire(config_map(), annotation=MARK)

    sent = desired.with_preconditions(uid="u", resource_version="7")

    assert (sent["metadata"]["uid"], sent["metadata"]["resourceVersion"]) == ("u", "7")
    assert desired.with_preconditions() == desired.manifest
    assert str(desired) == "ConfigMap default/a"


@pytest.mark.parametrize(
    ("data", "has"), [({"k": []}, True), ({"k": [{"x": []}]}, True), ({"k": ["x"], "m": {}}, False)]
)
def test_empty_lists_are_found_at_any_depth(data: dict[str, Any], *, has: bool) -> None:
    """They are rare, and only they need a look at values."""
    assert desire(config_map(data=data), annotation=MARK).has_empty_list is has
