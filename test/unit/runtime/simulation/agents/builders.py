"""Pods, claims and fakes that the agents' tests share."""

import copy
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from smbpctl.runtime.errors import Conflict, NotFound
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    ObjectMeta,
    StoredObject,
    gvk_of,
    key_of,
    uid_of,
)

NODE = "node-0"
NODE_ADDRESS = "10.240.0.1"
KEY = ObjectKey("ns", "web-0")


def container(name: str = "main", image: str = "example/web:1", **more: Any) -> Manifest:
    """Return a container."""
    return {"name": name, "image": image, **more}


def pod(uid: str = "uid-1", *, status: Manifest | None = None, **spec: Any) -> Manifest:
    """Return a pod that is bound to the node, with one container unless told otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": uid, "generation": 1},
        "spec": {"nodeName": NODE, "containers": [container()], **spec},
        "status": {"phase": "Pending"} if status is None else status,
    }


def deleted(manifest: Manifest, at: str = "2026-01-01T00:00:30Z") -> Manifest:
    """Return the pod as the API server shows it once deleted gracefully, its time up `at`."""
    doomed = copy.deepcopy(manifest)
    doomed["metadata"]["deletionTimestamp"] = at
    return doomed


class FakeCluster:
    """Satisfies the agents' client and reader Protocols over a dict; writes are recorded.

    Objects that are applied without being there are created, their status subresource is not.
    """

    def __init__(self, *objects: Manifest) -> None:
        self.objects: dict[tuple[GroupVersionKind, ObjectKey], Manifest] = {}
        self.writes: list[tuple[str, str, Manifest]] = []
        for each in objects:
            self.put(each)

    def put(self, manifest: Manifest) -> None:
        """Store an object as it is."""
        self.objects[gvk_of(manifest), key_of(manifest)] = copy.deepcopy(manifest)

    def remove(self, gvk: GroupVersionKind, key: ObjectKey) -> None:
        """Forget an object."""
        del self.objects[gvk, key]

    def verbs(self) -> list[str]:
        """Return what was written in order: `apply Pod/status`, `delete Pod`."""
        return [f"{verb} {what}" for verb, what, _ in self.writes]

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return a copy of an object."""
        return copy.deepcopy(self.objects.get((gvk, key)))

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return an object's metadata."""
        found = self.objects.get((gvk, key))
        if found is None:
            return None
        meta = ObjectMeta(name=key.name, namespace=key.namespace, uid=uid_of(found))
        return StoredObject(gvk=gvk, meta=meta, raw=b"{}")

    async def apply(
        self, manifest: Manifest, *, field_owner: str, force: bool = False, subresource: str = ""
    ) -> Manifest:
        """Merge the manifest, as one owner's apply would."""
        gvk, key = gvk_of(manifest), key_of(manifest)
        self.writes.append(("apply", f"{gvk.kind}/{subresource}".rstrip("/"), manifest))
        if subresource and (gvk, key) not in self.objects:
            raise NotFound("not found", code=404)
        there = self.objects.setdefault((gvk, key), {"metadata": {"uid": f"uid-of-{key.name}"}})
        wanted = uid_of(manifest)
        if wanted and wanted != uid_of(there):
            raise Conflict("uid mismatch", code=409)
        _merge(there, manifest)
        return copy.deepcopy(there)

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
        self.writes.append(("patch", f"{gvk.kind}/{subresource}".rstrip("/"), dict(patch)))
        there = self.objects[gvk, key]
        _merge(there, patch)
        return copy.deepcopy(there)

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        grace_period: timedelta | None = None,
    ) -> bool:
        """Delete at once, with the UID as precondition."""
        options = {"uid": uid, "grace_period": grace_period}
        self.writes.append(("delete", gvk.kind, options))
        found = self.objects.get((gvk, key))
        if found is None:
            return False
        if uid is not None and uid != uid_of(found):
            raise Conflict("uid mismatch", code=409)
        del self.objects[gvk, key]
        return True


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)
