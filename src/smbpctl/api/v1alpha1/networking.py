"""`spec.exposure` and `spec.networkPolicy`: how a Big Peer is reached, and by whom."""

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

from smbpctl.api.v1alpha1.fields import (
    Flag,
    LabelMap,
    LabelName,
    ObjectName,
    SecretReference,
    StringMap,
)
from smbpctl.api.v1alpha1.model import Model

HOST_PATTERN = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

Host: TypeAlias = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=253)]
"""A DNS name; the first label may be `*`."""


class ExposureType(StrEnum):
    """By which kind of object a component is exposed."""

    INGRESS = "Ingress"


class ExposureComponent(StrEnum):
    """What an exposure leads to."""

    ALL = "All"
    SUBSCRIPTIONS = "Subscriptions"
    API = "Api"
    AUTH = "Auth"


class ExposureTlsMode(StrEnum):
    """What an exposure does with TLS."""

    TERMINATE = "Terminate"
    NONE = "None"


class PathType(StrEnum):
    """How an Ingress matches paths."""

    PREFIX = "Prefix"
    IMPLEMENTATION_SPECIFIC = "ImplementationSpecific"


class ExposureTlsSpec(Model):
    """What an exposure does with TLS."""

    mode: ExposureTlsMode = ExposureTlsMode.TERMINATE
    """Terminate TLS at the exposure, or None: plaintext up to the exposure."""

    secret_ref: SecretReference | None = None
    """Secret of type kubernetes.io/tls to serve with mode Terminate; absent means the serving
    certificate of `spec.tls`, or the controller's own default certificate where there is none."""


class IngressSpec(Model):
    """Settings of an exposure of type Ingress."""

    class_name: ObjectName
    """IngressClass that serves it."""

    path_type: PathType = PathType.PREFIX
    """How paths are matched."""


class ExposureSpec(Model):
    """One way in; a union: the member that `type` names is present."""

    name: LabelName
    """Name of the exposure, unique in the list; part of the names of its objects."""

    type: ExposureType
    """By which kind of object: Ingress (`ingress`)."""

    component: ExposureComponent = ExposureComponent.ALL
    """What the exposure leads to. All routes by path: `/_ditto/auth` to auth, `/_ditto` to
    subscriptions, everything else to api."""

    hosts: Annotated[
        tuple[Host, ...],
        Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """DNS names it answers to; each only once per ingress class."""

    tls: ExposureTlsSpec = ExposureTlsSpec()
    """What it does with TLS."""

    annotations: StringMap = Field(default_factory=dict[str, str])
    """Annotations of the exposing object; they win over those the operator sets."""

    labels: LabelMap = Field(default_factory=dict[str, str])
    """Labels of the exposing object, beside those the operator sets."""

    ingress: IngressSpec | None = None
    """Settings of the Ingress; present if and only if the type is Ingress."""


class PeerSelector(Model):
    """Selects objects by labels; without any labels it selects all of them."""

    match_labels: LabelMap = Field(default_factory=dict[str, str])
    """Labels an object must carry."""


class NetworkClient(Model):
    """Pods that may connect: those that satisfy every selector that is present."""

    namespace_selector: PeerSelector | None = None
    """Namespaces of the clients; absent means the BigPeer's own."""

    pod_selector: PeerSelector | None = None
    """Pods of the clients; absent means all pods of the namespaces."""


class NetworkPolicySpec(Model):
    """Who may connect to the components inside the cluster."""

    enabled: Flag = True
    """Whether NetworkPolicies are written: everything denied but the flows that are needed."""

    clients: Annotated[
        tuple[NetworkClient, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Clients of api, subscriptions and auth inside the cluster, ingress controllers included. An
    empty list admits everybody."""
