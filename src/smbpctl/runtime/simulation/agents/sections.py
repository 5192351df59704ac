"""Typed access to the parts of a manifest that may be absent."""

from collections.abc import Mapping
from typing import Any, cast


def section(manifest: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the mapping at a path, empty when anything on the way is absent or no mapping."""
    for step in path:
        manifest = _mapping(manifest.get(step))
    return manifest


def entries(manifest: Mapping[str, Any], *path: str) -> list[Mapping[str, Any]]:
    """Return the mappings in the list at a path, none when it is absent or no list."""
    value = section(manifest, *path[:-1]).get(path[-1])
    if not isinstance(value, list):
        return []
    items = cast("list[object]", value)
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, Mapping)]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
