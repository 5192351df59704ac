"""An API server in memory, called directly: objects, versions, field owners; satisfies `Client`.

Lists are atomic but for the two that reconcilers share: owner references and conditions.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from smbpctl.reconcilers import kinds
from smbpctl.runtime.discovery import OptionalKind, Resource
from smbpctl.runtime.errors import Conflict, Invalid, NoKindMatch, NotFound, StatusCause
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    gvk_of,
    key_of,
    metadata_of,
    uid_of,
)
from test.support.fake_api import ServedKind
from test.support.field_paths import (
    Path,
    fields_v1,
    json_patch,
    leaves,
    merge_patch,
    set_path,
    unset_path,
)

Slot: TypeAlias = tuple[GroupVersionKind, ObjectKey]
Owner: TypeAlias = tuple[str, str]
"""A field owner and the subresource it applies."""

CORE = (
    ServedKind(GroupVersionKind("smbpctl.dev", "v1alpha1", "BigPeer"), "bigpeers"),
    ServedKind(kinds.CONFIG_MAP, "configmaps"),
    ServedKind(kinds.CLAIM, "persistentvolumeclaims"),
    ServedKind(kinds.NAMESPACE, "namespaces", namespaced=False),
    ServedKind(kinds.POD, "pods"),
    ServedKind(kinds.SECRET, "secrets"),
    ServedKind(kinds.SERVICE, "services"),
    ServedKind(kinds.SERVICE_ACCOUNT, "serviceaccounts"),
    ServedKind(kinds.DEPLOYMENT, "deployments"),
    ServedKind(kinds.STATEFUL_SET, "statefulsets"),
    ServedKind(kinds.DISRUPTION_BUDGET, "poddisruptionbudgets"),
    ServedKind(kinds.STORAGE_CLASS, "storageclasses", namespaced=False),
    ServedKind(kinds.INGRESS, "ingresses"),
    ServedKind(kinds.INGRESS_CLASS, "ingressclasses", namespaced=False),
    ServedKind(kinds.NETWORK_POLICY, "networkpolicies"),
)


def serve_optional(kind: OptionalKind, version: str = "") -> ServedKind:
    """Return an optional kind as a CRD would serve it, in its preferred version unless given."""
    gvk = GroupVersionKind(kind.group, version or kind.versions[0], kind.kind)
    return ServedKind(gvk, f"{kind.kind.lower()}s")


CERT_MANAGER = tuple(serve_optional(kind) for kind in (kinds.CERTIFICATE, kinds.ISSUER))
NODES = (
    ServedKind(GroupVersionKind("", "v1", "Node"), "nodes", namespaced=False),
    ServedKind(GroupVersionKind("", "v1", "PersistentVolume"), "persistentvolumes", False),
    ServedKind(GroupVersionKind("coordination.k8s.io", "v1", "Lease"), "leases"),
)
"""What nodes are made of."""
RIGHTS = (
    ServedKind(
        GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        "customresourcedefinitions",
        namespaced=False,
    ),
    *(
        ServedKind(GroupVersionKind("rbac.authorization.k8s.io", "v1", kind), plural, namespaced)
        for kind, plural, namespaced in (
            ("ClusterRole", "clusterroles", False),
            ("ClusterRoleBinding", "clusterrolebindings", False),
            ("Role", "roles", True),
            ("RoleBinding", "rolebindings", True),
        )
    ),
)
"""What is applied before an operator can run."""
STRIMZI = tuple(
    serve_optional(kind)
    for kind in (kinds.KAFKA, kinds.KAFKA_NODE_POOL, kinds.KAFKA_TOPIC, kinds.KAFKA_USER)
)


@dataclass(frozen=True)
class Write:
    """A mutating request: `str()` is what tests compare, such as `apply StatefulSet shop/a`."""

    verb: str
    kind: str
    key: ObjectKey
    body: Any = None

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.key}"


@dataclass
class FakeCluster:
    """Every object of a cluster, and every mutating request in order.

    `refusals` maps "evict Pod" or "get Namespace" to the error that such a request raises.
    `listeners` are told of every change, with the type a watch would tell and the old state.
    """

    served_kinds: tuple[ServedKind, ...] = CORE
    objects: dict[Slot, Manifest] = field(default_factory=dict[Slot, Manifest])
    owned: dict[Slot, dict[Owner, set[Path]]] = field(
        default_factory=dict[Slot, dict[Owner, set[Path]]]
    )
    writes: list[Write] = field(default_factory=list[Write])
    refusals: dict[str, Exception] = field(default_factory=dict[str, Exception])
    listeners: list[Callable[[str, Manifest, Manifest | None], None]] = field(
        default_factory=list[Callable[[str, Manifest, Manifest | None], None]]
    )
    live_reads: int = 0
    revision: int = 100

    # What a person or another controller does; not recorded as a request of ours.

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object; what differs is taken from those who applied it."""
        slot = gvk_of(manifest), key_of(manifest)
        before = self.objects.get(slot)
        after = copy.deepcopy(manifest)
        metadata = {**after["metadata"]}
        metadata.pop("managedFields", None)
        metadata.setdefault("uid", uid_of(before or {}) or f"uid-of-{slot[0].kind}-{slot[1].name}")
        self._store(slot, {**after, "metadata": metadata}, disowned_by=None)
        return self.read(slot)

    def edit(
        self, gvk: GroupVersionKind, key: ObjectKey, change: Callable[[Manifest], object]
    ) -> None:
        """Change an object in place, as an update of its newest state."""
        manifest = copy.deepcopy(self.objects[gvk, key])
        change(manifest)
        self.put(manifest)

    def remove(self, gvk: GroupVersionKind, key: ObjectKey) -> None:
        """Take an object away at once."""
        gone = self.objects.pop((gvk, key))
        self.owned.pop((gvk, key), None)
        self._tell("DELETED", {**gone, "metadata": {**gone["metadata"], **self._next()}}, gone)

    def find(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest:
        """Return an object that must be there, without managedFields."""
        return copy.deepcopy(self.objects[gvk, key])

    def all(self, gvk: GroupVersionKind) -> list[Manifest]:
        """Return all objects of a kind, sorted by key."""
        slots = sorted(slot for slot in self.objects if slot[0] == gvk)
        return [copy.deepcopy(self.objects[slot]) for slot in slots]

    def sent(self) -> list[str]:
        """Return the mutating requests since the last call, and forget them."""
        texts = [str(write) for write in self.writes]
        self.writes.clear()
        return texts

    def read(self, slot: Slot) -> Manifest:
        """Return an object as the server answers it, managedFields included."""
        manifest = copy.deepcopy(self.objects[slot])
        manifest["metadata"]["managedFields"] = [
            {
                "manager": manager,
                "operation": "Apply",
                "fieldsType": "FieldsV1",
                "fieldsV1": fields_v1(paths),
                **({"subresource": subresource} if subresource else {}),
            }
            for (manager, subresource), paths in self.owned.get(slot, {}).items()
        ]
        return manifest

    # What satisfies `Client`.

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read one object."""
        self._refuse(f"get {gvk.kind}")
        self._kind(gvk)
        self.live_reads += 1
        return self.read((gvk, key)) if (gvk, key) in self.objects else None

    async def list(
        self, gvk: GroupVersionKind, *, namespace: str = "", selector: LabelSelector | None = None
    ) -> "list[Manifest]":
        """Read all objects of a kind."""
        self._refuse(f"list {gvk.kind}")
        self._kind(gvk)
        return [
            self.read((gvk, key_of(each)))
            for each in self.all(gvk)
            if namespace in ("", key_of(each).namespace)
            and (selector is None or selector.matches(metadata_of(each).get("labels")))
        ]

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_owner: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """Apply as a server does, for one API version."""
        assert not dry_run
        slot = gvk_of(manifest), key_of(manifest)
        kind = f"{slot[0].kind}/{subresource}" if subresource else slot[0].kind
        self._record("apply", kind, slot[1], manifest)
        self._kind(slot[0])
        there = self.objects.get(slot)
        _check_preconditions(there, manifest, subresource)
        wanted = leaves(_tracked(manifest, subresource))
        owner = (field_owner, subresource)
        owners = self.owned.setdefault(slot, {})
        known = leaves(there or {})
        changed = {path for path, value in wanted.items() if known.get(path) != value}
        others = {path for each, paths in owners.items() if each != owner for path in paths}
        if changed & others and not force:
            cause = StatusCause("FieldManagerConflict", 'conflict with "another"', "somewhere")
            raise Conflict("Apply failed", code=409, reason="Conflict", causes=[cause])
        after = copy.deepcopy(there) if there is not None else self._born(manifest)
        for path in owners.get(owner, set()) - wanted.keys() - others:
            unset_path(after, path)
        for path, value in wanted.items():
            set_path(after, path, value)
        if there == after and owners.get(owner) == wanted.keys():
            return self.read(slot)
        owners[owner] = set(wanted)
        self._store(slot, after, disowned_by=owner)
        return self.read(slot)

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Execute a JSON patch: test, add, replace and remove."""
        self._record("patch", gvk.kind, key, list(operations))
        after = self._expect(gvk, key)
        for operation in operations:
            json_patch(after, operation)
        if metadata_of(after).get("deletionTimestamp") and not metadata_of(after).get("finalizers"):
            self.remove(gvk, key)
            return after
        self._store((gvk, key), after, disowned_by=None)
        return self.read((gvk, key))

    async def patch_merge(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        patch: Mapping[str, Any],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Merge a patch."""
        kind = f"{gvk.kind}/{subresource}" if subresource else gvk.kind
        self._record("patch", kind, key, dict(patch))
        after = self._expect(gvk, key)
        merge_patch(after, patch)
        self._store((gvk, key), after, disowned_by=None)
        return self.read((gvk, key))

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period: timedelta | None = None,
    ) -> bool:
        """Delete under preconditions; what has finalizers is only marked."""
        self._record("delete", gvk.kind, key, {"uid": uid})
        self._kind(gvk)
        there = self.objects.get((gvk, key))
        if there is None:
            return False
        for name, wanted in (("uid", uid), ("resourceVersion", resource_version)):
            if wanted not in (None, there["metadata"][name]):
                raise Conflict(f"precondition failed: {name}", code=409, reason="Conflict")
        if metadata_of(there).get("finalizers"):
            marked = {**there["metadata"], "deletionTimestamp": "2026-11-21T12:00:00Z"}
            self._store((gvk, key), {**there, "metadata": marked}, disowned_by=None)
        else:
            self.remove(gvk, key)
        return True

    async def evict(
        self, key: ObjectKey, *, uid: str | None, grace_period: timedelta | None = None
    ) -> None:
        """Evict a pod; a budget's refusal is one of the `refusals`."""
        self._record("evict", "Pod", key, {"uid": uid})
        there = self._expect(kinds.POD, key)
        if uid not in (None, uid_of(there)):
            raise Conflict("precondition failed: uid", code=409, reason="Conflict")
        self.remove(kinds.POD, key)

    # What satisfies `Discovery`.

    def changes(self) -> int:
        """Nothing that is served changes unseen."""
        return 0

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Return the preferred version among those that are served."""
        gvks = {each.gvk for each in self.served_kinds}
        wanted = (GroupVersionKind(kind.group, each, kind.kind) for each in kind.versions)
        return next((gvk for gvk in wanted if gvk in gvks), None)

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how a kind is reached."""
        kind = self._kind(gvk)
        return Resource(gvk, kind.plural, kind.namespaced, frozenset(), frozenset())

    def _kind(self, gvk: GroupVersionKind) -> ServedKind:
        found = next((each for each in self.served_kinds if each.gvk == gvk), None)
        if found is None:
            raise NoKindMatch(f"the API server does not serve {gvk}")
        return found

    def _expect(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest:
        self._kind(gvk)
        if (gvk, key) not in self.objects:
            raise NotFound(f"{gvk.kind} {key} not found", code=404, reason="NotFound")
        return copy.deepcopy(self.objects[gvk, key])

    def _record(self, verb: str, kind: str, key: ObjectKey, body: Any) -> None:
        self.writes.append(Write(verb, kind, key, copy.deepcopy(body)))
        self._refuse(f"{verb} {kind}")

    def _refuse(self, what: str) -> None:
        if what in self.refusals:
            raise self.refusals[what]

    def _born(self, manifest: Manifest) -> Manifest:
        gvk, key = gvk_of(manifest), key_of(manifest)
        metadata = {"name": key.name, "uid": f"uid-{self.revision + 1}"}
        if key.namespace:
            metadata["namespace"] = key.namespace
        return {"apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": metadata}

    def _next(self) -> dict[str, Any]:
        self.revision += 1
        return {"resourceVersion": str(self.revision)}

    def _store(self, slot: Slot, after: Manifest, *, disowned_by: Owner | None) -> None:
        """Take in a state; what it changes is taken from every owner but `disowned_by`."""
        before = self.objects.get(slot)
        old, new = leaves(before or {}), leaves(after)
        changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
        for owner, paths in self.owned.get(slot, {}).items():
            if owner != disowned_by:
                paths -= changed
        metadata = {**after["metadata"], **self._next()}
        spec_changed = any(path[0] not in ("metadata", "status") for path in changed)
        generation = int(metadata_of(before or {}).get("generation") or 0)
        if before is None:
            metadata.setdefault("generation", 1)
        elif spec_changed and metadata.get("generation") == generation:
            metadata["generation"] = generation + 1
        self.objects[slot] = {**after, "metadata": metadata}
        self._tell("ADDED" if before is None else "MODIFIED", self.objects[slot], before)

    def _tell(self, event: str, manifest: Manifest, before: Manifest | None) -> None:
        for listener in list(self.listeners):
            listener(event, copy.deepcopy(manifest), copy.deepcopy(before))


def _tracked(manifest: Manifest, subresource: str) -> Manifest:
    if subresource:
        return {subresource: manifest[subresource]}
    return {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind")}


def _check_preconditions(there: Manifest | None, manifest: Manifest, subresource: str) -> None:
    metadata = metadata_of(manifest)
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    if there is None:
        if subresource:
            raise NotFound("not found", code=404, reason="NotFound")
        if uid is not None:
            raise Conflict("uid mismatch", code=409, reason="Conflict")
        return
    if version not in (None, there["metadata"]["resourceVersion"]):
        raise Conflict("the object has been modified", code=409, reason="Conflict")
    if uid not in (None, uid_of(there)) and not subresource:
        cause = StatusCause("FieldValueInvalid", "field is immutable", "metadata.uid")
        raise Invalid("metadata.uid", code=422, reason="Invalid", causes=[cause])
