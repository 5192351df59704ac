"""The end of a Kafka cluster of ours: in order, bounded in time, in no namespace's way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

import structlog

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.reconcilers.facts import mapping, timestamp
from smbpctl.reconcilers.kinds import (
    CLAIM,
    KAFKA,
    KAFKA_NODE_POOL,
    KAFKA_TOPIC,
    KAFKA_USER,
    NAMESPACE,
)
from smbpctl.resources import kafka, naming
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import Forbidden
from smbpctl.runtime.meta import Manifest, ObjectKey, is_deleting, labels_equal, metadata_of

PATIENCE: Final = timedelta(minutes=10)
"""After this long the BigPeer is released, whatever is left of its Kafka cluster."""

log = structlog.get_logger()


@final
@dataclass(frozen=True, slots=True)
class KafkaRemoval:
    """Takes user, topic, Kafka, pools and claims away, each when the ones before it are gone.

    Topic and user first: they carry finalizers of Strimzi's own, which nobody would remove once
    Kafka is gone.
    """

    cache: Cache
    client: Client

    async def step(self, peer: BigPeer, now: datetime) -> str:
        """Do what can be done now; return what is still waited for, empty when all is done."""
        if await self._pointless(peer):
            return ""
        left = await self._next(peer)
        begun = timestamp(metadata_of({"metadata": peer.metadata}).get("deletionTimestamp"))
        if left and begun is not None and now - begun > PATIENCE:
            log.warning("transaction log abandoned", peer=str(peer.key), left=left)
            return ""
        return left

    async def _pointless(self, peer: BigPeer) -> bool:
        """Tell whether the namespace, the API or Kafka itself is on its way out already."""
        if self.cache.served(KAFKA) is None:
            return True
        try:
            namespace = await self.client.get(NAMESPACE, ObjectKey("", peer.namespace))
        except Forbidden:
            return False  # scoped to one namespace: whether it ends cannot be seen
        return namespace is None or is_deleting(namespace)

    async def _next(self, peer: BigPeer) -> str:
        name = naming.kafka_name(peer)
        stages: Sequence[Sequence[tuple[OptionalKind, str]]] = (
            ((KAFKA_USER, naming.kafka_user_name(peer)), (KAFKA_TOPIC, name)),
            ((KAFKA, name),),
            ((KAFKA_NODE_POOL, f"{name}-{kafka.POOL}"),),
        )
        for stage in stages:
            left = [text for kind, each in stage if (text := await self._remove(peer, kind, each))]
            if left:
                return ", ".join(left)
        return await self._remove_claims(peer)

    async def _remove(self, peer: BigPeer, kind: OptionalKind, name: str) -> str:
        """Delete one object if it is of this very BigPeer; return its name while it is there."""
        gvk = self.cache.served(kind)
        if gvk is None:
            return ""
        key = ObjectKey(peer.namespace, name)
        manifest = await self.client.get(gvk, key)
        if manifest is None or not _of(peer, manifest):
            return ""
        if not is_deleting(manifest):
            metadata = metadata_of(manifest)
            await self.client.delete(gvk, key, uid=str(metadata.get("uid")))
            log.info("kafka object deleted", kind=kind.kind, object=str(key))
        return f"{kind.kind} {key}"

    async def _remove_claims(self, peer: BigPeer) -> str:
        """Delete the brokers' claims: Strimzi leaves them, because we tell it to."""
        selector = labels_equal({"strimzi.io/cluster": naming.kafka_name(peer)})
        claims = await self.client.list(CLAIM, namespace=peer.namespace, selector=selector)
        for claim in claims:
            if not is_deleting(claim):
                metadata = metadata_of(claim)
                key = ObjectKey(peer.namespace, str(metadata.get("name")))
                await self.client.delete(CLAIM, key, uid=str(metadata.get("uid")))
                log.info("kafka claim deleted", claim=str(key))
        names = [str(metadata_of(claim).get("name")) for claim in claims]
        return f"PersistentVolumeClaim {', '.join(names)}" if names else ""


def _of(peer: BigPeer, manifest: Manifest) -> bool:
    labels = mapping(metadata_of(manifest).get("labels"))
    return bool(labels.get(naming.LABEL_PEER_UID) == peer.uid)
