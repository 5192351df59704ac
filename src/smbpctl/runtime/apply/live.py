"""One live object as an apply looks at it, whether it comes from the cache or was just read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, final

import msgspec

from smbpctl.runtime.apply.fields import FieldSet, field_set_of, parse_field_set
from smbpctl.runtime.meta import (
    Manifest,
    StoredObject,
    controller_of,
    is_deleting,
    metadata_of,
    uid_of,
)


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Annotated(msgspec.Struct):
    metadata: _Metadata


@final
@dataclass(frozen=True, slots=True)
class LiveView:
    """What decides about an apply: identity, owner, annotations and the fields we own.

    `fields` is None when we own nothing. `manifest` makes a copy of what is known of the object:
    metadata alone where the cache holds no more.
    """

    uid: str
    resource_version: str
    deleting: bool
    controller_uid: str | None
    annotations: Mapping[str, str]
    fields: FieldSet | None
    manifest: Callable[[], Manifest]


def cached_view(stored: StoredObject, manager: str) -> LiveView:
    """Return the view of a cached object, full or metadata only."""
    raw = (stored.fields or {}).get(manager)
    controller = stored.meta.controller
    decoded = msgspec.json.decode(stored.raw, type=_Annotated)
    return LiveView(
        uid=stored.meta.uid,
        resource_version=stored.meta.resource_version,
        deleting=stored.meta.deletion_timestamp is not None,
        controller_uid=controller.uid if controller else None,
        annotations=decoded.metadata.annotations or {},
        fields=parse_field_set(raw) if raw is not None else None,
        manifest=stored.manifest,
    )


def read_view(manifest: Manifest, manager: str) -> LiveView:
    """Return the view of an object as the server answered it, managedFields included."""
    controller = controller_of(manifest)
    metadata = metadata_of(manifest)
    return LiveView(
        uid=uid_of(manifest),
        resource_version=str(metadata.get("resourceVersion") or ""),
        deleting=is_deleting(manifest),
        controller_uid=controller.uid if controller else None,
        annotations=cast("Mapping[str, Any]", metadata.get("annotations") or {}),
        fields=field_set_of(manifest, manager),
        manifest=lambda: manifest,
    )


def is_older(one: str, other: str) -> bool:
    """Tell whether resourceVersion `one` is older; False when the two cannot be ordered.

    Source: KEP-5504, comparable resource versions.
    """
    return one.isdecimal() and other.isdecimal() and int(one) < int(other)
