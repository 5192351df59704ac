"""What identifies a Kubernetes object: kinds, keys, metadata, owner references, label selectors."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeAlias, TypeVar, cast, final

import msgspec

V = TypeVar("V")

Manifest: TypeAlias = dict[str, Any]
"""A JSON-shaped Kubernetes object; the one who receives it may change it."""


@final
class GroupKind(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """A kind without its version: what owner references and RBAC are about."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


@final
class GroupVersionKind(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """A kind as it is read and written. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """Return `group/version`, or `version` alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_kind(self) -> GroupKind:
        """Return the kind without its version."""
        return GroupKind(self.group, self.kind)

    @classmethod
    def of(cls, api_version: str, kind: str) -> "GroupVersionKind":
        """Parse an object's `apiVersion` and `kind`; raise ValueError when either is malformed."""
        group, slash, version = api_version.rpartition("/")
        if not version or not kind or (slash and not group) or "/" in group:
            raise ValueError(f"apiVersion {api_version!r} with kind {kind!r} names no kind")
        return cls(group, version, kind)

    def __str__(self) -> str:
        return (
            f"{self.kind}.{self.version}.{self.group}"
            if self.group
            else f"{self.kind}.{self.version}"
        )


@final
class ObjectKey(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """Namespace and name of an object; the namespace is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class OwnerReference(
    msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True
):
    """One entry of `metadata.ownerReferences`."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False

    @property
    def group_kind(self) -> GroupKind:
        """Return the owner's kind without its version: versions of one kind are one owner."""
        return GroupKind(self.api_version.rpartition("/")[0], self.kind)

    def to_manifest(self) -> Manifest:
        """Return the reference in the shape of `metadata.ownerReferences[]`."""
        return cast("Manifest", msgspec.to_builtins(self))


class ObjectMeta(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """The part of `metadata` that the cache decodes for every object.

    Everything else stays in the bytes: see `StoredObject.manifest`.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None

    @property
    def key(self) -> ObjectKey:
        """Return namespace and name."""
        return ObjectKey(self.namespace, self.name)

    @property
    def controller(self) -> OwnerReference | None:
        """Return the controlling owner, if there is one."""
        return next((ref for ref in self.owner_references or () if ref.controller), None)


class Kept(Protocol):
    """Which fields of an object are kept, where not all are."""

    def manifest(self, decoded: Manifest, what: str) -> Manifest:
        """Return an object that raises OutsideProjection where it is not known what it had."""
        ...

    def check(self, model: type[object], what: str) -> None:
        """Raise OutsideProjection when a model reads fields that are not kept."""
        ...


@final
class StoredObject(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One object as the cache holds it: decoded metadata beside the JSON bytes it came from.

    `raw` has no managedFields; where there is a `projection`, it has only the fields that keeps
    and the metadata. `fields` maps a registered field owner to the `fieldsV1` JSON of
    its `Apply` entry on the main resource, as interned bytes. Instances are never changed and
    hold no reference cycles, so the garbage collector need not track them.
    """

    gvk: GroupVersionKind
    meta: ObjectMeta
    raw: bytes
    fields: dict[str, bytes] | None = None
    projection: Kept | None = None

    @property
    def key(self) -> ObjectKey:
        """Return namespace and name."""
        return self.meta.key

    def manifest(self) -> Manifest:
        """Decode the bytes afresh: a private copy that the caller may change.

        `apiVersion` and `kind` are always present: items of typed lists come without them. Of a
        projected object, reading a field that is not kept raises OutsideProjection.
        """
        decoded: Manifest = msgspec.json.decode(self.raw)
        whole = {**decoded, "apiVersion": self.gvk.api_version, "kind": self.gvk.kind}
        if self.projection is None:
            return whole
        return self.projection.manifest(whole, f"{self.gvk} {self.key}")

    def view(self, model: type[V]) -> V:
        """Decode the bytes into a model: a pydantic model, or a type that msgspec decodes.

        Private to the caller, like a manifest, and cheaper where the model has few fields. Raises
        what the model raises on what it refuses (both are ValueErrors), and OutsideProjection
        when it reads fields that are not kept.
        """
        if self.projection is not None:
            self.projection.check(model, f"{self.gvk} {self.key}")
        validate: Callable[[bytes], V] | None = getattr(model, "model_validate_json", None)
        if validate is not None:
            return validate(self._typed())
        return cast("V", _decoder(cast("Hashable", model)).decode(self._typed()))

    def _typed(self) -> bytes:
        """Return the bytes with apiVersion and kind, which items of typed lists do not have."""
        if self.raw.startswith((b'{"apiVersion":', b'{"kind":')):
            return self.raw
        named = msgspec.json.encode({"apiVersion": self.gvk.api_version, "kind": self.gvk.kind})
        members = self.raw.lstrip()[1:].lstrip()
        return named[:-1] + (members if members.startswith(b"}") else b"," + members)


@cache
def _decoder(model: Hashable) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(cast("type[Any]", model))


def metadata_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object's `metadata`, empty when it is absent or not a mapping."""
    metadata = manifest.get("metadata")
    return cast("Mapping[str, Any]", metadata) if isinstance(metadata, Mapping) else {}


def key_of(manifest: Mapping[str, Any]) -> ObjectKey:
    """Return the key of a manifest; raise ValueError when it has no name."""
    metadata = metadata_of(manifest)
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"metadata.name is missing in an object of kind {manifest.get('kind')!r}")
    namespace = metadata.get("namespace") or ""
    return ObjectKey(str(namespace), name)


def gvk_of(manifest: Mapping[str, Any]) -> GroupVersionKind:
    """Return the kind of a manifest; raise ValueError when apiVersion or kind is malformed."""
    return GroupVersionKind.of(
        str(manifest.get("apiVersion") or ""), str(manifest.get("kind") or "")
    )


def uid_of(manifest: Mapping[str, Any]) -> str:
    """Return `metadata.uid`, empty when the object never reached a server."""
    return str(metadata_of(manifest).get("uid") or "")


def is_deleting(manifest: Mapping[str, Any]) -> bool:
    """Tell whether deletion of the object has begun."""
    return metadata_of(manifest).get("deletionTimestamp") is not None


def owner_references_of(manifest: Mapping[str, Any]) -> tuple[OwnerReference, ...]:
    """Return all owner references of a manifest."""
    raw: object = metadata_of(manifest).get("ownerReferences") or ()
    return msgspec.convert(raw, tuple[OwnerReference, ...])


def controller_of(manifest: Mapping[str, Any]) -> OwnerReference | None:
    """Return the controlling owner reference of a manifest, if there is one."""
    return next((ref for ref in owner_references_of(manifest) if ref.controller), None)


def controller_reference(owner: Mapping[str, Any]) -> OwnerReference:
    """Return the reference by which `owner` controls a child.

    `blockOwnerDeletion` is set, so that foreground deletion of the owner waits for the child.
    Raise ValueError when the owner has no UID: it was never read from a server.
    """
    uid = uid_of(owner)
    if not uid:
        raise ValueError(f"{owner.get('kind')} {key_of(owner)} has no uid and cannot own objects")
    gvk = gvk_of(owner)
    return OwnerReference(
        api_version=gvk.api_version,
        kind=gvk.kind,
        name=key_of(owner).name,
        uid=uid,
        controller=True,
        block_owner_deletion=True,
    )


@final
@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Equality and existence requirements on labels, all of which must hold.

    `equals` are exact matches, `exists` are keys that must be present with any value. Make one
    with `labels_equal`, `labels_exist` or `LabelSelector.everything()`: an empty selector is only
    ever made by that name, so that "unset" never means "all" by accident.
    """

    equals: tuple[tuple[str, str], ...]
    exists: tuple[str, ...] = ()

    @classmethod
    def everything(cls) -> "LabelSelector":
        """Return the selector that every object satisfies."""
        return cls((), ())

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Tell whether an object with these labels is selected."""
        present = labels or {}
        return all(present.get(key) == value for key, value in self.equals) and all(
            key in present for key in self.exists
        )

    def to_query(self) -> str:
        """Return the selector in the form of the `labelSelector` query parameter."""
        return ",".join([*(f"{key}={value}" for key, value in self.equals), *self.exists])


def labels_equal(labels: Mapping[str, str]) -> LabelSelector:
    """Select objects that carry all these labels; raise ValueError when there are none."""
    if not labels:
        raise ValueError("a label selector needs at least one label; see LabelSelector.everything")
    return LabelSelector(tuple(sorted(labels.items())))


def labels_exist(*keys: str) -> LabelSelector:
    """Select objects that carry these label keys; raise ValueError when there are none."""
    if not keys:
        raise ValueError("a label selector needs at least one key; see LabelSelector.everything")
    return LabelSelector((), tuple(sorted(keys)))


@final
@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Requirements on fields that the server can select by, all of which must hold.

    All kinds know `metadata.name` and `metadata.namespace`; which others there are the kind says:
    `spec.nodeName` and `status.phase` of pods, `selectableFields` of a CRD. Others are refused by
    the server. Make one with `fields_equal`.
    """

    equals: tuple[tuple[str, str], ...]
    differs: tuple[tuple[str, str], ...] = ()

    def selects(self, meta: ObjectMeta) -> bool | None:
        """Tell whether an object is selected; None when that takes more than its name."""
        known = {"metadata.name": meta.name, "metadata.namespace": meta.namespace}
        wanted = [
            *((path, value, True) for path, value in self.equals),
            *((path, value, False) for path, value in self.differs),
        ]
        if any(p in known and (known[p] == value) is not equal for p, value, equal in wanted):
            return False
        return None if any(path not in known for path, _, _ in wanted) else True

    def to_query(self) -> str:
        """Return the selector in the form of the `fieldSelector` query parameter."""
        return ",".join(
            [
                *(f"{path}={_escaped(value)}" for path, value in self.equals),
                *(f"{path}!={_escaped(value)}" for path, value in self.differs),
            ]
        )


def fields_equal(fields: Mapping[str, str]) -> FieldSelector:
    """Select objects of which all these fields have these values; raise ValueError for none."""
    if not fields:
        raise ValueError("a field selector needs at least one field")
    return FieldSelector(tuple(sorted(fields.items())))


def _escaped(value: str) -> str:
    # The escapes of fields.EscapeValue in apimachinery.
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
