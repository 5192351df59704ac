"""`spec.transactionLog`: the Kafka topic all writes pass through, ours or somebody else's."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

from smbpctl.api.v1alpha1.fields import (
    Count,
    Duration,
    ResourcesSpec,
    SecretReference,
    StorageSpec,
)
from smbpctl.api.v1alpha1.model import Model

# The port is 1 to 65535; spelt out because a pattern cannot compare numbers.
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

BOOTSTRAP_SERVER_PATTERN = (
    rf"^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):{_PORT}$"
)

BootstrapServer: TypeAlias = Annotated[
    str, StringConstraints(pattern=BOOTSTRAP_SERVER_PATTERN, max_length=260)
]
"""`host:port`; IPv6 addresses in brackets."""


TopicName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=249)
]
"""What Kafka takes as the name of a topic."""


class TransactionLogType(StrEnum):
    """Who runs the Kafka cluster."""

    EXTERNAL = "External"
    STRIMZI = "Strimzi"


class AuthenticationType(StrEnum):
    """How clients prove to Kafka who they are."""

    NONE = "None"
    TLS = "TLS"
    SCRAM = "SCRAM"


class ScramMechanism(StrEnum):
    """SASL mechanism of a SCRAM authentication."""

    SHA_512 = "SCRAM-SHA-512"
    SHA_256 = "SCRAM-SHA-256"


class ClientCertificateSpec(Model):
    """Authentication by client certificate."""

    secret_ref: SecretReference
    """Secret with `tls.crt` and `tls.key`."""


class ScramSpec(Model):
    """Authentication by user name and password."""

    mechanism: ScramMechanism = ScramMechanism.SHA_512
    """SASL mechanism."""

    secret_ref: SecretReference
    """Secret with `username` and `password`."""


class AuthenticationSpec(Model):
    """How clients authenticate; a union: the member that `type` names is present."""

    type: AuthenticationType = AuthenticationType.NONE
    """None, or the member that holds the credentials: TLS (`tls`) or SCRAM (`scram`)."""

    tls: ClientCertificateSpec | None = None
    """Client certificate; present if and only if the type is TLS."""

    scram: ScramSpec | None = None
    """User name and password; present if and only if the type is SCRAM."""


class LogTlsSpec(Model):
    """How the brokers' certificates are verified."""

    ca_secret_ref: SecretReference
    """Secret whose `ca.crt` signed the brokers' certificates."""


class ExternalLogSpec(Model):
    """A Kafka cluster that somebody else runs; nothing in it is created or changed."""

    bootstrap_servers: Annotated[
        tuple[BootstrapServer, ...],
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """Brokers to begin with, as host:port."""

    tls: LogTlsSpec | None = None
    """TLS towards the brokers; absent means plaintext."""

    authentication: AuthenticationSpec = AuthenticationSpec()
    """How clients authenticate."""


class StrimziLogSpec(Model):
    """A Kafka cluster of our own, run by Strimzi."""

    version: (
        Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", max_length=32)] | None
    ) = None
    """Kafka version; absent means the default of the Strimzi operator."""

    brokers: Annotated[Count, Field(ge=1, le=99)] = 3
    """Number of dual-role nodes: 1 for development, otherwise an odd number of at least 3."""

    storage: StorageSpec
    """The volume of each node."""

    resources: ResourcesSpec = ResourcesSpec()
    """Compute resources of each node."""


class TopicSpec(Model):
    """The transaction topic. It always has exactly one partition."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=249)] | None = (
        None
    )
    """Name of the topic; absent means `<namespace>.<name>.transactions`. Immutable. The name in
    force is shown in `status.effective.topic`."""

    replicas: Annotated[Count, Field(ge=1, le=99)] | None = None
    """Copies of the topic, at most the number of brokers; absent means 3, or the number of brokers
    if that is lower. Only with type Strimzi."""

    min_in_sync_replicas: Annotated[Count, Field(ge=1, le=99)] | None = None
    """Copies that must have a write before it counts, at most `replicas`; absent means
    replicas - 1, at least 1. Only with type Strimzi."""

    retention: Duration = timedelta(hours=168)
    """How long the log keeps a write: longer than any outage of a store member may last."""

    max_message_bytes: Annotated[Count, Field(ge=1_048_576, le=1_073_741_824)] = 104_857_600
    """Largest write in bytes."""


class TransactionLogSpec(Model):
    """The transaction log; a union: the member that `type` names is present."""

    type: TransactionLogType
    """External (`external`) or Strimzi (`strimzi`). Immutable in this version."""

    external: ExternalLogSpec | None = None
    """An existing Kafka cluster; present if and only if the type is External."""

    strimzi: StrimziLogSpec | None = None
    """A Kafka cluster run by Strimzi; present if and only if the type is Strimzi."""

    topic: TopicSpec = TopicSpec()
    """The topic, whoever runs the cluster."""
