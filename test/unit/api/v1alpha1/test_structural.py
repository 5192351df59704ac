"""From pydantic models to structural schemas."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import Field

from smbpctl.api.v1alpha1.fields import Count, Duration, Quantity, StringMap
from smbpctl.api.v1alpha1.model import Model
from smbpctl.api.v1alpha1.structural import Schema, one_line, structural_schema


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


class Leaf(Model):
    """A leaf.

    Words for readers of the code.
    """

    count: Annotated[Count, Field(ge=1, le=5)] = 2
    """How
    many."""


class Bare(Model):
    """Nothing to fill in."""

    name: str | None = None
    items: tuple[str, ...] = ()


class Choice(Model):
    """A union."""

    type: Colour = Colour.RED
    leaf: Leaf | None = None


class Root(Model):
    """The root."""

    needed: Colour
    leaf: Leaf = Leaf()
    bare: Bare = Bare()
    choice: Choice = Choice()
    leaves: Annotated[
        tuple[Leaf, ...],
        Field(max_length=3, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    size: Quantity = "1Gi"
    wait: Duration = timedelta(minutes=90)
    big: int | None = None
    notes: StringMap = Field(default_factory=dict[str, str])


def schema_of(model: type[Model], *, defaults: bool = True) -> Schema:
    """The schema without rules."""
    return structural_schema(model, {}, defaults=defaults)


def test_whole_schema() -> None:
    """References are inlined, null and titles are gone, every keyword is a structural one."""
    leaf = {
        "type": "object",
        "description": "A leaf.",
        "properties": {
            "count": {
                "type": "integer",
                "format": "int32",
                "minimum": 1,
                "maximum": 5,
                "default": 2,
                "description": "How many.",
            }
        },
    }
    colour = {"type": "string", "enum": ["Red", "Blue"], "description": ""}

    schema = schema_of(Root)

    properties = schema["properties"]
    assert schema["required"] == ["needed"]
    assert properties["needed"] == colour
    assert properties["leaf"] == {**leaf, "default": {}}
    assert properties["leaves"] == {
        "type": "array",
        "items": leaf,
        "maxItems": 3,
        "x-kubernetes-list-type": "atomic",
    }
    assert properties["choice"]["properties"]["leaf"] == leaf
    assert properties["big"] == {"type": "integer", "format": "int64"}
    assert properties["notes"] == {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 4096},
        "maxProperties": 32,
    }
    assert properties["size"]["x-kubernetes-int-or-string"] is True
    assert "type" not in properties["size"]


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("leaf", {}),
        ("choice", {"type": "Red"}),
        ("size", "1Gi"),
        ("wait", "1h30m"),
    ],
)
def test_persisted_defaults(field: str, default: object) -> None:
    """Scalars in the form of manifests; objects empty; unions with their type alone."""
    assert schema_of(Root)["properties"][field]["default"] == default


@pytest.mark.parametrize("field", ["needed", "bare", "leaves", "big", "notes"])
def test_no_default(field: str) -> None:
    """Nothing is persisted where there is nothing to say: absence, empty lists, empty objects."""
    assert "default" not in schema_of(Root)["properties"][field]


def test_members_of_unions_have_no_default() -> None:
    """A defaulted member would make switching the type break the union's own rule."""
    members = schema_of(Root)["properties"]["choice"]["properties"]

    assert members["type"]["default"] == "Red"
    assert "default" not in members["leaf"]


def test_without_defaults() -> None:
    """A status never contains a value that nobody reported."""

    def defaults(schema: Schema) -> list[object]:
        children = [*schema.get("properties", {}).values()]
        children += [schema["items"]] if "items" in schema else []
        own = [schema["default"]] if "default" in schema else []
        return own + [found for child in children for found in defaults(child)]

    assert defaults(schema_of(Root))
    assert not defaults(schema_of(Root, defaults=False))


def test_rules_go_where_their_model_is() -> None:
    """A rule is attached at every place of its model: property, optional member, list item."""
    rules = {"Leaf": [{"rule": "true"}], "Root": [{"rule": "false"}]}

    schema = structural_schema(Root, rules, defaults=True)

    properties = schema["properties"]
    assert schema["x-kubernetes-validations"] == [{"rule": "false"}]
    assert properties["leaf"]["x-kubernetes-validations"] == [{"rule": "true"}]
    assert properties["leaves"]["items"]["x-kubernetes-validations"] == [{"rule": "true"}]
    inner = properties["choice"]["properties"]["leaf"]
    assert inner["x-kubernetes-validations"] == [{"rule": "true"}]
    assert "x-kubernetes-validations" not in properties["bare"]


class Ambiguous(Model):
    """Has no structural form."""

    value: int | str


class Loose(Model):
    """Has no structural form either."""

    value: Mapping[str, int] | Mapping[int, str] | None = None


class Exotic(Model):
    """Uses a keyword that structural schemas do not know."""

    value: Annotated[int, Field(json_schema_extra={"contentEncoding": "x"})]


@pytest.mark.parametrize("model", [Ambiguous, Loose, Exotic])
def test_refusal(model: type[Model]) -> None:
    """What the server would not take is an error at generation, not a surprise on a cluster."""
    with pytest.raises(ValueError, match="no structural form"):
        schema_of(model)


def test_one_line() -> None:
    """Line breaks and indentation of a docstring are no part of the description."""
    assert one_line("  a\n    b  c\n") == "a b c"
