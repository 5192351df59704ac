"""What discovery tells of a kind: how it is reached over HTTP, and which versions would do."""

from dataclasses import dataclass
from typing import final
from urllib.parse import quote

from smbpctl.runtime.meta import GroupKind, GroupVersionKind


@final
@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind is reached over HTTP: its plural, its scope, its verbs."""

    gvk: GroupVersionKind
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    subresources: frozenset[str] = frozenset()

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of an object, of its subresource, or without name of the list.

        Without namespace the list is of all namespaces; the namespace of a cluster-scoped kind
        is ignored. Raises ValueError for names that no path can carry and for the name of a
        namespaced object without its namespace.
        """
        gvk = self.gvk
        root = f"/apis/{gvk.group}/{gvk.version}" if gvk.group else f"/api/{gvk.version}"
        if self.namespaced and namespace:
            path = f"{root}/namespaces/{_segment(namespace)}/{self.plural}"
        elif self.namespaced and name:
            raise ValueError(f"{gvk.kind} {name} needs a namespace")
        else:
            path = f"{root}/{self.plural}"
        if name:
            path = f"{path}/{_segment(name)}"
        return f"{path}/{subresource}" if subresource else path


def _segment(name: str) -> str:
    # The server refuses such names too; but only after the path has meant something else.
    if name in {".", ".."} or "/" in name or "%" in name:
        raise ValueError(f"{name!r} cannot be the name of an object")
    return quote(name, safe=":@!$&'()*+,;=")


@final
@dataclass(frozen=True, slots=True)
class OptionalKind:
    """A kind that a cluster may lack, with the versions we can work with, best first."""

    group: str
    kind: str
    versions: tuple[str, ...]

    @property
    def group_kind(self) -> GroupKind:
        """Return the kind without a version."""
        return GroupKind(self.group, self.kind)
