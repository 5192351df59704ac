"""The CRD: small enough, structural, bounded, described."""

from collections.abc import Iterator

import yaml

from smbpctl.api.v1alpha1.conditions import ConditionType
from smbpctl.api.v1alpha1.schema import PRINTER_COLUMNS, crd, object_schema, to_yaml
from smbpctl.api.v1alpha1.structural import Schema

MAX_BYTES = 200_000


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def ours() -> Iterator[tuple[str, Schema]]:
    """Every node of spec and status."""
    properties = object_schema()["properties"]
    for part in ("spec", "status"):
        yield from nodes(properties[part], part)


def test_size() -> None:
    """The manifest fits an annotation many times over, and stays readable."""
    assert len(to_yaml(crd()).encode()) < MAX_BYTES


def test_text_is_deterministic_and_complete() -> None:
    """The same code gives the same text, the text gives the same manifest, without anchors."""
    text = to_yaml(crd())

    assert text == to_yaml(crd())
    assert yaml.safe_load(text) == crd()
    assert "&id" not in text


def test_callers_get_their_own_copy() -> None:
    """Changing what was returned changes nothing for the next caller."""
    first = object_schema()
    first["properties"]["spec"]["properties"]["api"]["properties"].clear()

    assert object_schema()["properties"]["spec"]["properties"]["api"]["properties"]


def test_everything_is_described() -> None:
    """`kubectl explain` has a sentence for every field."""
    mute = [
        path
        for path, node in ours()
        if not path.endswith(("[]", "{}")) and not node.get("description")
    ]

    assert mute == []


def test_everything_is_bounded() -> None:
    """Without bounds the server's cost estimate refuses the rules."""
    unbounded = [
        path
        for path, node in ours()
        if (node.get("type") == "array" and "maxItems" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
        or (
            node.get("type") == "string"
            and not node.keys() & {"maxLength", "enum"}
            and node.get("format") != "date-time"
        )
    ]

    assert unbounded == []


def test_every_list_says_how_it_merges() -> None:
    """Server-side apply needs the type of every list, and the keys of every list-map."""
    for path, node in ours():
        if node.get("type") != "array":
            continue
        list_type = node.get("x-kubernetes-list-type")
        assert list_type in {"atomic", "set", "map"}, path
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], path
        assert (list_type == "map") == ("x-kubernetes-list-map-keys" in node), path


def test_objects_are_closed() -> None:
    """No node preserves unknown fields, and none has both properties and free keys."""
    for path, node in ours():
        assert "x-kubernetes-preserve-unknown-fields" not in node, path
        assert not {"properties", "additionalProperties"} <= node.keys(), path


def test_status_has_no_defaults() -> None:
    """The server never adds to a status what nobody reported."""
    status = object_schema()["properties"]["status"]

    assert [path for path, node in nodes(status) if "default" in node] == []


def test_names() -> None:
    """The kind is namespaced, short `bp`, in the category `smbp`."""
    spec = crd()["spec"]

    assert crd()["metadata"]["name"] == "bigpeers.smbpctl.dev"
    assert spec["scope"] == "Namespaced"
    assert spec["names"]["shortNames"] == ["bp"]
    assert spec["names"]["categories"] == ["smbp"]


def test_columns_show_conditions_that_exist() -> None:
    """Each condition column is the status of a declared condition type."""
    shown = [column["name"] for column in PRINTER_COLUMNS if "conditions" in column["jsonPath"]]

    assert shown == ["Ready", "Available", "Progressing", "Degraded"]
    assert set(shown) <= {kind.value for kind in ConditionType}


def test_scale_paths_exist() -> None:
    """The scale subresource addresses fields of the schema."""
    (version,) = crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]

    for path in version["subresources"]["scale"].values():
        at = schema
        for step in path.removeprefix(".").split("."):
            at = at["properties"][step]
