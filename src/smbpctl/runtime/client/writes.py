"""Builds the `WriteCall` of each mutating verb."""

from collections.abc import Mapping
from typing import Any

from smbpctl.runtime.client.calls import Validation, WriteCall, WriteOptions
from smbpctl.runtime.client.guards import Verb
from smbpctl.runtime.client.query import APPLY
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    gvk_of,
    key_of,
    metadata_of,
)

POD = GroupVersionKind("", "v1", "Pod")


def create(manifest: Manifest, options: WriteOptions) -> WriteCall:
    """Return the creation of an object, whose name the server may choose (`generateName`)."""
    metadata = metadata_of(manifest)
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    return WriteCall(
        verb=Verb.CREATE,
        gvk=gvk_of(manifest),
        key=ObjectKey(namespace, name),
        name="" if name else str(ObjectKey(namespace, str(metadata.get("generateName") or ""))),
        body=manifest,
        field_owner=options.get("field_owner", ""),
        validation=options.get("validation", Validation.STRICT),
        dry_run=options.get("dry_run", False),
    )


def update(
    manifest: Manifest, options: WriteOptions, *, subresource: str, overwrite: bool
) -> WriteCall:
    """Return the replacement of an object; ValueError without version unless it is waived."""
    gvk, key = gvk_of(manifest), key_of(manifest)
    metadata = metadata_of(manifest)
    if overwrite:
        kept = {name: value for name, value in metadata.items() if name != "resourceVersion"}
        manifest = {**manifest, "metadata": kept}
    elif not metadata.get("resourceVersion"):
        raise ValueError(f"update {gvk.kind} {key}: metadata.resourceVersion is missing")
    return WriteCall(
        verb=Verb.UPDATE,
        gvk=gvk,
        key=key,
        body=manifest,
        subresource=subresource,
        field_owner=options.get("field_owner", ""),
        validation=options.get("validation", Validation.STRICT),
        dry_run=options.get("dry_run", False),
    )


def apply(manifest: Manifest, options: WriteOptions, *, subresource: str, force: bool) -> WriteCall:
    """Return a server-side apply."""
    return WriteCall(
        verb=Verb.APPLY,
        gvk=gvk_of(manifest),
        key=key_of(manifest),
        body=manifest,
        subresource=subresource,
        content_type=APPLY,
        field_owner=options.get("field_owner", ""),
        validation=options.get("validation", Validation.STRICT),
        force=force,
        dry_run=options.get("dry_run", False),
    )


def patch(
    target: tuple[GroupVersionKind, ObjectKey, str],
    body: object,
    options: WriteOptions,
    *,
    content_type: str,
) -> WriteCall:
    """Return a patch of the object, or of its subresource, that `target` names."""
    gvk, key, subresource = target
    return WriteCall(
        verb=Verb.PATCH,
        gvk=gvk,
        key=key,
        body=body,
        subresource=subresource,
        content_type=content_type,
        field_owner=options.get("field_owner", ""),
        validation=options.get("validation", Validation.STRICT),
        dry_run=options.get("dry_run", False),
    )


def preconditions(*, uid: str | None, resource_version: str | None) -> list[Mapping[str, Any]]:
    """Return the operations of a JSON patch that fail on any other object or version."""
    given = {"/metadata/uid": uid, "/metadata/resourceVersion": resource_version}
    return [
        {"op": "test", "path": path, "value": value}
        for path, value in given.items()
        if value is not None
    ]


def in_version(merge_patch: Mapping[str, Any], resource_version: str | None) -> Manifest:
    """Return a merge patch that the server refuses when the object is in another version."""
    if resource_version is None:
        return dict(merge_patch)
    metadata = {**metadata_of(merge_patch), "resourceVersion": resource_version}
    return {**merge_patch, "metadata": metadata}


def delete(gvk: GroupVersionKind, key: ObjectKey, options: Manifest, *, dry_run: bool) -> WriteCall:
    """Return a deletion with its `DeleteOptions`."""
    return WriteCall(verb=Verb.DELETE, gvk=gvk, key=key, body=options, dry_run=dry_run)


def delete_collection(
    gvk: GroupVersionKind,
    namespace: str,
    options: Manifest,
    *,
    selector: LabelSelector,
    fields: FieldSelector | None,
    dry_run: bool,
) -> WriteCall:
    """Return the deletion of all selected objects of a namespace with its `DeleteOptions`."""
    return WriteCall(
        verb=Verb.DELETE_COLLECTION,
        gvk=gvk,
        key=ObjectKey(namespace, ""),
        body=options,
        selector=selector,
        fields=fields,
        dry_run=dry_run,
    )


def evict(key: ObjectKey, body: Manifest, *, dry_run: bool) -> WriteCall:
    """Return the eviction of a pod."""
    return WriteCall(
        verb=Verb.EVICT, gvk=POD, key=key, body=body, subresource="eviction", dry_run=dry_run
    )
