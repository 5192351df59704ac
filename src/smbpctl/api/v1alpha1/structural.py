"""Turns a pydantic model into a structural OpenAPI v3 schema, the form a CRD needs.

The form: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
No references, no null, nothing but the keywords below.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, TypeAlias, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from smbpctl.api.v1alpha1.duration import format_duration
from smbpctl.api.v1alpha1.model import Model

Schema: TypeAlias = dict[str, Any]

_COPIED = frozenset(
    {
        "type", "format", "pattern", "enum", "default", "minimum", "maximum", "minLength",
        "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
        "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    }
)  # fmt: skip
_REWRITTEN = frozenset(
    {"$ref", "anyOf", "description", "properties", "required", "items", "additionalProperties"}
)
_DROPPED = frozenset({"title"})

_INT32_MAX = 2**31 - 1
_NULL: Schema = {"type": "null"}


class _StaticDefaults(GenerateJsonSchema):
    """Writes defaults as the server shall persist them.

    An object's default is empty, so that its fields' own defaults fill it, or, for a union, sets
    only `type`. An object without anything to fill in has no default, neither has an empty list.
    """

    def encode_default(self, dft: Any) -> Any:
        """Return the JSON form of a default; None for one that is not persisted."""
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Model):
            return _object_default(dft)
        if isinstance(dft, Enum):
            return dft.value
        return None if dft == () else super().encode_default(dft)


def _object_default(model: Model) -> Schema | None:
    kind: object = getattr(model, "type", None)
    if isinstance(kind, Enum):
        return {"type": kind.value}
    fields = type(model).model_fields.values()
    return {} if any(_is_persisted(field.default) for field in fields) else None


def _is_persisted(default: object) -> bool:
    if isinstance(default, Model):
        return _object_default(default) is not None
    return default is not PydanticUndefined and default is not None and default != ()


def structural_schema(
    model: type[Model], validations: Mapping[str, Sequence[Schema]], *, defaults: bool
) -> Schema:
    """Return the structural schema of a model, with every reference inlined.

    `validations` are the `x-kubernetes-validations` by the model's class name. Without `defaults`
    none are written: a status must never contain a value that nobody reported. Raise ValueError
    for anything that has no structural form.
    """
    schema = model.model_json_schema(schema_generator=_StaticDefaults)
    definitions = cast("Mapping[str, Schema]", schema.pop("$defs", {}))
    return _Rewriter(definitions, validations, defaults).node(schema, model.__name__)


class _Rewriter:
    """Rewrites JSON schema nodes; holds what every node needs."""

    def __init__(
        self,
        definitions: Mapping[str, Schema],
        validations: Mapping[str, Sequence[Schema]],
        defaults: bool,
    ) -> None:
        self._definitions = definitions
        self._validations = validations
        self._defaults = defaults

    def node(self, source: Schema, class_name: str = "") -> Schema:
        """Return one node and all below it."""
        source, class_name = self._resolved(source, class_name)
        unknown = source.keys() - _COPIED - _REWRITTEN - _DROPPED
        if unknown:
            raise ValueError(f"no structural form for {sorted(unknown)} in {source}")
        node = {key: value for key, value in source.items() if key in _COPIED}
        if not self._defaults or node.get("default") is None:
            node.pop("default", None)
        if "description" in source:
            node["description"] = one_line(source["description"])
        if source.get("x-kubernetes-int-or-string"):
            node["anyOf"] = source["anyOf"]
        elif "anyOf" in source:
            raise ValueError(f"no structural form for the alternatives of {source}")
        if source.get("type") == "integer" and "format" not in node:
            node["format"] = (
                "int32" if source.get("maximum", _INT32_MAX + 1) <= _INT32_MAX else "int64"
            )
        self._add_children(node, source)
        if class_name in self._validations:
            node["x-kubernetes-validations"] = list(self._validations[class_name])
        return node

    def _add_children(self, node: Schema, source: Schema) -> None:
        if "properties" in source:
            node["properties"] = {
                name: self.node(child) for name, child in source["properties"].items()
            }
            if source.get("required"):
                node["required"] = sorted(source["required"])
        if "items" in source:
            node["items"] = self.node(source["items"])
        if "additionalProperties" in source:
            node["additionalProperties"] = self.node(source["additionalProperties"])

    def _resolved(self, source: Schema, class_name: str) -> tuple[Schema, str]:
        """Replace `X or null` by X and a reference by its target; keywords beside them win."""
        options = source.get("anyOf", [])
        if _NULL in options:
            kept, *others = [option for option in options if option != _NULL]
            if others:
                raise ValueError(f"no structural form for the alternatives of {source}")
            beside = {key: value for key, value in source.items() if key != "anyOf"}
            return self._resolved({**kept, **beside}, class_name)
        if "$ref" in source:
            class_name = str(source["$ref"]).rpartition("/")[2]
            target = dict(self._definitions[class_name])
            # A class may say more in its docstring than a reader of the schema needs.
            target["description"] = str(target.get("description", "")).split("\n\n")[0]
            beside = {key: value for key, value in source.items() if key != "$ref"}
            return self._resolved({**target, **beside}, class_name)
        return source, class_name


def one_line(text: str) -> str:
    """Join the lines of a docstring into one."""
    return re.sub(r"\s+", " ", text).strip()
