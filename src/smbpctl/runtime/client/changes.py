"""What differs between two states of an object, field by field, without secret values."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias, cast, final

from smbpctl.runtime.meta import GroupKind, Manifest, gvk_of, metadata_of

Path: TypeAlias = tuple[str, ...]
"""Segments as they are written: `.spec`, `["a.b/c"]`, `[name=main]`."""


class Absent(Enum):
    """The value of a field that is not there, which null is not."""

    ABSENT = "absent"

    def __str__(self) -> str:
        return self.value


ABSENT: Final = Absent.ABSENT

REDACTED = "<redacted>"
"""What stands for a secret value."""

SECRET = GroupKind("", "Secret")

_OF_THE_SERVER = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
)
_MERGE_KEYS = ("name", "type", "key", "uid", "containerPort", "port")
_LAST_APPLIED = (
    ".metadata",
    ".annotations",
    '["kubectl.kubernetes.io/last-applied-configuration"]',
)
_SHOWN = 200


@final
@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: `.spec.template.spec.containers[name=main].image`."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the fields that differ, sorted by path; None stands for an object that is not there.

    Fields that the server keeps for itself (version, generation, managedFields) are left out.
    Lists of which every item has a name, type or the like are compared item by item, others as a
    whole. Of Secrets only what changes is told, never a value.
    """
    secret = gvk_of(after).group_kind == SECRET
    found: list[Change] = []
    for path, old, new in _differences((), _compared(before or {}), _compared(after)):
        hidden = secret and _holds_secrets(path)
        values = (_redacted(old), _redacted(new)) if hidden else (old, new)
        found.append(Change("".join(path), *values))
    return tuple(sorted(found, key=lambda change: change.path))


def _compared(manifest: Mapping[str, Any]) -> Manifest:
    metadata = metadata_of(manifest)
    kept = {name: value for name, value in metadata.items() if name not in _OF_THE_SERVER}
    return {**manifest, "metadata": kept}


def _differences(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    if old == new:
        return
    before, after = _fields(old), _fields(new)
    if before is not None and after is not None and (before or after):
        yield from _of_fields(path, before, after)
        return
    items = _items(old, new)
    if items is None:
        yield path, old, new
        return
    within = list(_of_fields(path, *items))
    # The same items in another order differ as a whole.
    yield from within or [(path, old, new)]


def _of_fields(
    path: Path, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[Path, Any, Any]]:
    for segment in old.keys() | new.keys():
        yield from _differences(
            (*path, segment), old.get(segment, ABSENT), new.get(segment, ABSENT)
        )


def _fields(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a mapping by path segment; an absent one has none."""
    if value is ABSENT:
        return {}
    if not isinstance(value, Mapping):
        return None
    return {_segment(name): each for name, each in cast("Mapping[str, Any]", value).items()}


def _items(old: Any, new: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the items of two lists by what names them in both, None when nothing does."""
    before, after = _listed(old), _listed(new)
    if before is None or after is None or not (before or after):
        return None
    named = ((_by_key(before, key), _by_key(after, key)) for key in _MERGE_KEYS)
    return next(((a, b) for a, b in named if a is not None and b is not None), None)


def _listed(value: Any) -> list[object] | None:
    if value is ABSENT:
        return []
    return cast("list[object]", value) if isinstance(value, list) else None


def _by_key(items: list[object], key: str) -> Mapping[str, Any] | None:
    named: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or key not in item:
            return None
        named[f"[{key}={item[key]}]"] = cast("Any", item)
    return named if len(named) == len(items) else None


def _segment(name: str) -> str:
    return f".{name}" if name.replace("-", "_").isidentifier() else f"[{json.dumps(name)}]"


def _holds_secrets(path: Path) -> bool:
    # kubectl leaves a copy of the whole Secret in an annotation.
    return path[0] in {".data", ".stringData"} or path[:3] == _LAST_APPLIED


def _redacted(value: Any) -> Any:
    return ABSENT if value is ABSENT else REDACTED


def _shown(value: Any) -> str:
    if value is ABSENT or value == REDACTED:
        return str(value)
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
