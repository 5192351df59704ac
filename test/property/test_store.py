"""A store's events, indexes and sizes always agree with its objects; splicing loses no byte."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.meta import (
    GroupVersionKind,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    StoredObject,
)
from smbpctl.runtime.store import ObjectDecoder, Store

GVK = GroupVersionKind("demo.example.com", "v1", "Widget")

versions = st.one_of(
    st.integers(0, 30).map(str),
    st.sampled_from(["", "abc", "-5", "007", "9" * 30, "9" * 5000, "٣"]),
)


@st.composite
def stored_objects(draw: st.DrawFn) -> StoredObject:
    """Draw a small object out of few names, UIDs, owners and shards."""
    owners = draw(st.lists(st.sampled_from(["o1", "o2"]), unique=True, max_size=2))
    return StoredObject(
        gvk=GVK,
        meta=ObjectMeta(
            name=draw(st.sampled_from("abc")),
            namespace=draw(st.sampled_from(["", "n", "m"])),
            uid=draw(st.sampled_from(["u1", "u2"])),
            resource_version=draw(versions),
            labels=draw(st.sampled_from([None, {"shard": "1"}, {"shard": "2"}])),
            owner_references=tuple(
                OwnerReference(api_version="v1", kind="Owner", name=uid, uid=uid) for uid in owners
            ),
        ),
        raw=b"x" * draw(st.integers(0, 5)),
    )


changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), stored_objects()),
        st.tuples(st.just("remove"), stored_objects()),
        st.tuples(st.just("bookmark"), versions),
        st.tuples(
            st.just("replace"),
            st.lists(stored_objects(), max_size=5, unique_by=lambda each: each.key),
        ),
    ),
    max_size=20,
)


def shard(stored: StoredObject) -> list[str]:
    """Index function: the value of one label."""
    labels = stored.meta.labels or {}
    return [labels["shard"]] if "shard" in labels else []


def same_version(held: StoredObject | None, stored: StoredObject) -> bool:
    """Tell whether two states are of one object and one version."""
    return (
        held is not None
        and held.meta.uid == stored.meta.uid
        and held.meta.resource_version == stored.meta.resource_version != ""
    )


def fold(held: dict[ObjectKey, StoredObject], events: list[Event]) -> None:
    """Apply events to what a handler holds; fail when they are no history."""
    for event in events:
        key = event.object.key
        match event:
            case Created(stored):
                assert key not in held
                held[key] = stored
            case Updated(old, stored):
                assert held[key] == old
                assert old.meta.uid == stored.meta.uid
                held[key] = stored
            case Deleted(stored):
                assert held.pop(key).meta.uid == stored.meta.uid
            case _:
                raise AssertionError(event)


def change(
    store: Store, held: dict[ObjectKey, StoredObject], operation: str, argument: Any
) -> None:
    """Do one thing to the store, and the same to what a handler holds."""
    match operation:
        case "put":
            fold(held, store.put(argument))
        case "remove":
            fold(held, store.remove(argument))
        case "bookmark":
            store.advance(argument)
        case _:
            # Other bytes of the same version are taken in without an event.
            held.update({x.key: x for x in argument if same_version(held.get(x.key), x)})
            fold(held, store.replace(argument, "5", initial=False))
            assert store.list() == sorted(argument, key=lambda each: each.key)


@settings(max_examples=300)
@given(changes, st.integers(0, 20))
def test_events_indexes_and_sizes_agree_with_the_objects(
    plan: list[tuple[str, Any]], index_at: int
) -> None:
    """After any changes in any order, folded events give the store, and every view of it agrees."""
    store = Store()
    held: dict[ObjectKey, StoredObject] = {}

    for step, (operation, argument) in enumerate(plan):
        if step == index_at:
            store.add_index("shard", shard)
        change(store, held, operation, argument)

        everything = [held[key] for key in sorted(held)]
        assert store.keys() == sorted(held)
        assert store.list() == everything
        assert len(store) == len(held)
        assert store.bytes() == sum(len(each.raw) for each in everything)
        assert all(store.get(key) == each for key, each in held.items())
        for namespace in ("", "n", "m"):
            assert store.list(namespace) == [
                each for each in everything if each.meta.namespace == namespace
            ]
        for uid in ("o1", "o2"):
            assert store.by_owner(uid) == [
                each
                for each in everything
                if uid in {owner.uid for owner in each.meta.owner_references or ()}
            ]
        for value in ("1", "2") if step >= index_at else ():
            assert store.by_index("shard", value) == [
                each for each in everything if value in shard(each)
            ]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.booleans(), st.lists(st.integers(0, 30), max_size=3)),
        max_size=15,
    )
)
def test_echoes_of_earlier_events_change_nothing(
    plan: list[tuple[str, bool, list[int]]],
) -> None:
    """A server may tell any earlier event again at any time: the store stays at the newest."""
    store = Store()
    store.replace([], "100", initial=True)
    truth: dict[str, StoredObject] = {}
    told: list[tuple[bool, StoredObject]] = []

    for step, (name, deletes, echoes) in enumerate(plan):
        version = str(101 + step)
        uid = truth[name].meta.uid if name in truth else f"uid-{step}"
        stored = StoredObject(
            gvk=GVK, meta=ObjectMeta(name=name, uid=uid, resource_version=version), raw=b"{}"
        )
        if deletes and name not in truth:
            continue
        told.append((deletes, stored))
        if deletes:
            store.remove(stored)
            del truth[name]
        else:
            store.put(stored)
            truth[name] = stored
        for echo in echoes:
            gone, again = told[echo % len(told)]
            assert (store.remove(again) if gone else store.put(again)) == []

        assert {each.meta.name: each for each in store.list()} == truth
        assert store.resource_version == version


names = st.sampled_from(["managedFields", "metadata", "a", "f:managedFields", 'x"', "ż\\", "spec"])
documents = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**25), 10**25),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
        st.sampled_from(['"managedFields":[', "}", "]", '\\"managedFields":[{}]']),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def kubernetes_objects(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an object with members in any order, and managedFields in many places or none."""
    annotations = st.dictionaries(names, st.text(max_size=5), max_size=2)
    metadata: dict[str, Any] = {"name": "a", "annotations": draw(annotations)}
    if draw(st.booleans()):
        entries = st.fixed_dictionaries({"manager": st.text(max_size=3), "fieldsV1": documents})
        metadata["managedFields"] = draw(st.lists(entries, max_size=2))
    members = {"metadata": _shuffled(draw, metadata), "spec": draw(documents)}
    if draw(st.booleans()):
        members["managedFields"] = draw(documents)
    return _shuffled(draw, members)


def _shuffled(draw: st.DrawFn, members: dict[str, Any]) -> dict[str, Any]:
    return dict(draw(st.permutations(list(members.items()))))


@settings(max_examples=400)
@given(
    kubernetes_objects(),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    st.sampled_from([None, 2]),
)
def test_splicing_removes_managed_fields_and_nothing_else(
    document: dict[str, Any], escaped: bool, separators: tuple[str, str], indent: int | None
) -> None:
    """Whatever the order, white space and escapes, only metadata.managedFields goes."""
    text = json.dumps(document, ensure_ascii=escaped, separators=separators, indent=indent)
    document["metadata"].pop("managedFields", None)

    stored = ObjectDecoder(GVK).object(text.encode())

    # Compared as text: parsing would hide a number that was written anew.
    expected = json.dumps(document, ensure_ascii=escaped, separators=separators, indent=indent)
    assert b"".join(stored.raw.split()) == b"".join(expected.encode().split())
    assert json.loads(stored.raw) == document


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from("abc"), st.booleans()),
        max_size=14,
    )
)
def test_a_listing_as_a_stream_is_not_led_astray_by_echoes(
    history: list[tuple[str, str, bool]],
) -> None:
    """Whenever all that was told is told once more, what is listed is the state at the end."""
    listing, truth = Store().listing(), dict[str, StoredObject]()
    told: list[tuple[str, StoredObject]] = []
    for version, (what, name, echoes) in enumerate(history, 101):
        if what == "remove" and name not in truth:
            continue
        uid = truth[name].meta.uid if name in truth else f"uid-{version}"
        meta = ObjectMeta(name=name, namespace="n", uid=uid, resource_version=str(version))
        told.append((what, StoredObject(gvk=GVK, meta=meta, raw=b"{}")))
        if what == "put":
            truth[name] = told[-1][1]
        else:
            del truth[name]
        for kind, stored in [told[-1], *(told[:-1] if echoes else [])]:
            (listing.put if kind == "put" else listing.discard)(stored)

    assert listing.spaces.get("n", {}) == truth
