"""What many objects share is kept once, and forgotten when it is many things."""

from smbpctl.runtime.store.intern import Interned


def test_equal_labels_are_one_object() -> None:
    """Two objects with the same labels share them, and different ones share their keys."""
    interned = Interned()

    one, same, other = (
        interned.labels(json, "name")
        for json in (b'{"a":"x","b":"y"}', b'{"a":"x","b":"y"}', b'{"a":"z","b":"y"}')
    )

    assert one is same
    assert other is not None
    assert one is not None
    assert one.names is other.names
    assert one["b"] is other["b"]
    assert other == {"a": "z", "b": "y"}


def test_a_label_that_is_the_objects_name_is_that_string() -> None:
    """Many objects are labelled with their own name."""
    name = "".join(["a", "-", "b"])

    labels = Interned().labels(b'{"instance":"a-b"}', name)

    assert labels is not None
    assert labels["instance"] is name


def test_null_and_empty_are_told_apart() -> None:
    """As in the JSON they come from."""
    interned = Interned()

    assert interned.labels(b"null", "a") is None
    assert interned.labels(b"{}", "a") == {}
    assert interned.owners(b"null") is None
    assert interned.owners(b"[]") == ()


def test_equal_owners_are_one_object() -> None:
    """A hundred children name one owner."""
    interned = Interned()
    json = b'[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"u","controller":true}]'

    owners = interned.owners(json)

    assert owners is interned.owners(bytes(json))
    assert owners is not None
    assert (owners[0].uid, owners[0].controller) == ("u", True)


def test_equal_field_sets_are_one_object() -> None:
    """As a mapping and one by one."""
    interned = Interned()

    one = interned.field_sets({"a": b"".join([b"{", b"}"])})
    other = interned.field_sets({"b": b"".join([b"{", b"}"])})

    assert one is interned.field_sets({"a": b"{}"})
    assert one["a"] is other["b"]


def test_values_that_are_never_seen_again_do_not_pile_up() -> None:
    """Tables are emptied when they are full; what was given out stays valid."""
    interned = Interned()

    given = [interned.labels(b'{"a":"%d"}' % number, "") for number in range(5000)]
    words = [interned.word(str(number)) for number in range(5000)]

    assert [each and each["a"] for each in given] == words
    assert len(interned._labels) <= 1024
    assert len(interned._words) <= 1024
