"""Owner references on manifests: who controls an object, who else keeps it, who does not."""

from collections.abc import Mapping
from typing import Any

from smbpctl.runtime.errors import TerminalError
from smbpctl.runtime.meta import (
    Manifest,
    OwnerReference,
    controller_reference,
    key_of,
    metadata_of,
    owner_references_of,
    uid_of,
)


class AlreadyOwned(TerminalError):
    """Another object controls the child, or one that had the owner's name before it."""

    def __init__(self, child: str, controller: OwnerReference) -> None:
        super().__init__(
            "AlreadyOwned",
            f"{child} is controlled by {controller.kind} {controller.name} ({controller.uid})",
        )
        self.controller = controller


def set_controller_reference(owner: Mapping[str, Any], child: Manifest) -> Manifest:
    """Return a copy of `child` that `owner` controls; deleting the owner waits for the child.

    Repeating it changes nothing. Unlike controller-runtime this compares UIDs: a reference to a
    former object of the owner's name is one to another object, which the garbage collector acts on.

    Errors: `AlreadyOwned` when something else controls the child; ValueError when the owner was
    never read from a server, or when the reference could not reach the child: a namespaced owner
    owns only within its namespace.
    """
    reference = controller_reference(owner)
    _check_reach(owner, child)
    others = [each for each in owner_references_of(child) if each.uid != reference.uid]
    controller = next((each for each in others if each.controller), None)
    if controller is not None:
        raise AlreadyOwned(_named(child), controller)
    return _with_references(child, [*others, reference])


def set_owner_reference(
    owner: Mapping[str, Any], child: Manifest, *, block_owner_deletion: bool = False
) -> Manifest:
    """Return a copy of `child` that exists at least as long as `owner`, without being controlled.

    An owner that controls the child already goes on doing so. Errors are those of
    `set_controller_reference`, but for `AlreadyOwned`: owners are as many as there are.
    """
    made = controller_reference(owner)
    _check_reach(owner, child)
    present = owner_references_of(child)
    controls = any(each.uid == made.uid and each.controller for each in present)
    reference = OwnerReference(
        api_version=made.api_version,
        kind=made.kind,
        name=made.name,
        uid=made.uid,
        controller=controls,
        block_owner_deletion=block_owner_deletion or controls,
    )
    return _with_references(child, [*(e for e in present if e.uid != made.uid), reference])


def remove_owner_reference(owner: Mapping[str, Any], child: Manifest) -> Manifest:
    """Return a copy of `child` without any reference to `owner`; harmless when there is none.

    The garbage collector deletes an object when its *last* owner is gone: one that loses its last
    reference this way stays.
    """
    uid = uid_of(owner)
    left = [each for each in owner_references_of(child) if each.uid != uid]
    return _with_references(child, left)


def has_owner_reference(owner: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    """Tell whether this very owner, not a namesake, is among the child's owners."""
    uid = uid_of(owner)
    return bool(uid) and any(each.uid == uid for each in owner_references_of(child))


def _check_reach(owner: Mapping[str, Any], child: Manifest) -> None:
    scope, place = key_of(owner).namespace, key_of(child).namespace
    if scope and scope != place:
        where = f"in namespace {place}" if place else "cluster-scoped"
        raise ValueError(
            f"{_named(owner)} cannot own {_named(child)}, which is {where}: "
            "the garbage collector would delete it"
        )


def _with_references(child: Manifest, references: list[OwnerReference]) -> Manifest:
    metadata = {k: v for k, v in metadata_of(child).items() if k != "ownerReferences"}
    if references:
        metadata["ownerReferences"] = [each.to_manifest() for each in references]
    return {**child, "metadata": metadata}


def _named(manifest: Mapping[str, Any]) -> str:
    return f"{manifest.get('kind')} {key_of(manifest)}"
