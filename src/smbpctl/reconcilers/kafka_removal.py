"""The end of a Kafka cluster of ours: in order, bounded in time, in no namespace's way."""

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
from smbpctl.resources import naming
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import Forbidden, NoKindMatch
from smbpctl.runtime.meta import (
    Manifest,
    ObjectKey,
    gvk_of,
    is_deleting,
    key_of,
    labels_equal,
    metadata_of,
    uid_of,
)

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
        """Do what can be done now; return what is still waited for, empty when all is done.

        Nothing is waited for without Strimzi's API: nobody is left to finish anything.
        """
        if await self._namespace_ends(peer):
            return ""
        left = await self._next(peer)
        if self.cache.served(KAFKA) is None:
            return ""
        begun = timestamp(metadata_of({"metadata": peer.metadata}).get("deletionTimestamp"))
        if left and begun is not None and now - begun > PATIENCE:
            log.warning("transaction log abandoned", peer=str(peer.key), left=left)
            return ""
        return left

    async def _namespace_ends(self, peer: BigPeer) -> bool:
        """Tell whether the namespace goes, and everything in it: waiting would only hold it up."""
        try:
            namespace = await self.client.get(NAMESPACE, ObjectKey("", peer.namespace))
        except Forbidden:
            return False  # scoped to one namespace: whether it ends cannot be seen
        return namespace is None or is_deleting(namespace)

    async def _next(self, peer: BigPeer) -> str:
        name = naming.kafka_name(peer)
        cluster = await self._find(peer, KAFKA, name)
        beside = ((KAFKA_USER, naming.kafka_user_name(peer)), (KAFKA_TOPIC, name))
        left = [text for kind, each in beside if (text := await self._remove(peer, kind, each))]
        if left and cluster is not None:
            return ", ".join(left)
        if left:
            # What takes Strimzi's finalizer off a topic runs beside Kafka, and went with it.
            log.warning("kafka objects left", peer=str(peer.key), left=", ".join(left))
        for kind, each in ((KAFKA, name), (KAFKA_NODE_POOL, naming.kafka_pool_name(peer))):
            text = await self._remove(peer, kind, each)
            if text:
                return text
        return await self._remove_claims(peer)

    async def _find(self, peer: BigPeer, kind: OptionalKind, name: str) -> Manifest | None:
        """Read an object if its kind is served and it is of this very BigPeer."""
        gvk = self.cache.served(kind)
        if gvk is None:
            return None
        try:
            manifest = await self.client.get(gvk, ObjectKey(peer.namespace, name))
        except NoKindMatch:
            return None  # its CRD has just gone; the cache will notice
        return manifest if manifest is not None and _of(peer, manifest) else None

    async def _remove(self, peer: BigPeer, kind: OptionalKind, name: str) -> str:
        """Delete one object if it is of this very BigPeer; return its name while it is there."""
        manifest = await self._find(peer, kind, name)
        if manifest is None:
            return ""
        key = key_of(manifest)
        if not is_deleting(manifest):
            await self.client.delete(gvk_of(manifest), key, uid=uid_of(manifest))
            log.info("kafka object deleted", kind=kind.kind, object=str(key))
        return f"{kind.kind} {key}"

    async def _remove_claims(self, peer: BigPeer) -> str:
        """Delete the brokers' claims: Strimzi leaves them, because we tell it to.

        Strimzi hands a pool's labels down to its claims. The UID among them tells them from the
        claims of a namesake, whose data was to be kept.
        """
        selector = labels_equal(
            {"strimzi.io/cluster": naming.kafka_name(peer), naming.LABEL_PEER_UID: peer.uid}
        )
        claims = await self.client.list(CLAIM, namespace=peer.namespace, selector=selector)
        for claim in claims:
            if not is_deleting(claim):
                await self.client.delete(CLAIM, key_of(claim), uid=uid_of(claim))
                log.info("kafka claim deleted", claim=str(key_of(claim)))
        names = [key_of(claim).name for claim in claims]
        return f"PersistentVolumeClaim {', '.join(names)}" if names else ""


def _of(peer: BigPeer, manifest: Manifest) -> bool:
    labels = mapping(metadata_of(manifest).get("labels"))
    return bool(labels.get(naming.LABEL_PEER_UID) == peer.uid)
