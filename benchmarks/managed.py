"""The managedFields of a parcel, as a server writes them for its two field managers."""

from collections.abc import Mapping
from typing import Any, Final, cast

from benchmarks.parcel import API_VERSION, MOMENT, parcel, status

AUTHOR: Final = "benchmark-author"
"""Who creates parcels."""

CONTROLLER: Final = "benchmark-controller"
"""Who applies their status."""

_KEYS: Final[Mapping[str, str]] = {"ports": "name", "conditions": "type"}
"""The lists that are maps, and what names their entries."""


def managed_fields(number: int) -> list[dict[str, Any]]:
    """Return the entries of the parcel of this number: one that created, one that applied."""
    written, applied = parcel(number), status(number)
    metadata = {name: written["metadata"][name] for name in ("annotations", "labels")}
    return [
        {
            **_entry(CONTROLLER, "Apply"),
            "fieldsV1": {"f:status": _fields(applied["status"], whole=False)},
            "subresource": "status",
        },
        {
            **_entry(AUTHOR, "Update"),
            "fieldsV1": {
                "f:metadata": _members(metadata, whole=True),
                "f:spec": _fields(written["spec"], whole=True),
            },
        },
    ]


def _entry(manager: str, operation: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "fieldsType": "FieldsV1",
        "manager": manager,
        "operation": operation,
        "time": MOMENT,
    }


def _fields(value: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return the fields of a map; whoever updates owns the map itself too, written as a dot."""
    return {**({".": {}} if whole else {}), **_members(value, whole=whole)}


def _members(value: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, member in value.items():
        if isinstance(member, dict):
            made[f"f:{name}"] = _fields(cast("dict[str, Any]", member), whole=whole)
        elif isinstance(member, list):
            entries = _entries(cast("list[dict[str, Any]]", member), _KEYS[name])
            made[f"f:{name}"] = {**({".": {}} if whole else {}), **entries}
        else:
            made[f"f:{name}"] = {}
    return made


def _entries(values: list[dict[str, Any]], key: str) -> dict[str, Any]:
    # Entries of a list are owned as such, whoever wrote them.
    return {f'k:{{"{key}":"{each[key]}"}}': _fields(each, whole=True) for each in values}
