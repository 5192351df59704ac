"""Checks a desired object and stamps it with the hash by which a later pass knows it again."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, final

from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    gvk_of,
    key_of,
    metadata_of,
)

_SECRET = GroupVersionKind("", "v1", "Secret")
_IDENTITY = frozenset({"name", "namespace"})
_SERVER_SIDE = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUFFIX = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,53}[A-Za-z0-9])?")


@final
@dataclass(frozen=True, slots=True)
class Desired:
    """One object as it is to be applied: checked, hashed and annotated with the hash."""

    gvk: GroupVersionKind
    key: ObjectKey
    manifest: Manifest
    digest: str

    @property
    def body(self) -> dict[str, Any]:
        """Return the part whose fields the server records: all but kind and identity."""
        rest = {k: v for k, v in self.manifest.items() if k not in ("apiVersion", "kind")}
        rest["metadata"] = {
            name: value for name, value in metadata_of(rest).items() if name not in _IDENTITY
        }
        return rest

    @property
    def has_empty_list(self) -> bool:
        """Tell whether there is an empty list anywhere in it."""
        return _has_empty_list(self.manifest)

    def with_preconditions(self, *, uid: str = "", resource_version: str = "") -> Manifest:
        """Return the manifest to send, which the server refuses for any other object or version."""
        wanted = {"uid": uid, "resourceVersion": resource_version}
        present = {name: value for name, value in wanted.items() if value}
        return {**self.manifest, "metadata": {**metadata_of(self.manifest), **present}}

    def __str__(self) -> str:
        return f"{self.gvk.kind} {self.key}"


def annotation_key(domain: str, field_owner: str) -> str:
    """Return the annotation that carries the hash: `<domain>/applied-<part after the slash>`.

    Raise ValueError when the two make no valid annotation key.
    """
    suffix = field_owner.rpartition("/")[2]
    if not _DOMAIN.fullmatch(domain) or not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"domain {domain!r} and field owner {field_owner!r} name no annotation")
    return f"{domain}/applied-{suffix}"


def desire(manifest: Manifest, *, annotation: str) -> Desired:
    """Check a desired object and stamp a copy of it; the caller's object stays as it is.

    Raise ValueError, naming the path, for what could never be found converged: an explicit null
    (it means "not mine" in an apply), `stringData` (the server turns it into `data`), `status`
    (it has an apply of its own), fields of `metadata` that the server writes, values that are
    not JSON, and the annotation itself.
    """
    gvk, key = gvk_of(manifest), key_of(manifest)
    context = f"{gvk.kind} {key}"
    _refuse_unwanted(manifest, gvk, context)
    refuse_non_json(manifest, context)
    annotations = cast("dict[str, Any]", metadata_of(manifest).get("annotations") or {})
    if annotation in annotations:
        raise ValueError(f"{context}: annotation {annotation} is written by apply alone")
    digest = canonical_hash(manifest)
    metadata = {**metadata_of(manifest), "annotations": {**annotations, annotation: digest}}
    return Desired(gvk, key, {**manifest, "metadata": metadata}, digest)


def canonical_hash(value: object) -> str:
    """Return the SHA-256 (hex) of the compact JSON of `value` with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_non_json(value: object, path: str) -> None:
    """Raise ValueError, naming the path, when `value` holds a null or something JSON has not."""
    if isinstance(value, dict):
        odd = [name for name in cast("Mapping[object, object]", value) if not isinstance(name, str)]
        if odd:
            raise ValueError(f"{path} has the key {odd[0]!r}, which is not a string")
        for name, inner in cast("Mapping[object, object]", value).items():
            refuse_non_json(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            refuse_non_json(inner, f"{path}[{index}]")
    elif value is None:
        raise ValueError(f"{path} is null; leave the field out instead")
    elif not isinstance(value, (str, int, float)) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise ValueError(f"{path} is {value!r}, which is not JSON")


def _refuse_unwanted(manifest: Manifest, gvk: GroupVersionKind, context: str) -> None:
    if gvk == _SECRET and "stringData" in manifest:
        raise ValueError(f"{context}: stringData becomes data at the server; write data instead")
    if "status" in manifest:
        raise ValueError(f"{context}: status is written by apply_status, not with the object")
    written = sorted(metadata_of(manifest).keys() & set(_SERVER_SIDE))
    if written:
        raise ValueError(f"{context}: metadata.{written[0]} is the server's to write")


def _has_empty_list(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_empty_list, cast("dict[str, object]", value).values()))
    return isinstance(value, list) and (
        not value or any(map(_has_empty_list, cast("list[object]", value)))
    )
