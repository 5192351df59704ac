"""Ingress: one object per exposure, routing by path to the components it opens."""

from smbpctl.api.v1alpha1 import BigPeer, ExposureComponent, ExposureSpec, IngressSpec
from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest

# Longest prefix first, all in one object: precedence must not depend on the order of creation.
_ALL = (
    (contract.PREFIX_AUTH, Component.AUTH),
    (contract.PREFIX_SUBSCRIPTION, Component.SUBSCRIPTION),
    ("/", Component.API),
)
_SINGLE = {
    ExposureComponent.SUBSCRIPTIONS: Component.SUBSCRIPTION,
    ExposureComponent.API: Component.API,
    ExposureComponent.AUTH: Component.AUTH,
}


def ingress(peer: BigPeer, exposure: ExposureSpec) -> Manifest | None:
    """Return the Ingress of an exposure; None where the exposure is of another type.

    The user's annotations and labels are added as they are: they steer the ingress controller,
    and none is prescribed.
    """
    if exposure.ingress is None:
        return None
    metadata = naming.metadata(peer, naming.exposure_name(peer, exposure))
    metadata["labels"] = {**exposure.labels, **metadata["labels"]}
    if exposure.annotations:
        metadata["annotations"] = dict(exposure.annotations)
    spec: Manifest = {
        "ingressClassName": exposure.ingress.class_name,
        "rules": [
            {"host": host, "http": {"paths": _paths(peer, exposure, exposure.ingress)}}
            for host in exposure.hosts
        ],
    }
    secret = naming.serving_secret(peer, exposure)
    if secret is not None:
        spec["tls"] = [{"hosts": list(exposure.hosts), "secretName": secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": spec,
    }


def _paths(peer: BigPeer, exposure: ExposureSpec, options: IngressSpec) -> list[Manifest]:
    single = _SINGLE.get(exposure.component)
    routes = _ALL if single is None else (("/", single),)
    return [
        {
            "path": path,
            "pathType": options.path_type.value,
            "backend": {
                "service": {"name": naming.name_of(peer, component), "port": {"name": "http"}}
            },
        }
        for path, component in routes
    ]
