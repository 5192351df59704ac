"""Labels behave as the mapping they stand for."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime.meta import labels_equal
from smbpctl.runtime.store.labels import Labels

mappings = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=4)


def labels(content: Mapping[str, str]) -> Labels:
    """Return labels of this content."""
    return Labels(tuple(content), tuple(content.values()))


@given(mappings, st.text(max_size=3))
def test_labels_read_like_a_dict(content: dict[str, str], name: str) -> None:
    """Every way of reading gives what a dict gives."""
    read = labels(content)

    assert isinstance(read, Mapping)
    assert (dict(read), {**read}) == (content, content)
    assert (list(read), len(read), bool(read)) == (list(content), len(content), bool(content))
    assert (name in read, read.get(name), read.get(name, "x")) == (
        name in content,
        content.get(name),
        content.get(name, "x"),
    )
    assert (list(read.keys()), list(read.values())) == (list(content), list(content.values()))
    assert list(read.items()) == list(content.items())
    assert repr(read) == repr(content)


@given(mappings, mappings)
def test_equality_is_that_of_the_content(one: dict[str, str], other: dict[str, str]) -> None:
    """Whatever the order, and whatever mapping the other is; equal ones have one hash."""
    backwards = dict(reversed(one.items()))

    assert labels(one) == labels(backwards) == one
    assert hash(labels(one)) == hash(labels(backwards))
    assert (labels(one) == labels(other)) is (one == other)
    assert (labels(one) != other) is (one != other)
    assert labels(one) != 1


def test_a_missing_label_is_a_key_error() -> None:
    """As of any mapping."""
    with pytest.raises(KeyError, match="b"):
        labels({"a": "x"})["b"]


def test_selectors_match_them() -> None:
    """They are what selectors look at."""
    assert labels_equal({"a": "x"}).matches(labels({"b": "y", "a": "x"}))  # type: ignore[arg-type]
