"""Strimzi objects: the Kafka cluster, node pool, topic and user behind the transaction log.

Only fields that every supported API version shares are written, so that the served version
(`v1` or `v1beta2`) is the only difference. None of them has an owner reference but the user:
garbage collection knows no order, and a topic's data goes with its KafkaTopic.
"""

from datetime import timedelta
from typing import Final

from smbpctl.api.v1alpha1 import BigPeer, Effective, StrimziLogSpec
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest

GROUP: Final = "kafka.strimzi.io"
VERSIONS: Final = ("v1", "v1beta2")
LISTENER: Final = "tls"
LISTENER_PORT: Final = 9093

# Without them Strimzi before 0.48 looks for a ZooKeeper and ignores the pool; later ones ignore
# them. They stay whatever the version: a CRD is upgraded before the operator that reads it.
_KRAFT: Final = {"strimzi.io/kraft": "enabled", "strimzi.io/node-pools": "enabled"}


def kafka(peer: BigPeer, effective: Effective, version: str) -> Manifest | None:
    """Return the Kafka cluster; None unless the BigPeer's log is run by Strimzi."""
    options = peer.spec.transaction_log.strimzi
    if options is None:
        return None
    cluster: Manifest = {
        "listeners": [
            {
                "name": LISTENER,
                "port": LISTENER_PORT,
                "type": "internal",
                "tls": True,
                "authentication": {"type": "tls"},
            }
        ],
        "authorization": {"type": "simple"},
        "config": {
            "auto.create.topics.enable": "false",
            "default.replication.factor": effective.topic.replicas,
            "min.insync.replicas": effective.topic.min_in_sync_replicas,
            "offsets.topic.replication.factor": effective.topic.replicas,
            "transaction.state.log.replication.factor": effective.topic.replicas,
            "transaction.state.log.min.isr": effective.topic.min_in_sync_replicas,
            "message.max.bytes": peer.spec.transaction_log.topic.max_message_bytes,
        },
    }
    if options.version is not None:
        cluster["version"] = options.version
    metadata = _metadata(peer, naming.kafka_name(peer), of_cluster=False)
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "Kafka",
        "metadata": {**metadata, "annotations": dict(_KRAFT)},
        "spec": {"kafka": cluster, "entityOperator": {"topicOperator": {}, "userOperator": {}}},
    }


def kafka_node_pool(peer: BigPeer, version: str) -> Manifest | None:
    """Return the pool of brokers that are their own controllers; None outside Strimzi mode."""
    options = peer.spec.transaction_log.strimzi
    if options is None:
        return None
    spec: Manifest = {
        "replicas": options.brokers,
        "roles": ["controller", "broker"],
        "storage": {"type": "jbod", "volumes": [_volume(options)]},
    }
    resources = {
        "requests": dict(options.resources.requests),
        "limits": dict(options.resources.limits),
    }
    if any(resources.values()):
        spec["resources"] = {kind: amounts for kind, amounts in resources.items() if amounts}
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "KafkaNodePool",
        "metadata": _metadata(peer, naming.kafka_pool_name(peer)),
        "spec": spec,
    }


def kafka_topic(peer: BigPeer, effective: Effective, version: str) -> Manifest | None:
    """Return the topic: always one partition, whose offsets are the store's timestamps."""
    if peer.spec.transaction_log.strimzi is None:
        return None
    topic = peer.spec.transaction_log.topic
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "KafkaTopic",
        "metadata": _metadata(peer, naming.kafka_name(peer)),
        "spec": {
            "topicName": effective.topic.name,
            "partitions": 1,
            "replicas": effective.topic.replicas,
            "config": {
                "cleanup.policy": "delete",
                "max.message.bytes": topic.max_message_bytes,
                "min.insync.replicas": effective.topic.min_in_sync_replicas,
                "retention.ms": topic.retention // timedelta(milliseconds=1),
            },
        },
    }


def kafka_user(peer: BigPeer, effective: Effective, version: str) -> Manifest | None:
    """Return the user, whose rights are literal: this topic, this BigPeer's groups, no more."""
    if peer.spec.transaction_log.strimzi is None:
        return None
    topic = {"type": "topic", "name": effective.topic.name, "patternType": "literal"}
    acls: list[Manifest] = [
        {"resource": topic, "operations": ["Describe", "DescribeConfigs", "Read", "Write"]},
        *(
            {
                "resource": {"type": kind, "name": effective.topic.name, "patternType": "literal"},
                "operations": operations,
            }
            for kind, operations in (
                ("group", ["Describe", "Read"]),
                ("transactionalId", ["Describe", "Write"]),
            )
        ),
    ]
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "KafkaUser",
        "metadata": _metadata(peer, naming.kafka_user_name(peer), owned=True),
        "spec": {
            "authentication": {"type": "tls"},
            "authorization": {"type": "simple", "acls": acls},
        },
    }


def _volume(options: StrimziLogSpec) -> Manifest:
    volume: Manifest = {
        "id": 0,
        "type": "persistent-claim",
        "size": options.storage.size,
        "deleteClaim": False,
        "kraftMetadata": "shared",
    }
    if options.storage.storage_class_name is not None:
        volume["class"] = options.storage.storage_class_name
    return volume


def _metadata(
    peer: BigPeer, name: str, *, of_cluster: bool = True, owned: bool = False
) -> Manifest:
    """Return the metadata; an empty list of owner references keeps the applier from adding one."""
    metadata = naming.metadata(peer, name)
    metadata["labels"][naming.LABEL_PEER_UID] = peer.uid
    if not owned:
        metadata["ownerReferences"] = []
    if of_cluster:
        metadata["labels"]["strimzi.io/cluster"] = naming.kafka_name(peer)
    return metadata
