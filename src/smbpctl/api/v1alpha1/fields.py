"""Field types that several parts of the API share: names, references, quantities, resources."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from smbpctl.api.v1alpha1 import duration, quantity
from smbpctl.api.v1alpha1.model import Model

LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_VALUE_PATTERN = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
MAX_MAP_ENTRIES = 32


def _valid_quantity(text: str) -> str:
    quantity.parse_quantity(text)
    return text


def _read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return duration.parse_duration(value)
    # Left to itself pydantic takes a number for seconds; the server takes none at all.
    raise ValueError("must be a string such as 168h, 90m or 1h30m")


Count: TypeAlias = Annotated[int, Field(strict=True)]
"""An integer as the server takes it: no numbers in quotes, no booleans."""

Flag: TypeAlias = Annotated[bool, Field(strict=True)]
"""A boolean as the server takes it: no words."""

LabelName: TypeAlias = Annotated[str, StringConstraints(pattern=LABEL_PATTERN, max_length=63)]
"""A DNS label (RFC 1123)."""

ObjectName: TypeAlias = Annotated[str, StringConstraints(pattern=SUBDOMAIN_PATTERN, max_length=253)]
"""A DNS subdomain (RFC 1123): the name of most objects."""

Quantity: TypeAlias = Annotated[
    str,
    BeforeValidator(quantity.canonical_quantity),
    AfterValidator(_valid_quantity),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": quantity.PATTERN,
            "maxLength": 32,
        }
    ),
]
"""A Kubernetes quantity as text, valid by construction; see `quantity.parse_quantity`."""

Duration: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(_read_duration, json_schema_input_type=str),
    PlainSerializer(duration.format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": duration.PATTERN, "maxLength": 32}),
]
"""A duration, written as `168h` or `1h30m` in manifests."""

ResourceList: TypeAlias = Annotated[Mapping[str, Quantity], Field(max_length=MAX_MAP_ENTRIES)]
"""Quantities by resource name: cpu, memory, ephemeral-storage and extended resources."""

StringMap: TypeAlias = Annotated[
    Mapping[str, Annotated[str, StringConstraints(max_length=4096)]],
    Field(max_length=MAX_MAP_ENTRIES),
]
"""Annotations; the keys are checked by `validation`, a schema cannot."""

LabelMap: TypeAlias = Annotated[
    Mapping[str, Annotated[str, StringConstraints(pattern=LABEL_VALUE_PATTERN, max_length=63)]],
    Field(max_length=MAX_MAP_ENTRIES),
]
"""Labels with valid values; the keys are checked by `validation`, a schema cannot."""


class SecretReference(Model):
    """A Secret in the BigPeer's namespace."""

    name: ObjectName
    """Name of the Secret."""


class ResourcesSpec(Model):
    """Compute resources of one container."""

    requests: ResourceList = Field(default_factory=dict[str, str])
    """What the scheduler sets aside, by resource name."""

    limits: ResourceList = Field(default_factory=dict[str, str])
    """What the container may use at most, by resource name; at least the request."""


class StorageSpec(Model):
    """Persistent storage of one pod."""

    size: Quantity
    """Size of the volume claim. It may grow, if the storage class allows it, and never shrink."""

    storage_class_name: ObjectName | None = None
    """Storage class of the claim; absent means the cluster's default class. Immutable in
    this version."""
