"""Pages and lines become stored objects with exact bytes, or a clear error."""

import json
from typing import Any

import pytest

from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from smbpctl.runtime.store import DecodeError, EventType, ObjectDecoder

WIDGET = GroupVersionKind("demo.example.com", "v1", "Widget")
OWNERS = frozenset({"demo/cluster"})


def widget(**metadata: Any) -> dict[str, Any]:
    """Return a widget whose metadata is `metadata` over a name, a namespace and a version."""
    return {
        "apiVersion": "demo.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a", "namespace": "n", "resourceVersion": "7", **metadata},
        "spec": {"size": 1},
    }


def encode(document: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def applied(manager: str, fields: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """Return an `Apply` entry of managedFields."""
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, **extra}


def test_metadata_is_decoded_and_the_rest_kept_as_bytes() -> None:
    """What selection and ownership need is decoded; a manifest gives back the whole object."""
    document = widget(
        uid="u1",
        generation=3,
        deletionTimestamp="2026-01-01T00:00:00Z",
        labels={"tier": "x"},
        ownerReferences=[
            {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "o1", "controller": True}
        ],
        annotations={"note": "kept"},
    )

    stored = ObjectDecoder(WIDGET).object(encode(document))

    assert stored.key == ObjectKey("n", "a")
    assert (stored.meta.uid, stored.meta.resource_version, stored.meta.generation) == ("u1", "7", 3)
    assert stored.meta.deletion_timestamp == "2026-01-01T00:00:00Z"
    assert stored.meta.labels == {"tier": "x"}
    assert stored.meta.controller is not None
    assert stored.meta.controller.uid == "o1"
    assert stored.manifest() == document


def test_stored_bytes_are_an_exact_copy_of_their_own() -> None:
    """No stored object keeps a page alive: a page is some megabytes, an object kilobytes."""
    body = encode({"metadata": {"resourceVersion": "9"}, "items": [widget(), widget(name="b")]})

    objects, _, _ = ObjectDecoder(WIDGET).page(body)

    assert [type(each.raw) for each in objects] == [bytes, bytes]
    assert objects[0].raw == encode(widget())


def test_a_manifest_is_a_private_copy() -> None:
    """Changing what was read changes nobody else's reads."""
    stored = ObjectDecoder(WIDGET).object(encode(widget()))

    stored.manifest()["spec"]["size"] = 99

    assert stored.manifest()["spec"]["size"] == 1


def test_field_sets_of_registered_owners_are_kept() -> None:
    """Only `Apply` entries of our own owners count; those of subresources have their own name."""
    document = widget(
        managedFields=[
            applied("demo/cluster", {"f:spec": {}}),
            applied("demo/cluster", {"f:status": {}}, subresource="status"),
            applied("somebody", {"f:x": {}}),
            {"manager": "demo/cluster", "operation": "Update", "fieldsV1": {"f:y": {}}},
            {},
        ]
    )

    stored = ObjectDecoder(WIDGET, OWNERS).object(encode(document))

    assert stored.fields == {
        "demo/cluster": b'{"f:spec":{}}',
        "demo/cluster:status": b'{"f:status":{}}',
    }
    assert b"managedFields" not in stored.raw


@pytest.mark.parametrize("managed", [[], None, [{}], [applied("somebody", {"f:x": {}})]])
def test_no_entry_of_ours_is_no_field_set(managed: object) -> None:
    """An emptied or foreign managedFields leaves nothing that a no-op check could trust."""
    stored = ObjectDecoder(WIDGET, OWNERS).object(encode(widget(managedFields=managed)))

    assert stored.fields is None
    assert b"managedFields" not in stored.raw


def test_two_entries_of_one_owner_are_no_field_set() -> None:
    """While versions change an owner may have one entry per version: neither is the whole."""
    entries = [
        applied("demo/cluster", {"f:a": {}}, apiVersion="demo.example.com/v1"),
        applied("demo/cluster", {"f:b": {}}, apiVersion="demo.example.com/v1beta1"),
    ]

    stored = ObjectDecoder(WIDGET, OWNERS).object(encode(widget(managedFields=entries)))

    assert stored.fields is None


def test_equal_field_sets_are_one_object() -> None:
    """Thousands of objects applied alike share one copy of their field set."""
    decoder = ObjectDecoder(WIDGET, OWNERS)
    entry = applied("demo/cluster", {"f:spec": {"f:size": {}}})

    first, second = (
        decoder.object(encode(widget(name=name, managedFields=[{**entry, "time": name}])))
        for name in ("a", "b")
    )

    assert first.fields is not None
    assert first.fields is second.fields


def test_sharing_forgets_what_is_no_longer_used() -> None:
    """Ever new field sets do not pile up in the decoder."""
    decoder = ObjectDecoder(WIDGET, OWNERS)

    for number in range(9000):
        entry = applied("demo/cluster", {"f:spec": {f"f:{number}": {}}})
        decoder.object(encode(widget(managedFields=[entry])))

    assert len(decoder._interned._fields) <= 1024


def test_items_of_typed_lists_name_no_kind() -> None:
    """Such items are of the kind that was asked for, and read as such."""
    document = {"metadata": {"name": "a"}, "spec": {}}

    stored = ObjectDecoder(WIDGET).object(encode(document))

    assert stored.manifest()["kind"] == "Widget"
    assert stored.manifest()["apiVersion"] == "demo.example.com/v1"


def test_partial_metadata_is_accepted_where_metadata_was_asked_for() -> None:
    """It is an object of the kind in question, without its rest."""
    partial = {**widget(), "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    del partial["spec"]

    stored = ObjectDecoder(WIDGET, metadata_only=True).object(encode(partial))

    assert stored.manifest() == {
        "apiVersion": "demo.example.com/v1",
        "kind": "Widget",
        "metadata": widget()["metadata"],
    }


def test_metadata_only_keeps_nothing_else_even_of_whole_objects() -> None:
    """A server that cannot send partial objects does not put Secrets into memory."""
    document = widget(managedFields=[applied("demo/cluster", {"f:spec": {}})])

    stored = ObjectDecoder(WIDGET, OWNERS, metadata_only=True).object(encode(document))

    assert stored.raw == encode({"metadata": widget()["metadata"]})
    assert stored.fields == {"demo/cluster": b'{"f:spec":{}}'}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "truncated"),
        (b"<html>busy</html>", "<html>busy"),
        (b'{"metadata":{"name":"a"', "truncated"),
        (b'{"metadata":{"name":"\xff"}}', "utf-8"),
        (b'{"kind":"Widget"}', "metadata"),
        (b'{"metadata":{"namespace":"n"}}', "no metadata.name"),
        (b'{"metadata":{"name":""}}', "no metadata.name"),
        (b'{"metadata":{"name":"a","labels":{"x":1}}}', "labels"),
        (b'{"kind":"Other","apiVersion":"v1","metadata":{"name":"a"}}', "'Other' of 'v1'"),
        (
            b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'
            b'"metadata":{"name":"a"}}',
            "PartialObjectMetadata",
        ),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b',"metadata":{"name":"a"}}', "recursion"),
    ],
    ids=[
        "empty",
        "html",
        "truncated",
        "not UTF-8",
        "no metadata",
        "no name",
        "empty name",
        "label that is no string",
        "another kind",
        "partial",
        "too deep",
    ],
)
def test_bad_objects_raise_a_clear_error(raw: bytes, message: str) -> None:
    """The message names the kind and what is wrong."""
    with pytest.raises(DecodeError, match=message) as raised:
        ObjectDecoder(WIDGET).object(raw)

    assert "Widget" in str(raised.value)


def test_a_page_gives_objects_version_and_continue_token() -> None:
    """The header of a list page says where to go on and from where to watch."""
    body = encode(
        {
            "kind": "WidgetList",
            "metadata": {"resourceVersion": "9", "continue": "more", "remainingItemCount": 3},
            "items": [widget(), widget(name="b")],
        }
    )

    objects, version, continue_ = ObjectDecoder(WIDGET).page(body)

    assert [each.meta.name for each in objects] == ["a", "b"]
    assert (version, continue_) == ("9", "more")


def test_a_page_of_null_items_is_empty() -> None:
    """Servers written in Go may send null for an empty list."""
    assert ObjectDecoder(WIDGET).page(b'{"metadata":{},"items":null}') == ([], "", "")


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"Table","metadata":{"resourceVersion":"1"},"rows":[]}',
        b'{"kind":"Status","metadata":{},"code":500}',
        b'{"metadata":{},"items":[{"metadata":{}}]}',
        b"[]",
    ],
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    """A Table, a Status or a nameless item must not read as "there are no objects"."""
    with pytest.raises(DecodeError):
        ObjectDecoder(WIDGET).page(body)


def test_objects_of_an_open_page_are_decoded_as_they_are_taken() -> None:
    """A large page can be worked off in slices: a bad last item does not hurt the first."""
    body = encode({"metadata": {"resourceVersion": "9"}, "items": [widget(), {"metadata": {}}]})

    page = ObjectDecoder(WIDGET).open_page(body)

    assert next(page.objects).meta.name == "a"
    with pytest.raises(DecodeError):
        next(page.objects)


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_an_event_carries_its_object(kind: str) -> None:
    """Its resourceVersion is the object's."""
    line = encode({"type": kind, "object": widget()}) + b"\r"

    event = ObjectDecoder(WIDGET).event_line(line)

    assert event.type is EventType(kind)
    assert event.object is not None
    assert event.object.raw == encode(widget())
    assert event.resource_version == "7"


def test_a_bookmark_carries_only_a_version() -> None:
    """Its object has no name and is not stored."""
    line = encode({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}})

    event = ObjectDecoder(WIDGET).event_line(line)

    assert (event.type, event.object, event.resource_version) == (EventType.BOOKMARK, None, "12")


def test_an_error_carries_its_status() -> None:
    """The Status says what became of the watch."""
    line = encode({"type": "ERROR", "object": {"kind": "Status", "code": 410}})

    event = ObjectDecoder(WIDGET).event_line(line)

    assert (event.type, event.status) == (EventType.ERROR, {"kind": "Status", "code": 410})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b'{"type":"ADDED"}',
        b'{"type":"EXPLODED","object":{}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}',
        b'{"type":"BOOKMARK","object":{}}',
        b'{"type":"ERROR","object":[]}',
        b'{"type":"ADDED","object":null}',
    ],
)
def test_bad_lines_raise(line: bytes) -> None:
    """A line that is no event is never taken for one."""
    with pytest.raises(DecodeError):
        ObjectDecoder(WIDGET).event_line(line)


def test_an_object_of_a_megabyte_and_a_half_is_an_object() -> None:
    """That is as large as etcd takes them by default."""
    document = {**widget(), "spec": {"blob": "x" * 1_500_000}}

    stored = ObjectDecoder(WIDGET).event_line(encode({"type": "ADDED", "object": document})).object

    assert stored is not None
    assert stored.manifest() == document


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}} }',
        b'{"type":"ADDED","object": {"metadata":{"name":"a"}}}\r',
        b' {"type": "ADDED", "object":{"metadata":{"name":"a"}}}',
        b'{"object":{"metadata":{"name":"a"}},"type":"ADDED"}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}},"more":{"x":[1]}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"b"}},"object":{"metadata":{"name":"a"}}}',
    ],
)
def test_lines_are_read_however_they_are_written(line: bytes) -> None:
    """Servers write them in one way, which is read the quick way; others mean the same."""
    event = ObjectDecoder(WIDGET).event_line(line)

    assert (event.type, event.resource_version) == (EventType.ADDED, "")
    assert event.object is not None
    assert event.object.raw.strip() == b'{"metadata":{"name":"a"}}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}]',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}},}',
        b'{"type":"ADDED","object":}',
        b'{"type":"ADDEDX","object":{"metadata":{"name":"a"}}}',
    ],
)
def test_the_quick_way_accepts_nothing_that_is_not_json(line: bytes) -> None:
    """A line that was cut or garbled is no event."""
    with pytest.raises(DecodeError):
        ObjectDecoder(WIDGET).event_line(line)


@pytest.mark.parametrize(
    ("annotations", "ends"),
    [
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "false"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_the_end_of_the_initial_events_is_an_annotation(annotations: object, ends: bool) -> None:
    """Of a bookmark; other bookmarks look the same otherwise."""
    document = {"metadata": {"resourceVersion": "7", "annotations": annotations}}

    event = ObjectDecoder(WIDGET).event_line(encode({"type": "BOOKMARK", "object": document}))

    assert (event.resource_version, event.initial_end) == ("7", ends)


def test_owners_with_unusual_names_are_found() -> None:
    """Names are looked for in the bytes first, where they may be written with escapes."""
    entry = applied("a<b>", {"f:spec": {}})
    raw = encode(widget(managedFields=[entry])).replace(b"<", b"\\u003c").replace(b">", b"\\u003e")

    stored = ObjectDecoder(WIDGET, frozenset({"a<b>"})).object(raw)

    assert stored.fields == {"a<b>": b'{"f:spec":{}}'}


def test_partial_objects_are_kept_without_their_head() -> None:
    """Every one would carry the same sixty bytes; however the head is written."""
    heads = [
        b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}',
        b'{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"name":"a"}}',
        b'{"metadata":{"name":"a"},"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"}',
    ]
    decoder = ObjectDecoder(WIDGET, metadata_only=True)

    assert {decoder.object(head).raw for head in heads} == {b'{"metadata":{"name":"a"}}'}
