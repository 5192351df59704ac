"""The frozen facts of one pass: what the plans and conditions decide on, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from smbpctl.api.v1alpha1 import BigPeer, Effective
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport, Unreachable


@final
@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the BigPeer, reduced to what decisions need.

    `waiting` is the reason a container waits or the scheduler gave (`ImagePullBackOff`,
    `CrashLoopBackOff`, `Unschedulable` …), `ready_since` the time of the last change to Ready.
    """

    name: str
    uid: str
    component: Component
    revision: str
    version: str
    ready: bool
    deleting: bool
    address: str = ""
    waiting: str = ""
    message: str = ""
    ready_since: datetime | None = None
    created: datetime | None = None

    @property
    def healthy(self) -> bool:
        """Tell whether the pod serves and is not on its way out."""
        return self.ready and not self.deleting


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A store member: its place in the topology, its pod, and what it says of itself."""

    partition: int
    ordinal: int
    pod: Pod | None = None
    report: MemberReport | Unreachable | None = None


@final
@dataclass(frozen=True, slots=True)
class Partition:
    """A partition's StatefulSet as it is. An empty `revision` means that there is none."""

    index: int
    members: tuple[Member, ...]
    revision: str = ""
    claim_size: str = ""
    replicas: int = 0

    @property
    def exists(self) -> bool:
        """Tell whether the StatefulSet exists."""
        return bool(self.revision)

    @property
    def healthy(self) -> int:
        """Return how many members serve."""
        return sum(1 for member in self.members if member.pod is not None and member.pod.healthy)


@final
@dataclass(frozen=True, slots=True)
class Tier:
    """A stateless tier's Deployment as it is. An empty `revision` means that there is none."""

    component: Component
    name: str
    revision: str = ""
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    available: int = 0
    total: int = 0
    settled: bool = False
    """The Deployment controller has seen the newest spec and finished with it."""
    pods: tuple[Pod, ...] = ()

    @property
    def exists(self) -> bool:
        """Tell whether the Deployment exists."""
        return bool(self.revision)


@final
@dataclass(frozen=True, slots=True)
class Claim:
    """A store member's claim. Sizes are Kubernetes quantities; `capacity` is empty until bound."""

    name: str
    uid: str
    partition: int
    peer_uid: str
    owned: bool
    requested: str
    capacity: str
    deleting: bool
    expandable: bool


@final
@dataclass(frozen=True, slots=True)
class ClusterObserved:
    """Everything the cluster reconciler decides on in one pass.

    `missing_certificates` and `missing_connection` name the Secrets that pods mount and that do
    not exist yet. `stale_claims` names claims of another BigPeer that a StatefulSet would bind.
    The revisions are those that the spec asks for.
    """

    peer: BigPeer
    effective: Effective
    now: datetime
    partitions: tuple[Partition, ...]
    tiers: tuple[Tier, ...]
    claims: tuple[Claim, ...] = ()
    stale_claims: tuple[str, ...] = ()
    missing_certificates: tuple[str, ...] = ()
    missing_connection: str = ""
    store_revisions: Mapping[int, str] = field(default_factory=dict[int, str])
    tier_revisions: Mapping[Component, str] = field(default_factory=dict[Component, str])

    @property
    def missing_secrets(self) -> tuple[str, ...]:
        """Return the names of all Secrets that pods mount and that do not exist yet."""
        connection = (self.missing_connection,) if self.missing_connection else ()
        return (*self.missing_certificates, *connection)

    @property
    def members(self) -> tuple[Member, ...]:
        """Return the members of all partitions."""
        return tuple(member for partition in self.partitions for member in partition.members)


@final
@dataclass(frozen=True, slots=True)
class Endpoint:
    """An exposure's object as it is: its addresses, and what stands in the way of more."""

    name: str
    type: str
    object_name: str
    hosts: tuple[str, ...]
    secure: bool
    exists: bool
    addresses: tuple[str, ...] = ()
    class_found: bool = True
    class_name: str = ""


@final
@dataclass(frozen=True, slots=True)
class NetworkingObserved:
    """Everything the networking reconciler reports on in one pass."""

    peer: BigPeer
    endpoints: tuple[Endpoint, ...]


@final
@dataclass(frozen=True, slots=True)
class CertificateFact:
    """A certificate Secret as it is. `problem` says what is wrong with its content, if anything.

    `reason` and `message` are lifted from the cert-manager Certificate where there is one: what
    it is waiting for, or, of one that is `ready`, why its renewal failed.
    """

    name: str
    field: str
    secret: str
    present: bool
    problem: str = ""
    expired: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None
    reason: str = ""
    message: str = ""
    ready: bool = True


@final
@dataclass(frozen=True, slots=True)
class TLSObserved:
    """Everything the TLS reconciler reports on in one pass."""

    peer: BigPeer
    installed: bool
    certificates: tuple[CertificateFact, ...]


@final
@dataclass(frozen=True, slots=True)
class SecretProblem:
    """What is wrong with a Secret, and the field of the spec that asks for it."""

    secret: str
    field: str
    what: str
    present: bool


@final
@dataclass(frozen=True, slots=True)
class LogPart:
    """A Strimzi object that the transaction log needs: Kafka, KafkaTopic or KafkaUser."""

    kind: str
    name: str
    ready: bool
    reason: str = ""
    message: str = ""
    paused: bool = False


@final
@dataclass(frozen=True, slots=True)
class LogObserved:
    """Everything the transaction log reconciler reports on in one pass.

    `api_version` is the one under which Strimzi's objects are written, empty with an external log.
    """

    peer: BigPeer
    effective: Effective
    installed: bool = True
    parts: tuple[LogPart, ...] = ()
    problems: tuple[SecretProblem, ...] = ()
    bootstrap_servers: tuple[str, ...] = ()
    api_version: str = ""
