"""Digests of what Secrets and ConfigMaps contain, so that their contents need not be cached."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast, final

from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    StoredObject,
    metadata_of,
    uid_of,
)
from smbpctl.runtime.store import older

SECRET = GroupVersionKind("", "v1", "Secret")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")

LiveRead: TypeAlias = Callable[[GroupVersionKind, ObjectKey], Awaitable[Manifest | None]]

# An operator looks at few of them; the bound only keeps a mistake from growing for ever.
_MOST_REMEMBERED = 4096


@final
class Digests:
    """Reads an object live once per version and remembers one SHA-256 per key, never a value."""

    __slots__ = ("_read", "_remembered")

    def __init__(self, read: LiveRead) -> None:
        self._read = read
        self._remembered: dict[
            tuple[GroupVersionKind, ObjectKey], tuple[str, str, Mapping[str, str]]
        ] = {}

    async def of(self, cached: StoredObject) -> Mapping[str, str] | None:
        """Return hex digests by data key of an object, whose cached state tells when to look.

        None when it turns out to be gone. Errors of the live read pass through.
        """
        position = (cached.gvk, cached.key)
        uid, version, digests = self._remembered.get(position, ("", "", {}))
        # What was read live may be ahead of the cache; it is out of date only when behind.
        if uid and uid == cached.meta.uid and not older(version, cached.meta.resource_version):
            return dict(digests)
        live = await self._read(cached.gvk, cached.key)
        self._remembered.pop(position, None)
        if live is None:
            return None
        digests = content_digests(cached.gvk, live)
        if len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        version = str(metadata_of(live).get("resourceVersion") or "")
        self._remembered[position] = (uid_of(live), version, digests)
        return dict(digests)


def content_digests(gvk: GroupVersionKind, manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the SHA-256 in hex of each entry of a Secret or ConfigMap, base64 undone.

    Raise ValueError for other kinds, and for data that is not base64 where it must be.
    """
    if gvk not in (SECRET, CONFIG_MAP):
        raise ValueError(f"digests are for Secrets and ConfigMaps, not for {gvk}")
    binary = _entries(manifest, "data" if gvk == SECRET else "binaryData")
    contents = {name: base64.b64decode(value, validate=True) for name, value in binary.items()}
    if gvk == CONFIG_MAP:
        contents |= {name: value.encode() for name, value in _entries(manifest, "data").items()}
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)}


def _entries(manifest: Mapping[str, Any], field: str) -> Mapping[str, str]:
    return cast("Mapping[str, str]", manifest.get(field) or {})
