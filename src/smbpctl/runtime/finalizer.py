"""Adds and removes finalizers, bound to the object that was read and idempotent."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from smbpctl.runtime.errors import Conflict, Invalid, NotFound, TerminalError
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    gvk_of,
    is_deleting,
    key_of,
    metadata_of,
    uid_of,
)


class FinalizerClient(Protocol):
    """The one live verb that finalizers need."""

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Send a JSON patch; raise `Invalid` when a `test` in it fails."""
        ...


def has_finalizer(manifest: Mapping[str, Any], name: str) -> bool:
    """Tell whether the object carries the finalizer."""
    return name in _finalizers(manifest)


async def add_finalizer(
    client: FinalizerClient, manifest: Manifest, name: str, *, field_owner: str
) -> Manifest:
    """Add a finalizer and return the object as answered; the same object when it has it already.

    Nothing outside the cluster may be made before this has returned. Errors: `TerminalError` when
    deletion has begun (the server takes no new finalizers then, so there is nothing to protect);
    `Conflict` when the object is another one by now or its finalizers have changed.
    """
    current = _finalizers(manifest)
    if name in current:
        return manifest
    if is_deleting(manifest):
        raise TerminalError(
            "BeingDeleted",
            f"{manifest.get('kind')} {key_of(manifest)} is being deleted and takes no finalizer",
        )
    change = (
        {"op": "add", "path": "/metadata/finalizers/-", "value": name}
        if current
        else {"op": "add", "path": "/metadata/finalizers", "value": [name]}
    )
    return await _patch(client, manifest, change, field_owner=field_owner)


async def remove_finalizer(
    client: FinalizerClient, manifest: Manifest, name: str, *, field_owner: str
) -> Manifest:
    """Remove a finalizer and return the object as answered.

    The object itself comes back when it has no such finalizer, or when it is gone already.
    `Conflict` when the name belongs to another object by now or the finalizers have changed.
    """
    current = _finalizers(manifest)
    if name not in current:
        return manifest
    change = {"op": "remove", "path": f"/metadata/finalizers/{current.index(name)}"}
    try:
        return await _patch(client, manifest, change, field_owner=field_owner)
    except NotFound:
        return manifest


async def _patch(
    client: FinalizerClient, manifest: Manifest, change: Mapping[str, Any], *, field_owner: str
) -> Manifest:
    uid, gvk, key = uid_of(manifest), gvk_of(manifest), key_of(manifest)
    if not uid:
        raise ValueError(f"{gvk.kind} {key} has no uid: it was never read from a server")
    operations: list[Mapping[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        # Null stands for "there is none": a list that somebody else began is not overwritten.
        {"op": "test", "path": "/metadata/finalizers", "value": _finalizers(manifest) or None},
        change,
    ]
    try:
        return await client.patch_json(gvk, key, operations, field_owner=field_owner)
    except Invalid as error:
        # A failed `test` is answered with 422 and no causes; a rejected object names its fields.
        if error.causes:
            raise
        raise Conflict(
            f"finalizers of {gvk.kind} {key} have changed since they were read",
            code=409,
            reason="Conflict",
        ) from error


def _finalizers(manifest: Mapping[str, Any]) -> list[str]:
    return cast("list[str]", metadata_of(manifest).get("finalizers") or [])
