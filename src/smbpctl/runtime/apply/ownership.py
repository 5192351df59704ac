"""Decides to whom an object belongs, and marks a desired one as its owner's."""

from collections.abc import Mapping
from typing import Any, cast

from smbpctl.runtime.apply.desired import Desired
from smbpctl.runtime.apply.fields import managed_fields_of
from smbpctl.runtime.apply.live import LiveView
from smbpctl.runtime.meta import Manifest, controller_reference, key_of, metadata_of, uid_of


def owner_annotation(domain: str) -> str:
    """Return the annotation that names the owner of an object no owner reference can tie to it."""
    return f"{domain}/owner-uid"


def owned_child(owner: Manifest, child: Manifest, *, domain: str) -> Manifest:
    """Return a copy of `child` that says whose it is.

    That is a controller reference to `owner`, unless the child brings `ownerReferences` of its
    own (an empty list says: none) or lies where the owner's name means nothing: a namespaced
    owner's reference reaches no other namespace and no cluster-scoped object, and the garbage
    collector deletes what carries one. Such a child is annotated with the owner's UID.
    """
    metadata = dict(metadata_of(child))
    own_references = metadata.get("ownerReferences")
    scope = key_of(owner).namespace
    if own_references is None and scope in ("", key_of(child).namespace):
        metadata["ownerReferences"] = [controller_reference(owner).to_manifest()]
    elif not _controlled(own_references, uid_of(owner)):
        annotations = cast("dict[str, Any]", metadata.get("annotations") or {})
        metadata["annotations"] = {**annotations, owner_annotation(domain): uid_of(owner)}
    return {**child, "metadata": metadata}


def belongs_to(live: LiveView, owner_uid: str, *, domain: str) -> bool:
    """Tell whether the owner controls the object, by reference or, without any, by annotation."""
    if live.controller_uid is not None:
        return live.controller_uid == owner_uid
    return live.annotations.get(owner_annotation(domain)) == owner_uid


def is_ours(live: LiveView, desired: Desired, owner_uid: str, *, domain: str, mark: str) -> bool:
    """Tell whether the object belongs to the owner, or did until its mark was taken away.

    The hash in the annotation `mark` covers the owner's UID, so an uncontrolled object that
    carries the hash of exactly what is desired can only have been applied for this owner.
    """
    orphaned = live.controller_uid is None and live.annotations.get(mark) == desired.digest
    return orphaned or belongs_to(live, owner_uid, domain=domain)


def other_managers(manifest: Mapping[str, Any], manager: str) -> list[str]:
    """Return, sorted, who beside `manager` wrote fields of the object."""
    found = {str(entry.get("manager") or "") for entry in managed_fields_of(manifest)}
    return sorted(found - {manager})


def _controlled(references: object, owner_uid: str) -> bool:
    listed = cast("list[dict[str, Any]]", references) if isinstance(references, list) else []
    return any(ref.get("controller") and ref.get("uid") == owner_uid for ref in listed)
