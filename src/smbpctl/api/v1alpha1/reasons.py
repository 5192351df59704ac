"""Reasons: the machine words by which each condition says why it is what it is."""

from collections.abc import Mapping

from smbpctl.api.v1alpha1.conditions import ConditionType
from smbpctl.api.v1alpha1.model import DescribedEnum


class AvailableReason(DescribedEnum):
    """Why Available is what it is."""

    SERVING = "Serving", "Every tier serves."
    STORE_NOT_READY = "StoreNotReady", "A partition of the store is below its floor."
    SUBSCRIPTIONS_NOT_READY = "SubscriptionsNotReady", "No subscription server is ready."
    API_NOT_READY = "ApiNotReady", "No API server is ready."
    AUTH_NOT_READY = "AuthNotReady", "No auth server is ready."
    TRANSACTION_LOG_NOT_READY = "TransactionLogNotReady", "The transaction log is not usable."
    TLS_NOT_READY = "TLSNotReady", "Certificates are missing or unusable."
    NOT_OBSERVED = "NotObserved", "Not looked at yet."


class ProgressingReason(DescribedEnum):
    """Why Progressing is what it is."""

    COMPLETE = "Complete", "Everything observed is as the spec asks."
    WAITING_FOR_CONDITION = (
        "WaitingForCondition",
        "A condition is missing, Unknown or of an older generation; the message names it.",
    )
    CREATING = "Creating", "Objects are being created for the first time."
    ROLLING = "Rolling", "Pods are being replaced one after another."
    STORAGE_GROWING = "StorageGrowing", "Claims are being enlarged."
    BLOCKED = "Blocked", "A step waits for something that the message names."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule; nothing moves until it is edited."


class DegradedReason(DescribedEnum):
    """Why Degraded is what it is."""

    HEALTHY = "Healthy", "Nothing needs a human."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule; the message names the field."
    VERSION_NOT_SUPPORTED = "VersionNotSupported", "The version is unknown to this operator."
    IMAGE_PULL_FAILED = "ImagePullFailed", "A container's image cannot be pulled."
    CRASH_LOOPING = "CrashLooping", "A container ends again and again."
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        "A container cannot be made from its configuration.",
    )
    UNSCHEDULABLE = "Unschedulable", "No node takes a pod."
    STALE_CLAIM = "StaleClaim", "A claim of another BigPeer is in the way of a store member."
    STORAGE_NOT_EXPANDABLE = "StorageNotExpandable", "The storage class cannot enlarge volumes."
    NAME_CONFLICT = "NameConflict", "An object of a needed name belongs to somebody else."
    INPUT_MISSING = "InputMissing", "A referenced Secret or one of its keys is missing or invalid."
    DEPENDENCY_NOT_INSTALLED = "DependencyNotInstalled", "A needed API is not served here."


class ReadyReason(DescribedEnum):
    """Why Ready is what it is."""

    READY = "Ready", "All is as the spec asks, and healthy."
    NOT_AVAILABLE = "NotAvailable", "Available is not True."
    DEGRADED = "Degraded", "Degraded is not False."
    NOT_OBSERVED = "NotObserved", "A condition is missing or of an older generation."
    STEP_PENDING = "StepPending", "A change of the spec is not carried out yet."


class VersionSupportedReason(DescribedEnum):
    """Why VersionSupported is what it is."""

    SUPPORTED = "Supported", "The release line is in the compatibility matrix."
    UNKNOWN_VERSION = "UnknownVersion", "The release line is not in the compatibility matrix."


class TierReadyReason(DescribedEnum):
    """Why StoreReady, SubscriptionsReady, ApiReady or AuthReady is what it is."""

    ALL_READY = "AllReady", "All pods are ready."
    PODS_NOT_READY = "PodsNotReady", "Some pods are not ready; the message names them."
    NOT_CREATED = "NotCreated", "The workload does not exist yet."
    WAITING_FOR_TLS = "WaitingForTLS", "Certificates are not ready."
    WAITING_FOR_TRANSACTION_LOG = "WaitingForTransactionLog", "The transaction log is not ready."
    WAITING_FOR_STORE = "WaitingForStore", "The store is not ready."
    VERSION_NOT_SUPPORTED = "VersionNotSupported", "The version is unknown: nothing is rolled."


class RollingUpdateSucceededReason(DescribedEnum):
    """Why RollingUpdateSucceeded is what it is."""

    UP_TO_DATE = "UpToDate", "All pods run the wanted revision."
    IN_PROGRESS = "InProgress", "Pods are being replaced one after another."
    WAITING_FOR_REDUNDANCY = (
        "WaitingForRedundancy",
        "Replacing one more member would take its partition below the floor.",
    )
    NO_REDUNDANCY = (
        "NoRedundancy",
        "minimumReplicas equals replicas: no member may ever be disrupted.",
    )
    WAITING_FOR_MEMBERS = "WaitingForMembers", "Members have not caught up, or did not answer."
    SETTLING = "Settling", "The member replaced last has not been ready for long enough."
    EVICTION_BLOCKED = "EvictionBlocked", "A disruption budget does not allow an eviction now."
    VERSION_NOT_SUPPORTED = "VersionNotSupported", "The version is unknown: nothing is rolled."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule."


class StorageReadyReason(DescribedEnum):
    """Why StorageReady is what it is."""

    ALL_BOUND = "AllBound", "All claims are bound and large enough."
    CLAIMS_PENDING = "ClaimsPending", "A claim is not bound yet."
    RESIZING = "Resizing", "Claims are being enlarged."
    EXPANSION_NOT_SUPPORTED = "ExpansionNotSupported", "The storage class cannot enlarge volumes."
    STALE_CLAIM = "StaleClaim", "A claim of another BigPeer is in the way of a store member."
    CLAIM_TERMINATING = "ClaimTerminating", "A claim is being deleted and is waited for."


class DisruptionSafeReason(DescribedEnum):
    """Why DisruptionSafe is what it is."""

    REDUNDANT = "Redundant", "One member of each partition may be disrupted."
    SINGLE_REPLICA = "SingleReplica", "replicas is 1: every update interrupts the partition."
    NO_REDUNDANCY = "NoRedundancy", "minimumReplicas equals replicas: updates wait forever."


class NetworkingReadyReason(DescribedEnum):
    """Why NetworkingReady is what it is; the first ones also appear on an endpoint."""

    ALL_SERVING = "AllServing", "Every exposure is accepted and has an address."
    CLUSTER_INTERNAL = "ClusterInternal", "There is no exposure: cluster-internal Services only."
    ADDRESS_PENDING = "AddressPending", "The controller has not assigned an address yet."
    CLASS_NOT_FOUND = "ClassNotFound", "The ingress class does not exist."
    NAME_CONFLICT = "NameConflict", "An object of a needed name belongs to somebody else."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule."


class TLSReadyReason(DescribedEnum):
    """Why TLSReady is what it is."""

    ISSUED = "Issued", "All certificates are issued and valid."
    CERT_MANAGER_NOT_INSTALLED = (
        "CertManagerNotInstalled",
        "The API of cert-manager is not served here; it is picked up as soon as it is.",
    )
    ISSUING = "Issuing", "A certificate is being issued."
    ISSUANCE_FAILED = "IssuanceFailed", "cert-manager reports a failure; the message quotes it."
    SECRET_NOT_FOUND = "SecretNotFound", "A referenced Secret does not exist."
    SECRET_INVALID = "SecretInvalid", "A Secret lacks a key or holds an unusable certificate."
    CERTIFICATE_EXPIRED = "CertificateExpired", "A certificate is past its end."
    NAME_CONFLICT = "NameConflict", "An object of a needed name belongs to somebody else."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule."


class TransactionLogReadyReason(DescribedEnum):
    """Why TransactionLogReady is what it is."""

    READY = "Ready", "Brokers, topic and credentials are known and published."
    STRIMZI_NOT_INSTALLED = (
        "StrimziNotInstalled",
        "The API of Strimzi is not served here; it is picked up as soon as it is.",
    )
    KAFKA_NOT_READY = "KafkaNotReady", "Strimzi reports that Kafka is not ready."
    TOPIC_NOT_READY = "TopicNotReady", "Strimzi reports that the topic is not ready."
    USER_NOT_READY = "UserNotReady", "Strimzi reports that the user is not ready."
    RECONCILIATION_PAUSED = "ReconciliationPaused", "An object is paused or unmanaged in Strimzi."
    SECRET_NOT_FOUND = "SecretNotFound", "A referenced Secret does not exist."
    SECRET_INVALID = "SecretInvalid", "A Secret lacks a key, or its content is unusable."
    NAME_CONFLICT = "NameConflict", "An object of a needed name belongs to somebody else."
    INVALID_SPEC = "InvalidSpec", "The spec breaks a rule."


REASONS: Mapping[ConditionType, type[DescribedEnum]] = {
    ConditionType.READY: ReadyReason,
    ConditionType.AVAILABLE: AvailableReason,
    ConditionType.PROGRESSING: ProgressingReason,
    ConditionType.DEGRADED: DegradedReason,
    ConditionType.VERSION_SUPPORTED: VersionSupportedReason,
    ConditionType.STORE_READY: TierReadyReason,
    ConditionType.SUBSCRIPTIONS_READY: TierReadyReason,
    ConditionType.API_READY: TierReadyReason,
    ConditionType.AUTH_READY: TierReadyReason,
    ConditionType.ROLLING_UPDATE_SUCCEEDED: RollingUpdateSucceededReason,
    ConditionType.STORAGE_READY: StorageReadyReason,
    ConditionType.DISRUPTION_SAFE: DisruptionSafeReason,
    ConditionType.NETWORKING_READY: NetworkingReadyReason,
    ConditionType.TLS_READY: TLSReadyReason,
    ConditionType.TRANSACTION_LOG_READY: TransactionLogReadyReason,
}
"""The reasons each condition type may carry."""
