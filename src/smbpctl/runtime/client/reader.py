"""The two reads that a live client and a cache have in common."""

from typing import Protocol

from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey


class Reader(Protocol):
    """Reads objects; whether live or from a cache is the choice of whoever passes one in."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return a private copy of the object, None when there is none."""
        ...

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> list[Manifest]:
        """Return private copies of all objects in a namespace, or in all of them."""
        ...
