"""The kind BigPeer: its spec, and how a manifest becomes a model."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator

from smbpctl.api.v1alpha1.errors import FieldError, InvalidSpec
from smbpctl.api.v1alpha1.model import Model
from smbpctl.api.v1alpha1.networking import ExposureSpec, NetworkPolicySpec
from smbpctl.api.v1alpha1.status import BigPeerStatus
from smbpctl.api.v1alpha1.store import FrontEndSpec, ImageSpec, StoreSpec, UpdateSpec
from smbpctl.api.v1alpha1.tls import TlsSpec
from smbpctl.api.v1alpha1.transaction_log import TransactionLogSpec
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, is_deleting, metadata_of, uid_of

BIG_PEER = GroupVersionKind("smbpctl.dev", "v1alpha1", "BigPeer")
"""The kind as it is read and written."""

PLURAL = "bigpeers"
MAX_NAME_LENGTH = 30

# Every release line fits an image tag: build metadata (`+…`) is no legal character of one.
VERSION_PATTERN = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-[0-9A-Za-z]([-0-9A-Za-z.]*[0-9A-Za-z])?)?$"
)


class DeletionPolicy(StrEnum):
    """What becomes of the data when a BigPeer is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class BigPeerSpec(Model):
    """The wanted Big Peer."""

    version: Annotated[str, StringConstraints(pattern=VERSION_PATTERN, max_length=64)]
    """Big Peer release (semantic version); the tag of all images. It must be in the operator's
    compatibility matrix, otherwise nothing is rolled and VersionSupported is False."""

    image: ImageSpec = ImageSpec()
    """Where images come from."""

    store: StoreSpec
    """The document store."""

    api: FrontEndSpec = FrontEndSpec()
    """The HTTP API servers."""

    subscriptions: FrontEndSpec = FrontEndSpec()
    """The servers that devices synchronise with; `kubectl scale` addresses their replicas."""

    auth: FrontEndSpec = FrontEndSpec()
    """The servers that authenticate devices."""

    transaction_log: TransactionLogSpec
    """The log all writes pass through."""

    tls: TlsSpec = TlsSpec()
    """Who issues the certificates."""

    exposure: Annotated[
        tuple[ExposureSpec, ...],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = ()
    """Ways in from outside the cluster; without any there are cluster-internal Services only."""

    network_policy: NetworkPolicySpec = NetworkPolicySpec()
    """Who may connect inside the cluster."""

    update: UpdateSpec = UpdateSpec()
    """How pods are replaced."""

    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """What becomes of the data of store and log when the BigPeer is deleted: Retain or Delete.
    Both together: one without the other is corrupt."""


class BigPeer(Model):
    """A Self-Managed Big Peer: a store behind a transaction log, with its front-ends."""

    api_version: Literal["smbpctl.dev/v1alpha1"] = "smbpctl.dev/v1alpha1"
    """Version of the schema."""

    kind: Literal["BigPeer"] = "BigPeer"
    """Kind of the object."""

    metadata: Mapping[str, Any]
    """Standard object metadata."""

    spec: BigPeerSpec
    """The wanted Big Peer."""

    status: BigPeerStatus = BigPeerStatus()
    """What the operator observed."""

    @field_validator("metadata")
    @classmethod
    def _named(cls, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(metadata.get("name"), str) or not metadata["name"]:
            raise ValueError("name is required")
        return metadata

    @classmethod
    def parse(cls, manifest: Mapping[str, Any], *, strict: bool = False) -> Self:
        """Read a manifest.

        Fields this version does not know are dropped, since a newer schema may be installed; with
        `strict` they are errors, as for a manifest that a person wrote. Values the schema refuses
        raise `InvalidSpec`, which names the object and every offending field. Rules that compare
        fields are not checked here; see `validation.validate`.
        """
        try:
            return cls.model_validate(
                dict(manifest), extra="forbid" if strict else "ignore", by_alias=True, by_name=False
            )
        except ValidationError as error:
            metadata = metadata_of(manifest)
            key = ObjectKey(
                str(metadata.get("namespace") or ""), str(metadata.get("name") or "<unnamed>")
            )
            raise InvalidSpec(key, _field_errors(error)) from error

    @property
    def key(self) -> ObjectKey:
        """Return namespace and name."""
        return ObjectKey(self.namespace, self.name)

    @property
    def name(self) -> str:
        """Return `metadata.name`."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """Return `metadata.namespace`; empty when the manifest names none."""
        return str(self.metadata.get("namespace") or "")

    @property
    def uid(self) -> str:
        """Return `metadata.uid`; empty when the object never reached a server."""
        return uid_of({"metadata": self.metadata})

    @property
    def generation(self) -> int:
        """Return `metadata.generation`; 0 when the object never reached a server."""
        return int(self.metadata.get("generation") or 0)

    @property
    def deleting(self) -> bool:
        """Tell whether deletion has begun."""
        return is_deleting({"metadata": self.metadata})


# pydantic's own words for these name Python types.
_PLAIN_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "model_type": "must be an object",
    "mapping_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
}


def _field_errors(error: ValidationError) -> list[FieldError]:
    """Translate pydantic's findings into paths and sentences that read after a path."""
    found: list[FieldError] = []
    for detail in error.errors(include_url=False, include_context=False):
        path = ""
        for step in detail["loc"]:
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
        message = _PLAIN_MESSAGES.get(detail["type"]) or _sentence(detail["msg"])
        found.append(FieldError(path.removeprefix("."), message))
    return found


def _sentence(text: str) -> str:
    """Turn `Value error, x` into `x` and `Input should be y` into `must be y`."""
    plain = text.removeprefix("Value error, ")
    return re.sub(r"^(Input|String|Tuple|Dictionary|Mapping) should", "must", plain)
