"""The discovery documents of the API server, aggregated and classic, and how they are read."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from smbpctl.runtime.discovery.resource import Resource
from smbpctl.runtime.meta import GroupVersionKind

GroupVersionKey: TypeAlias = tuple[str, str]
"""Group and version."""

Table: TypeAlias = dict[GroupVersionKey, dict[str, Resource]]
"""Resources by group and version, then by kind."""


class _ResponseKind(msgspec.Struct):
    kind: str = ""


class _Subresource(msgspec.Struct):
    subresource: str


class _Described(msgspec.Struct, rename="camel"):
    """One resource of an aggregated document."""

    resource: str
    scope: str = ""
    response_kind: _ResponseKind | None = None
    verbs: list[str] = []
    subresources: list[_Subresource] = []


class _DescribedVersion(msgspec.Struct):
    version: str
    resources: list[_Described] = []
    freshness: str = "Current"


class _Name(msgspec.Struct):
    name: str = ""


class _DescribedGroup(msgspec.Struct):
    metadata: _Name = msgspec.field(default_factory=_Name)
    versions: list[_DescribedVersion] = []


class Aggregated(msgspec.Struct):
    """`APIGroupDiscoveryList`: everything below one root in one answer."""

    items: list[_DescribedGroup] = []


class _GroupVersion(msgspec.Struct, rename="camel"):
    group_version: str


class _Group(msgspec.Struct):
    versions: list[_GroupVersion] = []


class Classic(msgspec.Struct):
    """`APIVersions` of the core group, or `APIGroupList`."""

    versions: list[str] = []
    groups: list[_Group] = []


class _Listed(msgspec.Struct):
    """One resource of a classic `APIResourceList`; subresources stand beside it as `a/b`."""

    name: str
    kind: str
    namespaced: bool = False
    verbs: list[str] = []


class ResourceList(msgspec.Struct):
    """`APIResourceList`: the classic document of one group and version."""

    resources: list[_Listed] = []


def read_aggregated(document: Aggregated) -> tuple[Table, frozenset[GroupVersionKey]]:
    """Return the resources, and the group versions whose own API server does not answer."""
    table: Table = {}
    silent: set[GroupVersionKey] = set()
    for group in document.items:
        for version in group.versions:
            key = (group.metadata.name, version.version)
            table[key] = _by_kind(_described(*key, each) for each in version.resources)
            if version.freshness == "Stale":
                silent.add(key)
    return table, frozenset(silent)


def _described(group: str, version: str, described: _Described) -> Resource:
    kind = described.response_kind.kind if described.response_kind else ""
    return Resource(
        gvk=GroupVersionKind(group, version, kind),
        plural=described.resource,
        namespaced=described.scope == "Namespaced",
        verbs=frozenset(described.verbs),
        subresources=frozenset(each.subresource for each in described.subresources),
    )


def read_classic(group: str, version: str, listed: ResourceList) -> dict[str, Resource]:
    """Return the resources of one group version by kind."""
    subresources: dict[str, set[str]] = {}
    for each in listed.resources:
        plural, slash, subresource = each.name.partition("/")
        if slash:
            subresources.setdefault(plural, set()).add(subresource)
    return _by_kind(
        Resource(
            gvk=GroupVersionKind(group, version, each.kind),
            plural=each.name,
            namespaced=each.namespaced,
            verbs=frozenset(each.verbs),
            subresources=frozenset(subresources.get(each.name, ())),
        )
        for each in listed.resources
        if "/" not in each.name
    )


def _by_kind(resources: Iterable[Resource]) -> dict[str, Resource]:
    table: dict[str, Resource] = {}
    for resource in resources:
        # Where two resources share a kind, the first is the one the server prefers.
        table.setdefault(resource.gvk.kind, resource)
    return table
