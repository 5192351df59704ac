"""Tests of the walk over field sets."""

from typing import Any

import pytest

from smbpctl.runtime.apply.fields import (
    FieldSet,
    changed_values,
    differences,
    field_set_of,
    filled_lists,
    managed_fields_of,
    owned_values,
    parse_field_set,
    union,
)

WEB = 'k:{"name":"web"}'
TCP = 'k:{"containerPort":53,"protocol":"TCP"}'
UDP = 'k:{"containerPort":53,"protocol":"UDP"}'


def found(desired: dict[str, Any], fields: FieldSet) -> list[str]:
    """The differences, as people read them."""
    return [str(each) for each in differences(desired, fields)]


def changed(desired: Any, live: Any, fields: FieldSet) -> list[str]:
    """The differing values, as people read them."""
    return [str(each) for each in changed_values(desired, live, fields, "")]


def test_exact_ownership_of_every_leaf_has_no_difference() -> None:
    """Scalars, nested maps, keyed lists, sets and atomic values are covered by their entries."""
    desired = {
        "metadata": {"labels": {"a": "1"}, "finalizers": ["x/y"]},
        "spec": {"selector": {"matchLabels": {"a": "1"}}, "containers": [{"name": "web"}]},
    }
    fields: FieldSet = {
        "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {'v:"x/y"': {}}},
        "f:spec": {"f:selector": {}, "f:containers": {WEB: {".": {}, "f:name": {}}}},
    }

    assert found(desired, fields) == []


def test_a_leaf_that_is_not_owned_is_missing() -> None:
    """What somebody else took, or what is new in the desired object, is named by its path."""
    desired = {"spec": {"replicas": 3, "template": {"spec": {"hostPID": True}}}}
    fields: FieldSet = {"f:spec": {"f:template": {"f:spec": {"f:hostNetwork": {}}}}}

    assert found(desired, fields) == [
        ".spec.replicas missing",
        ".spec.template.spec.hostPID missing",
        ".spec.template.spec.hostNetwork surplus",
    ]


def test_a_whole_missing_branch_is_named_leaf_by_leaf() -> None:
    """A branch of which nothing is owned is missing down to its leaves."""
    desired = {"a": {"b": {"c": 1, "d": "x"}, "e": {}}}

    assert found(desired, {}) == [".a.b.c missing", ".a.b.d missing", ".a.e missing"]


def test_an_owned_path_outside_desired_is_surplus() -> None:
    """A field, list item or set item that was dropped needs an apply that removes it."""
    desired = {"a": {"list": [], "set": ["x"]}}
    fields: FieldSet = {
        "f:a": {"f:list": {WEB: {"f:name": {}}}, "f:set": {'v:"x"': {}, 'v:"y"': {}}, "f:b": {}}
    }

    assert found(desired, fields) == [
        '.a.list[name="web"] surplus',
        '.a.set["y"] surplus',
        ".a.b surplus",
    ]


def test_empty_lists_and_strings_are_no_difference() -> None:
    """An empty keyed list leaves no trace, an atomic one a leaf; an empty string is a leaf."""
    desired = {"keyed": [], "atomic": [], "text": "", "nested": {"keyed": []}}
    fields: FieldSet = {"f:atomic": {}, "f:text": {}}

    assert found(desired, fields) == []


def test_an_empty_map_is_a_leaf() -> None:
    """`emptyDir: {}` is a field like any other."""
    assert found({"emptyDir": {}}, {"f:emptyDir": {}}) == []
    assert found({"emptyDir": {}}, {}) == [".emptyDir missing"]
    assert found({"emptyDir": {}}, {"f:emptyDir": {"f:medium": {}}}) == [".emptyDir.medium surplus"]


@pytest.mark.parametrize("atomic", [{"matchLabels": {"a": "1"}}, ["--flag", "--other"], [{"a": 1}]])
def test_an_atomic_leaf_ends_the_walk(atomic: object) -> None:
    """Below an atomic map or list nothing has an owner of its own."""
    assert found({"value": atomic}, {"f:value": {}}) == []


def test_atomic_list_items_are_covered_by_their_key() -> None:
    """An owner reference is one value, found by its UID."""
    desired = {"ownerReferences": [{"uid": "u", "name": "n", "controller": True}]}

    assert found(desired, {"f:ownerReferences": {'k:{"uid":"u"}': {}}}) == []
    assert found(desired, {"f:ownerReferences": {'k:{"uid":"v"}': {}}}) == [
        ".ownerReferences[0] missing",
        '.ownerReferences[uid="v"] surplus',
    ]


def test_a_defaulted_list_key_is_matched_by_the_keys_that_were_written() -> None:
    """A port without protocol is the TCP entry, beside the entry that says UDP."""
    desired = {
        "ports": [
            {"containerPort": 53, "protocol": "UDP", "name": "udp"},
            {"containerPort": 53, "name": "tcp"},
        ]
    }
    udp: FieldSet = {".": {}, "f:containerPort": {}, "f:protocol": {}, "f:name": {}}
    tcp: FieldSet = {".": {}, "f:containerPort": {}, "f:name": {}}

    assert found(desired, {"f:ports": {TCP: tcp, UDP: udp}}) == []
    assert found(desired, {"f:ports": {UDP: udp}}) == [".ports[1] missing"]
    assert found(desired, {"f:ports": {TCP: tcp}}) == [".ports[0] missing"]


def test_a_list_item_with_another_key_is_missing_and_the_old_one_surplus() -> None:
    """A renamed container is another container."""
    desired = {"containers": [{"name": "api"}]}
    fields: FieldSet = {"f:containers": {WEB: {".": {}, "f:name": {}}}}

    assert found(desired, fields) == [
        ".containers[0] missing",
        '.containers[name="web"] surplus',
    ]


def test_an_item_whose_keys_were_all_defaulted_is_no_atomic_item() -> None:
    """Without a written key, a childless entry means that all its leaves were taken."""
    desired = {"ports": [{"name": "x"}]}
    fields: FieldSet = {"f:ports": {'k:{"protocol":"TCP"}': {".": {}, "f:name": {}}}}
    taken: FieldSet = {"f:ports": {'k:{"protocol":"TCP"}': {}}}

    assert found(desired, fields) == []
    assert found(desired, taken) == ['.ports[protocol="TCP"].name missing']
    assert found({"ports": [{"hosts": []}]}, taken) == []


def test_booleans_and_numbers_are_different_keys() -> None:
    """In a set, true is not 1."""
    assert found({"set": [True]}, {"f:set": {"v:1": {}}}) == [
        ".set[true] missing",
        ".set[1] surplus",
    ]


def test_a_scalar_where_we_owned_a_map_is_both_missing_and_surplus() -> None:
    """A change of shape is a change in both directions."""
    assert found({"a": 1}, {"f:a": {"f:b": {}}}) == [".a.b surplus", ".a missing"]
    assert found({"a": 1}, {"f:a": {"f:b": {}, ".": {}}}) == [".a.b surplus"]
    assert found({"a": {"b": 1}}, {"f:a": {'k:{"x":1}': {}}}) == [
        ".a.b missing",
        ".a[x=1] surplus",
    ]


def test_field_names_may_contain_dots_and_slashes() -> None:
    """Annotation keys are field names as they are."""
    desired = {"annotations": {"example.dev/applied-a": "x"}}

    assert found(desired, {"f:annotations": {"f:example.dev/applied-a": {}}}) == []


def test_a_filled_list_that_should_be_empty_is_told_only_where_it_is_not_owned() -> None:
    """An atomic list may have been taken from us; what we own by its entry is known."""
    desired: dict[str, Any] = {
        "args": [],
        "owned": [],
        "deep": {"rules": []},
        "containers": [{"name": "web", "args": []}],
    }
    fields: FieldSet = {"f:owned": {}, "f:containers": {WEB: {".": {}, "f:name": {}}}}
    live = {
        "args": ["x"],
        "owned": ["x"],
        "deep": {"rules": [{}]},
        "containers": [{"name": "other", "args": ["x"]}, {"name": "web", "args": ["x"]}],
    }

    filled = [str(each) for each in filled_lists(desired, live, fields)]

    assert filled == [
        ".args missing",
        ".deep.rules missing",
        '.containers[name="web"].args missing',
    ]
    assert list(filled_lists(desired, {"containers": [{"name": "web"}]}, fields)) == []
    assert list(filled_lists(desired, {}, fields)) == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b"null"])
def test_a_broken_record_counts_as_owning_nothing(raw: bytes) -> None:
    """What is no JSON object cannot cover anything, so an apply mends it."""
    assert parse_field_set(raw) is None


def test_a_record_is_decoded() -> None:
    """fieldsV1 is JSON."""
    assert parse_field_set(b'{"f:a":{"f:b":{}}}') == {"f:a": {"f:b": {}}}


def test_only_our_apply_on_the_same_subresource_counts() -> None:
    """Updates under our name, other managers and other subresources are not our field set."""
    entries: list[dict[str, Any]] = [
        {"manager": "me", "operation": "Update", "fieldsV1": {"f:a": {}}},
        {"manager": "you", "operation": "Apply", "fieldsV1": {"f:b": {}}},
        {"manager": "me", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:c": {}}},
        {"manager": "me", "operation": "Apply", "fieldsV1": {"f:d": {}}},
    ]
    manifest = {"metadata": {"managedFields": entries}}

    assert field_set_of(manifest, "me") == {"f:d": {}}
    assert field_set_of(manifest, "me", subresource="status") == {"f:c": {}}
    assert field_set_of(manifest, "them") is None
    assert field_set_of({"metadata": {"managedFields": [{}]}}, "me") is None
    assert managed_fields_of({"metadata": {}}) == []


def test_values_are_compared_at_owned_paths_only() -> None:
    """What others own may differ; what we own may not."""
    fields: FieldSet = {"f:phase": {}, "f:conditions": {'k:{"type":"A"}': {".": {}, "f:type": {}}}}
    desired = {"phase": "Ready", "conditions": [{"type": "A"}]}
    live = {
        "phase": "Ready",
        "other": 1,
        "conditions": [{"type": "B", "status": "x"}, {"type": "A", "reason": "theirs"}],
    }

    assert changed(desired, live, fields) == []
    assert changed(desired, {**live, "phase": "Lost"}, fields) == [".phase changed"]
    assert changed(desired, {"phase": "Ready"}, fields) == ['.conditions[type="A"].type changed']


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (1, True, False),
        ([True], [1], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
        (1, None, False),
    ],
)
def test_equality_is_that_of_json(one: object, other: object, *, same: bool) -> None:
    """Numbers are equal by value, and a boolean is no number."""
    assert (changed({"a": one}, {"a": other}, {"f:a": {}}) == []) is same


def test_set_items_are_looked_for_in_any_order() -> None:
    """The order of a set says nothing."""
    fields: FieldSet = {"f:set": {'v:"a"': {}, 'v:"b"': {}}}

    assert changed({"set": ["a", "b"]}, {"set": ["c", "b", "a"]}, fields) == []
    assert changed({"set": ["a", "b"]}, {"set": ["b"]}, fields) == ['.set["a"] changed']


def test_an_empty_map_of_ours_may_hold_what_others_own() -> None:
    """Owning an empty map is owning the map, not what is in it."""
    assert changed({"map": {}}, {"map": {"theirs": 1}}, {"f:map": {}}) == []


def test_owned_values_are_cut_out_and_copied() -> None:
    """The part we own comes back as it is, without what others own, and is ours to change."""
    live: dict[str, Any] = {
        "phase": "Ready",
        "theirs": 1,
        "details": {"deep": [1]},
        "set": ["x", "y"],
        "conditions": [{"type": "B"}, {"type": "A", "status": "True", "reason": "theirs"}],
    }
    fields: FieldSet = {
        "f:phase": {},
        "f:absent": {},
        "f:details": {},
        "f:set": {'v:"y"': {}},
        "f:conditions": {'k:{"type":"A"}': {".": {}, "f:type": {}, "f:status": {}}},
    }

    owned = owned_values(live, fields)

    assert owned == {
        "phase": "Ready",
        "details": {"deep": [1]},
        "set": ["y"],
        "conditions": [{"type": "A", "status": "True"}],
    }
    assert owned["details"]["deep"] is not live["details"]["deep"]


def test_union_owns_what_either_owns() -> None:
    """An element owned by itself in one set and by its children in the other stays owned."""
    one: FieldSet = {"f:a": {}, "f:b": {"f:c": {}}}
    other: FieldSet = {"f:a": {"f:x": {}}, "f:b": {"f:d": {}}}

    assert union(one, other) == {"f:a": {".": {}, "f:x": {}}, "f:b": {"f:c": {}, "f:d": {}}}
    assert union(other, one) == union(one, other)
