"""Lays a desired object on `fieldsV1`, the server's record of the fields a manager owns."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, cast, final

import msgspec

from smbpctl.runtime.meta import metadata_of

FieldSet: TypeAlias = dict[str, "FieldSet"]
"""Decoded `fieldsV1`: `f:name` is a field, `k:{…}` a list item by its keys, `v:…` a set item.

`.` says that the element itself is owned beside its children; a node without children is a leaf.
"""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""Any JSON value."""

_SELF = "."
_FIELD = "f:"
_KEYS = "k:"
_VALUE = "v:"


class Side(Enum):
    """In which way a path of the desired object and the record of the server disagree."""

    MISSING = "missing"
    """Desired, but not owned: never applied, or changed or removed by somebody else."""
    SURPLUS = "surplus"
    """Owned, but not desired any more: the next apply removes it."""
    CHANGED = "changed"
    """Desired and owned, with another value."""


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """One path that disagrees; `path` is written like the field of a server's conflict."""

    side: Side
    path: str

    def __str__(self) -> str:
        return f"{self.path} {self.side.value}"


@final
@dataclass(frozen=True, slots=True)
class _Entry:
    """One `k:` element: the keys that identify the list item, and what is owned of it."""

    element: str
    keys: dict[str, Json]
    node: FieldSet


def parse_field_set(raw: bytes) -> FieldSet | None:
    """Decode `fieldsV1`; None when it is no JSON object, as if nothing were owned."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def field_set_of(
    manifest: Mapping[str, Any], manager: str, *, subresource: str = ""
) -> FieldSet | None:
    """Return what `manager` owns by `Apply` in an object read live, None when it owns nothing."""
    for entry in managed_fields_of(manifest):
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and (entry.get("subresource") or "") == subresource
        ):
            return cast("FieldSet | None", entry.get("fieldsV1"))
    return None


def managed_fields_of(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of `metadata.managedFields`, empty when there are none."""
    return cast("list[Mapping[str, Any]]", metadata_of(manifest).get("managedFields") or [])


def differences(desired: Mapping[str, Json], fields: FieldSet) -> Iterator[Difference]:
    """Yield where the leaves of `desired` and the owned `fields` differ, in either direction.

    Values are not compared: the server may normalise them as it likes. Which lists are keyed is
    learnt from `fields`; a leaf there ends the walk, because it is a scalar or atomic. Two things
    cannot be told from the record alone. An empty keyed list leaves no trace in it, so neither
    does the loss of an atomic one: see `filled_lists`. And a value of a free-form map
    (`additionalProperties`, preserved unknown fields) that is a mapping and lost *all* its leaves
    looks like an atomic one: see `convergence`, which remembers what was owned when it settled.

    Source: Kubernetes "Server-Side Apply", and KEP-555.
    """
    return _map_differences(desired, fields, "")


def filled_lists(
    desired: Json, live: Json, node: FieldSet | None, path: str = ""
) -> Iterator[Difference]:
    """Yield where an empty list is desired and not owned, and somebody has put something in it.

    It may have been taken from us, if it is atomic, or hold what is none of our business, if it
    is keyed. This needs `live` with its values; a part that is absent there yields nothing.
    """
    if desired == [] and node is None:
        if isinstance(live, list) and live:
            yield Difference(Side.MISSING, path)
    elif isinstance(desired, dict):
        theirs = _as_map(live)
        for name, value in desired.items():
            child = (node or {}).get(_FIELD + name)
            yield from filled_lists(value, theirs.get(name), child, f"{path}.{name}")
    elif isinstance(desired, list):
        for item, entry in _paired(desired, node or {}):
            if entry is not None:
                counterpart = _counterpart(live, entry)
                yield from filled_lists(item, counterpart, entry.node, path + _shown(entry.element))


def changed_values(desired: Json, live: Json, node: FieldSet, path: str) -> Iterator[Difference]:
    """Yield the owned paths where `live` has another value than `desired`.

    To be asked only where `differences` found none. Values are compared exactly, so this is for
    kinds whose values the server keeps as they are.
    """
    if _is_leaf(node) or not isinstance(desired, (dict, list)):
        # An empty map that is not atomic may hold what others own.
        if desired != {} and not _same(desired, live):
            yield Difference(Side.CHANGED, path)
    elif isinstance(desired, dict):
        theirs = _as_map(live)
        for name, value in desired.items():
            child = node.get(_FIELD + name)
            if child is not None:
                yield from changed_values(value, theirs.get(name), child, f"{path}.{name}")
    else:
        yield from _changed_items(desired, live, node, path)


def owned_values(live: Json, node: FieldSet) -> Json:
    """Return a copy of the part of `live` that `node` owns; items of keyed lists keep their order.

    Paths that are owned but absent from `live` are left out.
    """
    if _is_leaf(node):
        return copy.deepcopy(live)
    if isinstance(live, dict):
        return {
            name: owned_values(live[name], child)
            for name, child in ((key.removeprefix(_FIELD), child) for key, child in node.items())
            if name in live
        }
    if isinstance(live, list):
        return _owned_items(live, node)
    return live


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return the field set that owns what either owns."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        left, right = one[key], other[key]
        merged[key] = union(left, right)
        if bool(left) != bool(right):
            # A childless node owns its element; beside children that has to be said.
            merged[key][_SELF] = {}
    return merged


def _map_differences(
    desired: Mapping[str, Json], node: FieldSet, path: str
) -> Iterator[Difference]:
    for name, value in desired.items():
        child = node.get(_FIELD + name)
        if child is None:
            yield from _uncovered(value, f"{path}.{name}")
        else:
            yield from _value_differences(value, child, f"{path}.{name}")
    for key in node:
        if key != _SELF and not (key.startswith(_FIELD) and key[2:] in desired):
            yield Difference(Side.SURPLUS, path + _shown(key))


def _value_differences(value: Json, node: FieldSet, path: str) -> Iterator[Difference]:
    if _is_leaf(node):
        return
    if isinstance(value, dict):
        yield from _map_differences(value, node, path)
    elif isinstance(value, list):
        yield from _list_differences(value, node, path)
    else:
        yield from _map_differences({}, node, path)
        if _SELF not in node:
            yield Difference(Side.MISSING, path)


def _uncovered(value: Json, path: str) -> Iterator[Difference]:
    """Yield the leaves of a value of which nothing is owned; empty lists may be in order."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _uncovered(inner, f"{path}.{name}")
    elif value != []:
        yield Difference(Side.MISSING, path)


def _list_differences(items: list[Json], node: FieldSet, path: str) -> Iterator[Difference]:
    if any(key.startswith(_VALUE) for key in node):
        wanted = {_VALUE + _canonical(item) for item in items}
        owned = {_VALUE + _canonical(json.loads(key[2:])) for key in node if key != _SELF}
        yield from (Difference(Side.MISSING, path + _shown(key)) for key in sorted(wanted - owned))
        yield from (Difference(Side.SURPLUS, path + _shown(key)) for key in sorted(owned - wanted))
        return
    unclaimed = {entry.element for entry in _entries(node)}
    for index, (item, entry) in enumerate(_paired(items, node)):
        if entry is None:
            yield Difference(Side.MISSING, f"{path}[{index}]")
            continue
        unclaimed.discard(entry.element)
        yield from _item_differences(item, entry, path + _shown(entry.element))
    yield from (Difference(Side.SURPLUS, path + _shown(key)) for key in sorted(unclaimed))


def _item_differences(item: Json, entry: _Entry, path: str) -> Iterator[Difference]:
    # Keys written out stay owned as long as the item exists, so a childless entry is an atomic
    # item (an owner reference), unless all keys were defaulted: then its leaves were taken.
    if _is_leaf(entry.node) and not entry.keys.keys() & _as_map(item).keys():
        yield from _uncovered(item, path)
    else:
        yield from _value_differences(item, entry.node, path)


def _entries(node: FieldSet) -> list[_Entry]:
    return [
        _Entry(element, json.loads(element[2:]), child)
        for element, child in node.items()
        if element.startswith(_KEYS)
    ]


def _paired(items: Iterable[Json], node: FieldSet) -> Iterator[tuple[Json, _Entry | None]]:
    """Pair each list item with its entry.

    A key that the item leaves out was filled in by the server and is not owned below the entry.
    So an entry is found by those of its keys that *are* owned, which no two items can share.
    """
    entries = _entries(node)
    names = sorted({name for entry in entries for name in entry.keys})
    found: dict[str, _Entry] = {}
    for entry in entries:
        atomic = _is_leaf(entry.node)
        written = {n: v for n, v in entry.keys.items() if atomic or _FIELD + n in entry.node}
        found[_canonical(written)] = entry
        if atomic:
            # Or an item that wrote no key and owns nothing else.
            found.setdefault(_canonical({}), entry)
    for item in items:
        values = _as_map(item)
        yield item, found.get(_canonical({name: values[name] for name in names if name in values}))


def _changed_items(
    items: list[Json], live: Json, node: FieldSet, path: str
) -> Iterator[Difference]:
    if not any(key.startswith(_KEYS) for key in node):
        present = {_canonical(item) for item in _as_list(live)}
        missing = (item for item in items if _canonical(item) not in present)
        yield from (Difference(Side.CHANGED, f"{path}[{_canonical(item)}]") for item in missing)
        return
    for item, entry in _paired(items, node):
        if entry is not None:
            counterpart = _counterpart(live, entry)
            yield from changed_values(item, counterpart, entry.node, path + _shown(entry.element))


def _owned_items(items: list[Json], node: FieldSet) -> list[Json]:
    values = {_canonical(json.loads(key[2:])) for key in node if key.startswith(_VALUE)}
    owned: list[Json] = [item for item in items if _canonical(item) in values] if values else []
    for item in items:
        entry = next((entry for entry in _entries(node) if _identified(item, entry)), None)
        if entry is not None:
            owned.append(owned_values(item, entry.node))
    return owned


def _counterpart(live: Json, entry: _Entry) -> Json:
    return next((item for item in _as_list(live) if _identified(item, entry)), None)


def _identified(item: Json, entry: _Entry) -> bool:
    values = _as_map(item)
    return all(_same(values.get(name), value) for name, value in entry.keys.items())


def _is_leaf(node: FieldSet) -> bool:
    return not node or (len(node) == 1 and _SELF in node)


def _as_map(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _same(one: Json, other: Json) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        # In Python, True equals 1; in JSON it does not.
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _shown(element: str) -> str:
    if element.startswith(_FIELD):
        return f".{element[2:]}"
    if element.startswith(_KEYS):
        keys: dict[str, Json] = json.loads(element[2:])
        return "[" + ",".join(f"{name}={_canonical(value)}" for name, value in keys.items()) + "]"
    return f"[{element[2:]}]"
