"""Fields as paths: what an apply owns, how a value is set by path, and JSON patches."""

import copy
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from smbpctl.runtime.errors import Invalid
from smbpctl.runtime.meta import Manifest

Step: TypeAlias = str | tuple[str, str]
"""A field, or the item of a keyed list: the name of the key and its value."""
Path: TypeAlias = tuple[Step, ...]

_KEYED: Mapping[Path, str] = {
    ("metadata", "ownerReferences"): "uid",
    ("status", "conditions"): "type",
}
"""Lists whose items have owners of their own; all others are atomic here."""
_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "managedFields", "generation")


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Return what an applier of `value` owns, with the values."""
    if isinstance(value, dict) and value:
        found: dict[Path, Any] = {}
        for name, inner in value.items():
            if path != ("metadata",) or name not in _IDENTITY:
                found |= leaves(inner, (*path, name))
        return found
    if isinstance(value, list) and path in _KEYED:
        key = _KEYED[path]
        return {(*path, (key, item[key])): item for item in value}
    return {path: value} if path else {}


def fields_v1(paths: set[Path]) -> dict[str, Any]:
    """Return paths in the form of `fieldsV1`."""
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        for step in path:
            node = node.setdefault(_element(step), {})
    return root


def set_path(manifest: Manifest, path: Path, value: Any) -> None:
    """Set one leaf; an item of a keyed list keeps its place."""
    node: Any = manifest
    for step, following in zip(path, [*path[1:], None], strict=True):
        if isinstance(step, tuple):
            places = [i for i, each in enumerate(node) if each.get(step[0]) == step[1]]
            place = places[0] if places else len(node)
            node[place : place + 1] = [copy.deepcopy(value)]
        elif following is None:
            node[step] = copy.deepcopy(value)
        else:
            node = node.setdefault(step, [] if isinstance(following, tuple) else {})


def unset_path(manifest: Manifest, path: Path) -> None:
    """Take one leaf away, if it is there."""
    node: Any = manifest
    for step in path[:-1]:
        node = node.get(step, {})
    last = path[-1]
    if isinstance(last, tuple):
        node[:] = [each for each in node if each.get(last[0]) != last[1]]
    else:
        node.pop(last, None)


def merge_patch(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Execute a merge patch (RFC 7386)."""
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(into.get(name), dict):
            merge_patch(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


def json_patch(manifest: Manifest, operation: Mapping[str, Any]) -> None:
    """Execute one operation of a JSON patch (RFC 6902).

    A test that fails, or a value to replace that is not there, is Invalid without causes: that is
    how the server answers.
    """
    *way, last = (
        step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
    )
    node: Any = manifest
    for step in way:
        node = node[int(step)] if isinstance(node, list) else node.get(step, {})
    if isinstance(node, list):
        _patch_list(node, last, operation)
    else:
        _patch_map(node, last, operation)


def _patch_map(node: dict[str, Any], last: str, operation: Mapping[str, Any]) -> None:
    kind = operation["op"]
    failed = (kind == "test" and node.get(last) != operation["value"]) or (
        kind in ("remove", "replace") and last not in node
    )
    if failed:
        raise Invalid(f"{kind} {operation['path']} failed", code=422, reason="Invalid")
    if kind == "remove":
        del node[last]
    elif kind != "test":
        node[last] = copy.deepcopy(operation["value"])


def _patch_list(node: list[Any], last: str, operation: Mapping[str, Any]) -> None:
    if operation["op"] == "remove":
        del node[int(last)]
    else:
        assert (operation["op"], last) == ("add", "-")
        node.append(copy.deepcopy(operation["value"]))


def _element(step: Step) -> str:
    if isinstance(step, str):
        return f"f:{step}"
    return "k:" + json.dumps({step[0]: step[1]}, separators=(",", ":"))
