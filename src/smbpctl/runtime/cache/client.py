"""What a cache needs of a client."""

from typing import Protocol, TypeAlias

from smbpctl.runtime.informer import ListWatchClient
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey

Manifests: TypeAlias = list[Manifest]


class CacheClient(ListWatchClient, Protocol):
    """The calls a cache makes: those of its informers, and the live reads."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read one object from the server; None when it is absent."""
        ...

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> Manifests:
        """Read all objects from the server."""
        ...
