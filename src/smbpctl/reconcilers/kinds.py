"""The kinds that the reconcilers read and write, each with its group and version."""

from typing import Final

from smbpctl.resources import certificates, kafka
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.meta import GroupVersionKind

CONFIG_MAP: Final = GroupVersionKind("", "v1", "ConfigMap")
CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")
NAMESPACE: Final = GroupVersionKind("", "v1", "Namespace")
POD: Final = GroupVersionKind("", "v1", "Pod")
SECRET: Final = GroupVersionKind("", "v1", "Secret")
SERVICE: Final = GroupVersionKind("", "v1", "Service")
SERVICE_ACCOUNT: Final = GroupVersionKind("", "v1", "ServiceAccount")
DEPLOYMENT: Final = GroupVersionKind("apps", "v1", "Deployment")
STATEFUL_SET: Final = GroupVersionKind("apps", "v1", "StatefulSet")
DISRUPTION_BUDGET: Final = GroupVersionKind("policy", "v1", "PodDisruptionBudget")
STORAGE_CLASS: Final = GroupVersionKind("storage.k8s.io", "v1", "StorageClass")
INGRESS: Final = GroupVersionKind("networking.k8s.io", "v1", "Ingress")
INGRESS_CLASS: Final = GroupVersionKind("networking.k8s.io", "v1", "IngressClass")
NETWORK_POLICY: Final = GroupVersionKind("networking.k8s.io", "v1", "NetworkPolicy")

CERTIFICATE: Final = OptionalKind(certificates.CERT_MANAGER, "Certificate", ("v1",))
ISSUER: Final = OptionalKind(certificates.CERT_MANAGER, "Issuer", ("v1",))
KAFKA: Final = OptionalKind(kafka.GROUP, "Kafka", kafka.VERSIONS)
KAFKA_NODE_POOL: Final = OptionalKind(kafka.GROUP, "KafkaNodePool", kafka.VERSIONS)
KAFKA_TOPIC: Final = OptionalKind(kafka.GROUP, "KafkaTopic", kafka.VERSIONS)
KAFKA_USER: Final = OptionalKind(kafka.GROUP, "KafkaUser", kafka.VERSIONS)
SECURITY_CONTEXT_CONSTRAINTS: Final = OptionalKind(
    "security.openshift.io", "SecurityContextConstraints", ("v1",)
)
