"""What the replay server says it serves, in the classic documents and in the aggregated ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from benchmarks.parcel import GROUP, KIND, PLURAL, VERSION

AGGREGATED: Final = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""What a client that knows aggregated discovery accepts."""

_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


@final
@dataclass(frozen=True, slots=True)
class _Served:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def path(self) -> str:
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}"


_PARCELS: Final = _Served(GROUP, VERSION, PLURAL, KIND)
# There are none of these, but some clients do not start without being able to look.
_OTHERS: Final = (
    _Served("", "v1", "namespaces", "Namespace", namespaced=False),
    _Served("", "v1", "events", "Event"),
    _Served(
        *("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"),
        namespaced=False,
    ),
)

EMPTY: Final = frozenset(f"{each.path}/{each.plural}" for each in _OTHERS)
"""The collections in which there is nothing."""


def classic() -> Mapping[str, Any]:
    """Return the classic documents by their path."""
    found: dict[str, Any] = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups: list[dict[str, Any]] = []
    for served in (_PARCELS, *_OTHERS):
        group_version = f"{served.group}/{served.version}".lstrip("/")
        resources = found.setdefault(
            served.path,
            {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": group_version,
                "resources": [],
            },
        )
        resources["resources"].append(_resource(served))
        if served.group:
            version = {"groupVersion": group_version, "version": served.version}
            group = {"name": served.group, "versions": [version], "preferredVersion": version}
            groups.append(group)
            found[f"/apis/{served.group}"] = {"kind": "APIGroup", "apiVersion": "v1", **group}
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return found


def aggregated() -> Mapping[str, Any]:
    """Return the aggregated documents by their path."""
    return {
        "/api": _aggregated([each for each in _OTHERS if not each.group]),
        "/apis": _aggregated([_PARCELS, *(each for each in _OTHERS if each.group)]),
    }


def _resource(served: _Served) -> dict[str, Any]:
    return {
        "name": served.plural,
        "singularName": served.kind.lower(),
        "namespaced": served.namespaced,
        "kind": served.kind,
        "verbs": _VERBS,
    }


def _aggregated(kinds: Sequence[_Served]) -> dict[str, Any]:
    by_group: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for served in kinds:
        described = {
            "resource": served.plural,
            "responseKind": {"group": served.group, "version": served.version, "kind": served.kind},
            "scope": "Namespaced" if served.namespaced else "Cluster",
            "singularResource": served.kind.lower(),
            "verbs": _VERBS,
        }
        by_group.setdefault((served.group, served.version), []).append(described)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group},
                "versions": [{"version": version, "resources": resources, "freshness": "Current"}],
            }
            for (group, version), resources in by_group.items()
        ],
    }
