"""The operator's own identity: its account, the rights the reconcilers declare, and its Lease."""

from collections.abc import Sequence
from typing import Final

from smbpctl.runtime.meta import Manifest

NAME: Final = "smbpctl-manager"
DEVELOPER: Final = "smbpctl-developer"
NAMESPACE: Final = "smbpctl-system"
LEASE: Final = "manager.smbpctl.dev"
"""The Lease by which one operator of several is elected, in the namespace they run in."""

_LABELS: Final = {"app.kubernetes.io/name": "smbpctl", "app.kubernetes.io/part-of": "smbpctl"}

_POD_SECURITY: Final = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}


def operator_permissions(rules: Sequence[Manifest], namespace: str = NAMESPACE) -> list[Manifest]:
    """Return namespace, account, role and binding by which the operator may do what `rules` say.

    The namespace takes only pods that pass the `restricted` Pod Security profile. Nobody gets the
    account's token unasked: the manager's pod mounts it by its own word. The last two objects are
    a role and its binding for the one Lease of leader election, in that namespace alone.
    """
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {**_LABELS, **_POD_SECURITY}},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace, "labels": dict(_LABELS)},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAME, "labels": dict(_LABELS)},
            "rules": list(rules),
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME, "labels": dict(_LABELS)},
            "roleRef": role,
            "subjects": [subject],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": NAME, "namespace": namespace, "labels": dict(_LABELS)},
            "rules": _lease_rules(),
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": NAME, "namespace": namespace, "labels": dict(_LABELS)},
            "roleRef": {**role, "kind": "Role"},
            "subjects": [subject],
        },
    ]


def _lease_rules() -> list[Manifest]:
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    return [
        # A name cannot be asked for before there is an object of that name.
        {**lease, "verbs": ["create"]},
        {**lease, "resourceNames": [LEASE], "verbs": ["get", "watch", "update"]},
    ]


def developer_role(rules: Sequence[Manifest]) -> Manifest:
    """Return the role of people who run the operator from outside; an admin binds it to them."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": DEVELOPER, "labels": dict(_LABELS)},
        "rules": list(rules),
    }
