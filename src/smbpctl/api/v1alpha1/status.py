"""`status` of a BigPeer: what the reconcilers report, each under its own field owner.

Read leniently: limits bind the server only, so that a status written by a newer operator never
keeps an older one from working.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from smbpctl.api.v1alpha1.conditions import Condition
from smbpctl.api.v1alpha1.model import Model

ShortText: TypeAlias = Annotated[str, Field(json_schema_extra={"maxLength": 253})]
LongText: TypeAlias = Annotated[str, Field(json_schema_extra={"maxLength": 1024})]
Tally: TypeAlias = Annotated[int, Field(json_schema_extra={"format": "int32", "minimum": 0})]
"""A number of things."""


class EffectiveTopic(Model):
    """The computed defaults of the transaction topic."""

    name: LongText
    """Name of the topic."""

    replicas: Tally | None = None
    """Copies of the topic; absent when the topic is not ours."""

    min_in_sync_replicas: Tally | None = None
    """Copies that must have a write before it counts; absent when the topic is not ours."""


class Effective(Model):
    """The computed defaults in force."""

    minimum_replicas: Tally
    """Members per partition that must stay healthy during voluntary disruptions."""

    topic: EffectiveTopic
    """The transaction topic."""

    image_prefix: LongText
    """Registry and path of all images."""


class MemberStatus(Model):
    """One member of the store."""

    pod: ShortText
    """Name of the pod."""

    server_id: ShortText | None = None
    """Identity the member gave itself; another one after it lost its volume."""

    revision: ShortText
    """Revision the pod runs; empty while there is no pod."""

    config_id: Annotated[int | None, Field(json_schema_extra={"format": "int64"})] = None
    """Topology the member works with."""

    caught_up: bool | None = None
    """Whether the member has applied the log; absent when it did not answer."""

    reason: ShortText | None = None
    """Why the member does not count as healthy."""


class PartitionStatus(Model):
    """One partition of the store."""

    index: Tally
    """Number of the partition, from 0."""

    ready: Tally
    """Members that are ready."""

    updated: Tally
    """Members that run the wanted revision."""

    members: Annotated[
        tuple[MemberStatus, ...],
        Field(
            json_schema_extra={
                "maxItems": 16,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["pod"],
            }
        ),
    ] = ()
    """The members of the partition."""


class StoreStatus(Model):
    """The store as a whole."""

    selector: LongText
    """Label selector of all members."""

    summary: ShortText
    """Ready and wanted members, such as 6/6."""

    replicas: Tally
    """Members that exist."""

    ready_replicas: Tally
    """Members that are ready."""

    updated_replicas: Tally
    """Members that run the wanted revision."""

    partitions: Annotated[
        tuple[PartitionStatus, ...],
        Field(
            json_schema_extra={
                "maxItems": 64,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["index"],
            }
        ),
    ] = ()
    """The partitions."""


class Topology(Model):
    """One configuration of the store."""

    id: Annotated[int, Field(json_schema_extra={"format": "int64"})]
    """Number of the configuration; it only grows."""

    partitions: Tally
    """Number of partitions."""

    replicas: Tally
    """Members per partition."""

    minimum_replicas: Tally
    """Members per partition that must stay healthy."""


class TopologyStatus(Model):
    """What the store is laid out as."""

    current: Topology
    """The configuration in force."""


class FrontEndStatus(Model):
    """One stateless tier."""

    replicas: Tally
    """Pods that exist."""

    ready_replicas: Tally
    """Pods that are ready."""

    selector: LongText
    """Label selector of the pods."""


class TransactionLogStatus(Model):
    """How the transaction log is reached."""

    api_version: ShortText | None = None
    """API version under which Strimzi's objects are written; absent with type External."""

    bootstrap_servers: Annotated[
        tuple[LongText, ...],
        Field(json_schema_extra={"maxItems": 32, "x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Brokers to begin with, as host:port."""

    topic: LongText
    """Name of the topic."""

    connection_secret: ShortText
    """Secret with everything a client needs."""


class CertificateStatus(Model):
    """One certificate in use."""

    name: ShortText
    """What it is for."""

    secret_name: ShortText
    """Secret that holds it."""

    not_after: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When it ends; absent while it is not issued."""


class EndpointStatus(Model):
    """What became of one exposure."""

    name: ShortText
    """Name of the exposure."""

    type: ShortText
    """By which kind of object."""

    urls: Annotated[
        tuple[LongText, ...],
        Field(json_schema_extra={"maxItems": 64, "x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Where clients find it."""

    addresses: Annotated[
        tuple[ShortText, ...],
        Field(json_schema_extra={"maxItems": 64, "x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Addresses that the controller assigned."""

    reason: ShortText | None = None
    """Why it does not serve; absent when it does."""


class BigPeerStatus(Model):
    """What the operator observed."""

    observed_generation: Annotated[
        int | None, Field(json_schema_extra={"format": "int64", "minimum": 0})
    ] = None
    """Generation that every part of the operator has looked at."""

    effective: Effective | None = None
    """The computed defaults in force; they are never stored in the spec."""

    version: ShortText | None = None
    """Lowest version that any store member runs."""

    target_version: ShortText | None = None
    """Version that is being rolled out."""

    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            json_schema_extra={
                "maxItems": 64,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            }
        ),
    ] = ()
    """What is true; each type has one writer."""

    store: StoreStatus | None = None
    """The store."""

    topology: TopologyStatus | None = None
    """The layout of the store."""

    api: FrontEndStatus | None = None
    """The API servers."""

    subscriptions: FrontEndStatus | None = None
    """The subscription servers."""

    auth: FrontEndStatus | None = None
    """The auth servers."""

    transaction_log: TransactionLogStatus | None = None
    """How the transaction log is reached."""

    certificates: Annotated[
        tuple[CertificateStatus, ...],
        Field(
            json_schema_extra={
                "maxItems": 64,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            }
        ),
    ] = ()
    """The certificates in use."""

    endpoints: Annotated[
        tuple[EndpointStatus, ...],
        Field(
            json_schema_extra={
                "maxItems": 16,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            }
        ),
    ] = ()
    """What became of each exposure."""
