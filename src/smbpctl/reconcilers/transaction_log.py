"""The transaction log reconciler: a Kafka cluster of our own, or the way to somebody else's."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

import structlog

from smbpctl.api.v1alpha1 import (
    BIG_PEER,
    BigPeer,
    ConditionType,
    DeletionPolicy,
    Effective,
    InvalidSpec,
    TransactionLogReadyReason,
    TransactionLogType,
    effective,
    validate,
)
from smbpctl.conditions.transaction_log_ready import (
    transaction_log_ready,
)
from smbpctl.conditions.verdict import stamped, verdict
from smbpctl.observed import LogObserved
from smbpctl.operand import contract
from smbpctl.reconcilers.connection import (
    Connection,
    all_certificates,
    external_connection,
    read_secret,
)
from smbpctl.reconcilers.kafka_removal import KafkaRemoval
from smbpctl.reconcilers.kinds import KAFKA, KAFKA_NODE_POOL, KAFKA_TOPIC, KAFKA_USER, SECRET
from smbpctl.reconcilers.operator import new_applier
from smbpctl.reconcilers.references import add_indexes, by_label, users_of_secret
from smbpctl.reconcilers.reporting import write_status
from smbpctl.reconcilers.strimzi import bootstrap_servers, part_fact, user_secret
from smbpctl.resources import naming
from smbpctl.resources.connection import connection_secret
from smbpctl.resources.desired import kafka_objects
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.builder import controller
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import NameConflict
from smbpctl.runtime.finalizer import add_finalizer, has_finalizer, remove_finalizer
from smbpctl.runtime.handler import map_func
from smbpctl.runtime.informer import InformerState
from smbpctl.runtime.manager import Manager
from smbpctl.runtime.meta import Manifest, ObjectKey, is_deleting, key_of
from smbpctl.runtime.predicate import spec_changed
from smbpctl.runtime.reconcile import DONE, Request, Result

FIELD_OWNER: Final = "smbpctl/transaction-log"
FINALIZER: Final = "smbpctl.dev/transaction-log"

_KINDS: Final = (KAFKA, KAFKA_NODE_POOL, KAFKA_TOPIC, KAFKA_USER)
_BEGINNING: Final = (InformerState.INIT, InformerState.LISTING)

_WAIT: Final = Result(requeue_after=timedelta(seconds=10))
_SOON: Final = Result(requeue_after=timedelta(seconds=1))
# Watches tell when Strimzi's objects are gone, but not its claims.
_REMOVAL: Final = Result(requeue_after=timedelta(seconds=2))

log = structlog.get_logger()


@final
@dataclass(frozen=True, slots=True)
class TransactionLogReconciler:
    """Publishes one connection Secret, from Strimzi's objects or from the user's Secrets."""

    cache: Cache
    client: Client
    applier: Applier
    clock: Clock
    removal: KafkaRemoval

    async def reconcile(self, request: Request) -> Result:
        """Apply Strimzi's objects where asked, publish the connection, report."""
        manifest = await self.cache.get(BIG_PEER, request.key)
        if manifest is None:
            return DONE
        if is_deleting(manifest):
            return await self._finalize(manifest)
        peer = BigPeer.parse(manifest)
        if self._changing(peer):
            return _SOON
        errors = validate(peer)
        if errors:
            message = "; ".join(str(error) for error in errors)
            observed = LogObserved(peer, effective(peer))
            await self._report(manifest, observed, invalid=message)
            return DONE
        await self._guard(manifest, peer)
        observed, conflict = await self._publish(manifest, peer)
        await self._report(manifest, observed, conflict=conflict)
        return DONE if observed.installed and not conflict else _WAIT

    def _changing(self, peer: BigPeer) -> bool:
        """Tell whether Strimzi's API is served, but in a version that is only being listed yet.

        That is how an upgrade of its CRDs looks for a moment: not like Strimzi's absence.
        """
        if peer.spec.transaction_log.type is not TransactionLogType.STRIMZI:
            return False
        states = self.cache.states()
        return any(
            self.cache.served(kind) is None and states[str(kind.group_kind)].state in _BEGINNING
            for kind in _KINDS
        )

    async def _publish(self, manifest: Manifest, peer: BigPeer) -> tuple[LogObserved, str]:
        computed = effective(peer)
        try:
            observed, connection = await self._connect(manifest, peer, computed)
            if connection is not None and not connection.problems:
                secret = connection_secret(peer, connection.files)
                await self.applier.apply_set(manifest, [secret])
        except NameConflict as error:
            return LogObserved(peer, computed), error.message
        return observed, ""

    async def _connect(
        self, manifest: Manifest, peer: BigPeer, computed: Effective
    ) -> tuple[LogObserved, Connection | None]:
        external = peer.spec.transaction_log.external
        if external is None:
            return await self._strimzi(manifest, peer, computed)
        connection = await external_connection(self.cache, peer, external, computed.topic.name)
        observed = LogObserved(
            peer,
            computed,
            problems=tuple(connection.problems),
            bootstrap_servers=external.bootstrap_servers,
        )
        return observed, connection

    async def _strimzi(
        self, manifest: Manifest, peer: BigPeer, computed: Effective
    ) -> tuple[LogObserved, Connection | None]:
        served = [self.cache.served(kind) for kind in _KINDS]
        kafka_kind, _, topic_kind, user_kind = served
        if kafka_kind is None or topic_kind is None or user_kind is None or None in served:
            return LogObserved(peer, computed, installed=False), None
        objects = kafka_objects(peer, computed, kafka_kind.version)
        await self.applier.apply_set(manifest, objects)

        name, user_name = naming.kafka_name(peer), naming.kafka_user_name(peer)
        kafka = await self.cache.get(kafka_kind, ObjectKey(peer.namespace, name))
        topic = await self.cache.get(topic_kind, ObjectKey(peer.namespace, name))
        user = await self.cache.get(user_kind, ObjectKey(peer.namespace, user_name))
        parts = (
            part_fact("Kafka", name, kafka),
            part_fact("KafkaTopic", name, topic),
            part_fact("KafkaUser", user_name, user),
        )
        observed = LogObserved(
            peer,
            computed,
            parts=parts,
            bootstrap_servers=bootstrap_servers(kafka),
            api_version=kafka_kind.api_version,
        )
        if not all(part.ready for part in parts):
            return observed, None
        connection = await self._strimzi_connection(peer, observed, user_secret(user))
        return LogObserved(
            peer,
            computed,
            parts=parts,
            problems=tuple(connection.problems),
            bootstrap_servers=observed.bootstrap_servers,
            api_version=observed.api_version,
        ), connection

    async def _strimzi_connection(
        self, peer: BigPeer, observed: LogObserved, credentials: str
    ) -> Connection:
        connection = Connection()
        connection.files[contract.LOG_BOOTSTRAP_SERVERS] = ",".join(
            observed.bootstrap_servers
        ).encode()
        connection.files[contract.LOG_TOPIC] = observed.effective.topic.name.encode()
        connection.files[contract.LOG_SECURITY_PROTOCOL] = b"SSL"
        authority = f"{naming.kafka_name(peer)}-cluster-ca-cert"
        field = "spec.transactionLog.strimzi"
        secret = await read_secret(self.cache, ObjectKey(peer.namespace, authority))
        connection.take(secret, authority, field, {contract.LOG_CA: "ca.crt"})
        if secret is not None:
            connection.files[contract.LOG_CA] = all_certificates(secret)
        user = await read_secret(self.cache, ObjectKey(peer.namespace, credentials))
        files = {contract.LOG_CERTIFICATE: "user.crt", contract.LOG_KEY: "user.key"}
        connection.take(user, credentials, field, files)
        return connection

    async def _guard(self, manifest: Manifest, peer: BigPeer) -> None:
        """Set our finalizer before the first Kafka object that must go in order; else remove it."""
        wanted = (
            peer.spec.transaction_log.type is TransactionLogType.STRIMZI
            and peer.spec.deletion_policy is DeletionPolicy.DELETE
        )
        if wanted == has_finalizer(manifest, FINALIZER):
            return
        change = add_finalizer if wanted else remove_finalizer
        await change(self.client, manifest, FINALIZER, field_owner=FIELD_OWNER)

    async def _finalize(self, manifest: Manifest) -> Result:
        """Let a deleted BigPeer go when nothing of its Kafka cluster is left to go before it."""
        if not has_finalizer(manifest, FINALIZER):
            return DONE
        try:
            peer = BigPeer.parse(manifest)
        except InvalidSpec as error:
            # Nobody can tell what was to become of the data: it stays, and is in nobody's way.
            log.warning("transaction log abandoned", peer=str(key_of(manifest)), left=error.message)
        else:
            if self._changing(peer):
                return _SOON
            delete = peer.spec.deletion_policy is DeletionPolicy.DELETE
            if delete and await self.removal.step(peer, self.clock.now()):
                return _REMOVAL
        await remove_finalizer(self.client, manifest, FINALIZER, field_owner=FIELD_OWNER)
        return DONE

    async def _report(
        self, manifest: Manifest, observed: LogObserved, *, invalid: str = "", conflict: str = ""
    ) -> None:
        peer = observed.peer
        why = invalid or conflict
        reason = (
            TransactionLogReadyReason.NAME_CONFLICT
            if conflict
            else TransactionLogReadyReason.INVALID_SPEC
        )
        condition = (
            verdict(peer, ConditionType.TRANSACTION_LOG_READY, False, reason, why)
            if why
            else transaction_log_ready(observed)
        )
        reached: Manifest = {
            "bootstrapServers": list(observed.bootstrap_servers),
            "topic": observed.effective.topic.name,
            "connectionSecret": naming.connection_secret(peer),
        }
        if observed.api_version:
            reached["apiVersion"] = observed.api_version
        status = {
            "conditions": stamped(peer, [condition], self.clock.now()),
            "transactionLog": reached,
        }
        await write_status(self.cache, self.applier, manifest, status)


def setup(manager: Manager, *, workers: int = 10) -> None:
    """Add the transaction log reconciler to a manager."""
    cache, client = manager.cache, manager.client
    applier = new_applier(manager, FIELD_OWNER)
    removal = KafkaRemoval(cache, client)
    (
        controller("transaction-log")
        .for_(BIG_PEER, spec_changed())
        .watches(KAFKA, map_func(by_label))
        .watches(KAFKA_NODE_POOL, map_func(by_label))
        .watches(KAFKA_TOPIC, map_func(by_label))
        .watches(KAFKA_USER, map_func(by_label))
        .watches(SECRET, map_func(users_of_secret(cache)))
        .with_options(workers=workers)
        .build(manager, TransactionLogReconciler(cache, client, applier, manager.clock, removal))
    )
    add_indexes(cache)
