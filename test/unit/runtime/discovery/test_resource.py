"""Paths of resources."""

import pytest

from smbpctl.runtime.discovery import OptionalKind, Resource
from smbpctl.runtime.meta import GroupKind, GroupVersionKind

PODS = Resource(GroupVersionKind("", "v1", "Pod"), "pods", namespaced=True)
SETS = Resource(GroupVersionKind("apps", "v1", "StatefulSet"), "statefulsets", namespaced=True)
ROLES = Resource(
    GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    "clusterroles",
    namespaced=False,
)


@pytest.mark.parametrize(
    ("resource", "arguments", "expected"),
    [
        (PODS, (), "/api/v1/pods"),
        (PODS, ("ns",), "/api/v1/namespaces/ns/pods"),
        (PODS, ("ns", "a"), "/api/v1/namespaces/ns/pods/a"),
        (PODS, ("ns", "a", "eviction"), "/api/v1/namespaces/ns/pods/a/eviction"),
        (SETS, ("ns", "a"), "/apis/apps/v1/namespaces/ns/statefulsets/a"),
        (ROLES, (), "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        (
            ROLES,
            ("ignored", "system:node a"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node%20a",
        ),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str, ...], expected: str) -> None:
    """The core group has its own root; cluster-scoped kinds have no namespace."""
    assert resource.path(*arguments) == expected


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2fb"])
def test_names_that_would_change_the_path(name: str) -> None:
    """The server would refuse them as names, but here they would be another path first."""
    with pytest.raises(ValueError, match="cannot be the name"):
        PODS.path("ns", name)
    with pytest.raises(ValueError, match="cannot be the name"):
        PODS.path(name)


def test_a_namespaced_object_without_namespace() -> None:
    """It would be the path of nothing."""
    with pytest.raises(ValueError, match="Pod a needs a namespace"):
        PODS.path("", "a")


def test_optional_kinds_have_a_kind_without_version() -> None:
    """What owner references and watches compare."""
    optional = OptionalKind("cert-manager.io", "Certificate", ("v1", "v1beta1"))

    assert optional.group_kind == GroupKind("cert-manager.io", "Certificate")
