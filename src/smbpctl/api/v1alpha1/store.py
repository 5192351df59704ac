"""`spec.store`, the stateless tiers in front of it, and how they are updated."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from smbpctl.api.v1alpha1.fields import (
    Count,
    ResourcesSpec,
    SecretReference,
    StorageSpec,
)
from smbpctl.api.v1alpha1.model import Model


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ImageSpec(Model):
    """Where the images of all components come from. The tag is always `spec.version`."""

    prefix: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9._/:]*[a-z0-9])?$", max_length=200),
        ]
        | None
    ) = None
    """Registry and path before the component's name, without a closing slash; absent means the
    operator's setting. The prefix in force is shown in `status.effective.imagePrefix`."""

    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When the kubelet pulls."""

    pull_secrets: Annotated[
        tuple[SecretReference, ...],
        Field(
            max_length=8,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = ()
    """Secrets with registry credentials, in the BigPeer's namespace."""


class StoreSpec(Model):
    """The partitioned, replicated document store."""

    partitions: Annotated[Count, Field(ge=1, le=64)] = 1
    """Number of partitions the documents are spread over. Immutable in this version."""

    replicas: Annotated[Count, Field(ge=1, le=9)] = 3
    """Members per partition. Immutable in this version."""

    minimum_replicas: Annotated[Count, Field(ge=1, le=9)] | None = None
    """Members per partition that must stay healthy during voluntary disruptions; at most
    `replicas`. Absent means replicas - 1, at least 1. The number in force is shown in
    `status.effective.minimumReplicas` and is immutable in this version."""

    storage: StorageSpec
    """The volume of each member."""

    resources: ResourcesSpec = ResourcesSpec()
    """Compute resources of each member."""


class FrontEndSpec(Model):
    """One stateless tier in front of the store."""

    replicas: Annotated[Count, Field(ge=1, le=1000)] = 2
    """Number of pods."""

    resources: ResourcesSpec = ResourcesSpec()
    """Compute resources of each pod."""


class UpdateSpec(Model):
    """How pods are replaced when their template changes."""

    settle_seconds: Annotated[Count, Field(ge=0, le=3600)] = 10
    """Seconds for which a replaced store member must have been ready before the next one is
    touched."""

    @property
    def settle(self) -> timedelta:
        """Return `settleSeconds` as a duration."""
        return timedelta(seconds=self.settle_seconds)
