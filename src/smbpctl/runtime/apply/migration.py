"""Hands fields over from managers that wrote by update, so that a later apply may drop them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from smbpctl.runtime.apply.fields import FieldSet, managed_fields_of, union
from smbpctl.runtime.meta import Manifest, metadata_of, uid_of


def migration_patch(
    live: Manifest, *, field_owner: str, from_managers: Collection[str]
) -> list[dict[str, Any]]:
    """Return the JSON patch that gives the fields of `from_managers` to `field_owner`'s apply.

    Empty when they own nothing. An apply removes only what its own manager owned alone: without
    this, every field that `kubectl apply`, or the create of an object, once set and that is not
    desired now would stay for ever. The patch fails when the object is another one or has changed.

    Only whole-object updates in one API version are handed over: those of `field_owner`'s own
    entry, else of the first that is found. Source: Kubernetes documentation, "Server-Side Apply",
    upgrading from client-side apply.
    """
    entries = managed_fields_of(live)
    own = next((each for each in entries if _is_apply(each, field_owner)), None)
    given = [each for each in entries if _is_update(each, from_managers)]
    if not given:
        return []
    version = (own or given[0]).get("apiVersion")
    given = [each for each in given if each.get("apiVersion") == version]
    merged: dict[str, Any] = {
        "manager": field_owner,
        "operation": "Apply",
        "apiVersion": version,
        "time": (own or given[0]).get("time"),
        "fieldsType": "FieldsV1",
        "fieldsV1": _union_of([*([own] if own else []), *given]),
    }
    kept = [each for each in entries if each is not own and each not in given]
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid_of(live)},
        {"op": "replace", "path": "/metadata/managedFields", "value": [merged, *kept]},
        # A replaced resourceVersion is a precondition: a stale one answers 409.
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": metadata_of(live).get("resourceVersion"),
        },
    ]


def _union_of(entries: Sequence[Mapping[str, Any]]) -> FieldSet:
    merged: FieldSet = {}
    for entry in entries:
        merged = union(merged, cast("FieldSet", entry.get("fieldsV1") or {}))
    return merged


def _is_apply(entry: Mapping[str, Any], manager: str) -> bool:
    return (
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _is_update(entry: Mapping[str, Any], managers: Collection[str]) -> bool:
    return (
        entry.get("manager") in managers
        and entry.get("operation") == "Update"
        and not entry.get("subresource")
    )
