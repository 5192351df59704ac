"""Defaults that depend on other fields: computed here, shown in status, never stored in the spec.

A stored one would make a later edit of the field it depends on fail.
"""

from smbpctl.api.v1alpha1.bigpeer import BigPeer
from smbpctl.api.v1alpha1.status import Effective, EffectiveTopic
from smbpctl.api.v1alpha1.store import StoreSpec
from smbpctl.api.v1alpha1.transaction_log import StrimziLogSpec, TopicSpec

DEFAULT_TOPIC_REPLICAS = 3


def minimum_replicas(store: StoreSpec) -> int:
    """Return the floor of healthy members per partition: as given, else replicas - 1, min. 1."""
    return max(1, store.replicas - 1) if store.minimum_replicas is None else store.minimum_replicas


def topic_replicas(topic: TopicSpec, strimzi: StrimziLogSpec) -> int:
    """Return the copies of the topic: as given, else three or the number of brokers if lower."""
    if topic.replicas is not None:
        return topic.replicas
    return min(DEFAULT_TOPIC_REPLICAS, strimzi.brokers)


def min_in_sync_replicas(topic: TopicSpec, strimzi: StrimziLogSpec) -> int:
    """Return the copies a write needs: as given, else one fewer than all, at least 1."""
    if topic.min_in_sync_replicas is not None:
        return topic.min_in_sync_replicas
    return max(1, topic_replicas(topic, strimzi) - 1)


def effective(peer: BigPeer, *, image_prefix: str = "") -> Effective:
    """Return the computed defaults in force for a BigPeer.

    `image_prefix` is the operator's setting, used where the spec names none. The topic's replica
    numbers are None with type External: that topic is not ours to size.
    """
    log = peer.spec.transaction_log
    topic, strimzi = log.topic, log.strimzi
    return Effective(
        minimum_replicas=minimum_replicas(peer.spec.store),
        topic=EffectiveTopic(
            name=topic.name or f"{peer.namespace}.{peer.name}.transactions",
            replicas=topic_replicas(topic, strimzi) if strimzi else None,
            min_in_sync_replicas=min_in_sync_replicas(topic, strimzi) if strimzi else None,
        ),
        image_prefix=peer.spec.image.prefix or image_prefix,
    )
