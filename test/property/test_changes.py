"""Differences of objects: none is left out, none is invented, and no secret is in them."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smbpctl.runtime.client.changes import ABSENT, Change, changes
from smbpctl.runtime.meta import Manifest

names = st.sampled_from(["a", "b", "name", "type", "x.y/z"])
leaves = st.none() | st.text(max_size=3) | st.integers(-3, 9)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
named = st.lists(st.fixed_dictionaries({"name": names}, optional={"v": values}), max_size=3)
contents = st.dictionaries(names, values | named, max_size=3)


def _object(kind: str, **fields: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **fields}


@settings(max_examples=200, deadline=None)
@given(contents, contents)
def test_there_are_changes_exactly_where_objects_differ(old: Any, new: Any) -> None:
    """Also by order, by null and by emptiness; and what is compared is not changed."""
    before, after = _object("X", spec=old), _object("X", spec=new)
    copies = copy.deepcopy((before, after))

    found = changes(before, after)

    assert (found == ()) == (old == new)
    assert all(each.before != each.after for each in found)
    assert len({each.path for each in found}) == len(found)
    assert (before, after) == copies


@settings(max_examples=200, deadline=None)
@given(contents, contents)
def test_the_way_back_is_the_same_backwards(old: Any, new: Any) -> None:
    """Whatever is told of a change is told of its reversal, with the values swapped."""
    before, after = _object("X", spec=old), _object("X", spec=new)

    there, back = changes(before, after), changes(after, before)

    assert there == tuple(Change(each.path, each.after, each.before) for each in back)


@settings(max_examples=100, deadline=None)
@given(contents, contents)
def test_of_a_secret_nothing_is_told_but_where(old: Any, new: Any) -> None:
    """Whatever shape its data has."""
    before, after = _object("Secret", data=old), _object("Secret", data=new)

    found = changes(before, after)

    assert {each.path for each in found} == {
        each.path for each in changes({**before, "kind": "X"}, {**after, "kind": "X"})
    }
    assert {each.before for each in found} | {each.after for each in found} <= {
        ABSENT,
        "<redacted>",
    }
