"""The operator's own identity: its ServiceAccount and the rights that the reconcilers declare."""

from collections.abc import Sequence
from typing import Final

from smbpctl.runtime.meta import Manifest

NAME: Final = "smbpctl-manager"
NAMESPACE: Final = "smbpctl-system"

_LABELS: Final = {"app.kubernetes.io/name": "smbpctl", "app.kubernetes.io/part-of": "smbpctl"}


def operator_permissions(rules: Sequence[Manifest], namespace: str = NAMESPACE) -> list[Manifest]:
    """Return namespace, account, role and binding by which the operator may do what `rules` say."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": dict(_LABELS)},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace, "labels": dict(_LABELS)},
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
    ]
