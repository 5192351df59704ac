"""What the operator may do: declared per reconciler, from which the RBAC rules are generated."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from smbpctl.runtime.meta import Manifest

READ: Final = ("get", "list", "watch")
OWN: Final = (*READ, "create", "patch", "delete")
"""What server-side apply with prune needs: apply is a patch that may create."""


@final
@dataclass(frozen=True, slots=True)
class Access:
    """Verbs on resources of one API group; a subresource is written `resource/subresource`."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


CLUSTER: Final = (
    Access("smbpctl.dev", ("bigpeers",), READ),
    Access("smbpctl.dev", ("bigpeers/status",), ("patch",)),
    # Where the owner-reference admission plugin runs, blockOwnerDeletion asks for this.
    Access("smbpctl.dev", ("bigpeers/finalizers",), ("update",)),
    Access("", ("configmaps", "serviceaccounts"), ("get", "list", "watch", "create", "patch")),
    Access("", ("pods",), (*READ, "delete")),
    Access("", ("pods/eviction",), ("create",)),
    Access("", ("persistentvolumeclaims",), (*READ, "patch")),
    Access("", ("secrets",), READ),
    Access("apps", ("deployments", "statefulsets"), ("get", "list", "watch", "create", "patch")),
    Access("policy", ("poddisruptionbudgets",), OWN),
    Access("storage.k8s.io", ("storageclasses",), READ),
)

NETWORKING: Final = (
    Access("smbpctl.dev", ("bigpeers",), READ),
    Access("smbpctl.dev", ("bigpeers/status",), ("patch",)),
    Access("", ("services",), OWN),
    Access("networking.k8s.io", ("ingresses", "networkpolicies"), OWN),
    Access("networking.k8s.io", ("ingressclasses",), READ),
)

TLS: Final = (
    Access("smbpctl.dev", ("bigpeers",), READ),
    Access("smbpctl.dev", ("bigpeers/status",), ("patch",)),
    Access("", ("secrets",), READ),
    Access("cert-manager.io", ("certificates", "issuers"), OWN),
)

TRANSACTION_LOG: Final = (
    # The finalizer is written as a patch of the BigPeer's metadata.
    Access("smbpctl.dev", ("bigpeers",), (*READ, "patch")),
    Access("smbpctl.dev", ("bigpeers/status",), ("patch",)),
    Access("", ("secrets",), ("get", "list", "watch", "create", "patch")),
    Access("", ("namespaces",), ("get",)),
    Access("", ("persistentvolumeclaims",), ("list", "delete")),
    Access("kafka.strimzi.io", ("kafkanodepools", "kafkas", "kafkatopics", "kafkausers"), OWN),
)

EVERYTHING: Final = (*CLUSTER, *NETWORKING, *TLS, *TRANSACTION_LOG)
"""All of the operator's accesses; the reconcilers run in one process under one account."""

# A WebSocket is a GET, which from Kubernetes 1.35 on is checked as `create`, too.
DEVELOPER: Final = (*EVERYTHING, Access("", ("pods/portforward",), ("get", "create")))
"""What whoever runs the operator from outside the cluster may do: the operator itself may less."""

_VERB_ORDER: Final = ("get", "list", "watch", "create", "update", "patch", "delete")


def policy_rules(accesses: Iterable[Access] = EVERYTHING) -> list[Manifest]:
    """Return RBAC rules that grant exactly these accesses: merged, sorted, nothing twice."""
    granted: dict[tuple[str, str], set[str]] = {}
    for access in accesses:
        for resource in access.resources:
            granted.setdefault((access.group, resource), set()).update(access.verbs)
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), verbs in sorted(granted.items()):
        ordered = tuple(sorted(verbs, key=_VERB_ORDER.index))
        grouped.setdefault((group, ordered), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
        for (group, verbs), resources in sorted(grouped.items())
    ]
