"""What an apply needs of the client, the cache and the metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, StoredObject


class ApplyClient(Protocol):
    """The live verbs an `Applier` needs."""

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_owner: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """Send a server-side apply; raise `Conflict` with the server's causes."""
        ...

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Send a JSON patch."""
        ...

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> bool:
        """Delete under preconditions; False when the object was not there."""
        ...


class LiveReader(Protocol):
    """Reads that go to the server."""

    async def live_get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read the object from the server, managedFields included."""
        ...


class ApplyCache(LiveReader, Protocol):
    """The reads an `Applier` needs. Every kind it applies or prunes must be registered."""

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return the cached object, full or metadata only."""
        ...

    def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        """Tell whether the last write to the object went unanswered."""
        ...

    def owned_by(self, gvk: GroupVersionKind, uid: str) -> list[StoredObject]:
        """Return the cached objects of a kind that refer to the owner with this UID."""
        ...


class ApplyMetrics(Protocol):
    """Where skipped writes are counted."""

    def write_noop(self) -> None:
        """Count one apply that was not sent."""
        ...
