"""A small server that does server-side apply: schemas, field ownership, preconditions, no HTTP.

Written from the Kubernetes documentation, independently of the code under test: an object is a
flat mapping from paths to values, and a manager owns a set of paths.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import msgspec

from smbpctl.runtime.errors import Conflict, Invalid, NotFound, StatusCause
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, ObjectMeta, StoredObject

Element: TypeAlias = tuple[str, str]
"""`("f", name)`, `("k", JSON of the keys)` or `("v", JSON of the value)`."""
Path: TypeAlias = tuple[Element, ...]
ManagerKey: TypeAlias = tuple[str, str, str]
"""Manager, operation, subresource."""

_UNTRACKED = ("name", "namespace", "uid", "resourceVersion", "managedFields", "deletionTimestamp")


class _Member:
    """Stands, itself, for an element that is owned beside its children; survives a deepcopy."""


_MEMBER = _Member


@dataclass(frozen=True)
class Scalar:
    """A leaf."""


@dataclass(frozen=True)
class Atomic:
    """A map or list that has one owner as a whole."""


@dataclass(frozen=True)
class Struct:
    """A map with declared fields."""

    fields: Mapping[str, "Schema"]


@dataclass(frozen=True)
class FreeMap:
    """A map with arbitrary keys, each of which is owned as a member."""

    element: "Schema"


@dataclass(frozen=True)
class KeyedList:
    """A list-map; a default of None means that the key must be written."""

    keys: Mapping[str, Any]
    item: "Struct | Atomic"


@dataclass(frozen=True)
class SetList:
    """A list of distinct scalars."""


Schema: TypeAlias = Scalar | Atomic | Struct | FreeMap | KeyedList | SetList

METADATA = Struct(
    {
        "labels": FreeMap(Scalar()),
        "annotations": FreeMap(Scalar()),
        "ownerReferences": KeyedList({"uid": None}, Atomic()),
        "finalizers": SetList(),
    }
)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def leaves(value: Any, schema: Schema, path: Path = ()) -> dict[Path, Any]:
    """Return what a manager that applies `value` owns, with the values."""
    match schema:
        case Scalar() | Atomic():
            return {path: value}
        case Struct(fields=fields):
            found: dict[Path, Any] = {}
            for name, inner in value.items():
                found |= _field(inner, fields[name], (*path, ("f", name)), dynamic=False)
            return found
        case FreeMap(element=element):
            found = {}
            for name, inner in value.items():
                found |= _field(inner, element, (*path, ("f", name)), dynamic=True)
            return found
        case SetList():
            return {(*path, ("v", _json(each))): each for each in value}
        case KeyedList(keys=keys, item=item):
            found = {}
            for each in value:
                identity = {name: each.get(name, default) for name, default in keys.items()}
                below = (*path, ("k", _json(identity)))
                found |= {below: _MEMBER} | leaves(each, item, below)
            return found


def _field(value: Any, schema: Schema, path: Path, *, dynamic: bool) -> dict[Path, Any]:
    found = leaves(value, schema, path)
    if value == {} or dynamic:
        found.setdefault(path, _MEMBER)
    return found


def fields_v1(paths: set[Path]) -> dict[str, Any]:
    """Return a set of paths in the form of `fieldsV1`."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for kind, name in path:
            node = node.setdefault(f"{kind}:{name}", {})
    for path in paths:
        node = root
        for kind, name in path:
            node = node[f"{kind}:{name}"]
        if node:
            node["."] = {}
    return root


def assemble(values: Mapping[Path, Any]) -> Any:
    """Return the nested JSON of a flat object."""
    if () in values and values[()] is not _MEMBER:
        return deepcopy(values[()])
    below: dict[Element, dict[Path, Any]] = {}
    for path, value in values.items():
        if path:
            below.setdefault(path[0], {})[path[1:]] = value
    if any(kind == "v" for kind, _ in below):
        return [json.loads(name) for kind, name in below if kind == "v"]
    if any(kind == "k" for kind, _ in below):
        return [{**json.loads(name), **assemble(inner)} for (_, name), inner in below.items()]
    return {name: assemble(inner) for (_, name), inner in below.items()}


@dataclass
class ModelObject:
    """One live object."""

    uid: str
    resource_version: int
    values: dict[Path, Any] = field(default_factory=dict)
    managers: dict[ManagerKey, set[Path]] = field(default_factory=dict)
    deleting: bool = False


def normalised(value: Any) -> Any:
    """Return what the model's server stores: quantities in short form, no empty strings or lists.

    None means that nothing is stored at all, while the applier owns the field.
    """
    if isinstance(value, str) and value.endswith("000m"):
        return value.removesuffix("000m")
    return None if value in ("", []) else value


class ApplyModel:
    """Satisfies `ApplyClient`, `FinalizerClient` and `ApplyCache`; counts mutating requests.

    The cache side reads the objects themselves unless `snapshot()` froze what it shows.
    """

    def __init__(self, **kinds: Mapping[str, Schema]) -> None:
        self.schemas = {
            kind: Struct({"metadata": METADATA, **fields}) for kind, fields in kinds.items()
        }
        self.objects: dict[tuple[str, ObjectKey], ModelObject] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.sent: list[dict[str, Any]] = []
        self.unanswered: set[tuple[str, ObjectKey]] = set()
        self.before_apply: Callable[[], None] = lambda: None
        self.honours_preconditions = True
        self.live_reads = 0
        self._frozen: dict[tuple[str, ObjectKey], ModelObject] | None = None
        self._versions = count(100)
        self._uids = count(1)

    def snapshot(self) -> None:
        """Let the cache show the present state until `catch_up`."""
        self._frozen = deepcopy(self.objects)

    def catch_up(self) -> None:
        """Let the cache show the newest state again."""
        self._frozen = None

    def find(self, kind: str, name: str, namespace: str = "default") -> ModelObject:
        """Return a live object."""
        return self.objects[kind, ObjectKey(namespace, name)]

    def manifest(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """Return a live object as the server would."""
        key = ObjectKey(namespace, name)
        return self._manifest(kind, key, self.objects[kind, key])

    def stored(self, kind: str, name: str, namespace: str = "default") -> StoredObject:
        """Return a live object as the cache would hold it."""
        key = ObjectKey(namespace, name)
        return self._stored(kind, key, self.objects[kind, key])

    def write(self, kind: str, name: str, body: Mapping[str, Any], *, manager: str) -> None:
        """Set values as somebody's create or update would; not counted as a request of ours."""
        key = ObjectKey("default", name)
        target = self.objects.setdefault((kind, key), self._new())
        wanted = leaves(dict(body), self.schemas[kind])
        changed = {p for p, v in wanted.items() if p not in target.values or target.values[p] != v}
        target.values.update(wanted)
        self._take(target, changed, manager, added=changed)

    def take(self, kind: str, name: str, path: Path, value: Any, *, manager: str) -> None:
        """Set one leaf, as somebody's update would."""
        target = self.find(kind, name)
        target.values[path] = value
        self._take(target, {path}, manager, added={path})

    def remove(self, kind: str, name: str, gone: Path, *, manager: str) -> None:
        """Remove one path with everything below it, as somebody's update would."""
        target = self.find(kind, name)
        paths = {
            path
            for path in target.values.keys() | set().union(*target.managers.values())
            if path[: len(gone)] == gone
        }
        for path in paths:
            target.values.pop(path, None)
        self._take(target, paths, manager, added=set())

    async def apply(
        self,
        manifest: dict[str, Any],
        *,
        field_owner: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Apply as a server does."""
        assert not dry_run
        self.before_apply()
        kind, metadata = manifest["kind"], manifest["metadata"]
        key = ObjectKey(metadata.get("namespace", ""), metadata["name"])
        self.requests.append(("apply", kind, str(key) + (subresource and f"/{subresource}")))
        self.sent.append(deepcopy(manifest))
        target = self._target(kind, key, metadata, subresource)
        schema = self.schemas[kind]
        config = leaves(_tracked(manifest, subresource), schema)
        owner = (field_owner, "Apply", subresource)
        stored = {path: normalised(value) for path, value in config.items()}
        changed = {path for path, value in stored.items() if target.values.get(path) != value}
        _refuse_conflicts(target, owner, changed, force=force)
        self._drop(target, owner, set(config))
        target.values.update(stored)
        target.values = {path: value for path, value in target.values.items() if value is not None}
        for other, paths in target.managers.items():
            if other != owner:
                paths -= changed
        before = target.managers.get(owner)
        target.managers[owner] = set(config)
        if changed or before != set(config) or (kind, key) not in self.objects:
            target.resource_version = next(self._versions)
        self.objects[kind, key] = target
        return self._manifest(kind, key, target)

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> dict[str, Any]:
        """Execute the one JSON patch that an applier sends: the hand-over of managedFields."""
        self.requests.append(("patch", gvk.kind, str(key)))
        target = self.objects[gvk.kind, key]
        by_path = {each["path"]: each["value"] for each in operations}
        assert by_path["/metadata/uid"] == target.uid
        assert by_path["/metadata/resourceVersion"] == str(target.resource_version)
        target.managers = {
            (each["manager"], each["operation"], each.get("subresource", "")): _paths(
                each["fieldsV1"]
            )
            for each in by_path["/metadata/managedFields"]
        }
        target.resource_version = next(self._versions)
        return self._manifest(gvk.kind, key, target)

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> bool:
        """Delete under preconditions."""
        self.requests.append(("delete", gvk.kind, str(key)))
        target = self.objects.get((gvk.kind, key))
        if target is None:
            return False
        if (uid, resource_version) != (target.uid, str(target.resource_version)):
            raise Conflict("precondition failed", code=409, reason="Conflict")
        del self.objects[gvk.kind, key]
        return True

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return the cached object."""
        found = self._shown().get((gvk.kind, key))
        return self._stored(gvk.kind, key, found) if found else None

    def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        """Tell whether the last write went unanswered."""
        return (gvk.kind, key) in self.unanswered

    def owned_by(self, gvk: GroupVersionKind, uid: str) -> list[StoredObject]:
        """Return cached objects with a reference to the owner, in no useful order."""
        held = [
            self._stored(kind, key, each)
            for (kind, key), each in reversed(self._shown().items())
            if kind == gvk.kind
        ]
        return [
            each for each in held if any(ref.uid == uid for ref in each.meta.owner_references or ())
        ]

    async def live_get(self, gvk: GroupVersionKind, key: ObjectKey) -> dict[str, Any] | None:
        """Read the newest state."""
        self.live_reads += 1
        found = self.objects.get((gvk.kind, key))
        return self._manifest(gvk.kind, key, found) if found else None

    def _new(self) -> ModelObject:
        return ModelObject(f"uid-{next(self._uids)}", next(self._versions))

    def _shown(self) -> dict[tuple[str, ObjectKey], ModelObject]:
        return self.objects if self._frozen is None else self._frozen

    def _target(
        self, kind: str, key: ObjectKey, metadata: Mapping[str, Any], subresource: str
    ) -> ModelObject:
        found = self.objects.get((kind, key))
        if found is None and subresource:
            raise NotFound("not found", code=404, reason="NotFound")
        uid, version = metadata.get("uid"), metadata.get("resourceVersion")
        if not self.honours_preconditions:
            return found if found is not None else self._new()
        # A missing object is created whatever resourceVersion is asked for.
        if found is not None and version not in (None, str(found.resource_version)):
            raise Conflict("the object has been modified", code=409, reason="Conflict")
        if found is None and uid is not None:
            raise Conflict("uid mismatch", code=409, reason="Conflict")
        # A status takes no notice of the UID.
        if found is not None and uid not in (None, found.uid) and not subresource:
            cause = StatusCause("FieldValueInvalid", "field is immutable", "metadata.uid")
            raise Invalid("metadata.uid", code=422, reason="Invalid", causes=[cause])
        return found if found is not None else self._new()

    def _drop(self, target: ModelObject, owner: ManagerKey, wanted: set[Path]) -> None:
        others = set().union(*(p for m, p in target.managers.items() if m != owner), set())
        for path in target.managers.get(owner, set()) - wanted - others:
            held = any(other[: len(path)] == path for other in others | wanted)
            if path in target.values and not held:
                for below in [p for p in target.values if p[: len(path)] == path]:
                    del target.values[below]

    def _take(
        self, target: ModelObject, changed: set[Path], manager: str, *, added: set[Path]
    ) -> None:
        me = (manager, "Update", "")
        for owner, paths in target.managers.items():
            if owner != me:
                paths -= changed
        target.managers.setdefault(me, set()).update(added)
        target.managers = {owner: paths for owner, paths in target.managers.items() if paths}
        target.resource_version = next(self._versions)

    def _manifest(self, kind: str, key: ObjectKey, target: ModelObject) -> dict[str, Any]:
        body = assemble(target.values)
        metadata = {
            **body.get("metadata", {}),
            "name": key.name,
            "uid": target.uid,
            "resourceVersion": str(target.resource_version),
            "managedFields": [
                {
                    "manager": manager,
                    "operation": operation,
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields_v1(paths),
                    **({"subresource": subresource} if subresource else {}),
                }
                for (manager, operation, subresource), paths in target.managers.items()
            ],
        }
        if key.namespace:
            metadata["namespace"] = key.namespace
        if target.deleting:
            metadata["deletionTimestamp"] = "2025-01-01T00:00:00Z"
        return {"apiVersion": "v1", "kind": kind, **body, "metadata": metadata}

    def _stored(self, kind: str, key: ObjectKey, target: ModelObject) -> StoredObject:
        manifest = self._manifest(kind, key, target)
        del manifest["metadata"]["managedFields"]
        return StoredObject(
            gvk=GroupVersionKind("", "v1", kind),
            meta=msgspec.convert(manifest["metadata"], ObjectMeta),
            raw=msgspec.json.encode(manifest),
            fields={
                f"{manager}:{subresource}" if subresource else manager: msgspec.json.encode(
                    fields_v1(paths)
                )
                for (manager, operation, subresource), paths in target.managers.items()
                if operation == "Apply"
            }
            or None,
        )


def _tracked(manifest: Mapping[str, Any], subresource: str) -> dict[str, Any]:
    if subresource:
        return {"status": manifest["status"]}
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _UNTRACKED}
    rest = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata")}
    return {**rest, "metadata": metadata}


def _refuse_conflicts(
    target: ModelObject, owner: ManagerKey, changed: set[Path], *, force: bool
) -> None:
    causes = [
        StatusCause(
            reason="FieldManagerConflict",
            message=f'conflict with "{manager}" using v1',
            field="".join(f".{name}" for _, name in path),
        )
        for (manager, operation, subresource), paths in sorted(target.managers.items())
        if (manager, operation, subresource) != owner
        for path in sorted(paths & changed)
    ]
    if causes and not force:
        raise Conflict("Apply failed", code=409, reason="Conflict", causes=causes)


def _paths(node: Mapping[str, Any], path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for key, child in node.items():
        if key == ".":
            found.add(path)
            continue
        below = (*path, (key[0], key[2:]))
        found |= _paths(child, below) if child else {below}
    return found
