"""The transaction log reconciler over a cluster in memory, with Strimzi and without."""

import base64
from datetime import timedelta

import pytest

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, Condition
from smbpctl.reconcilers import transaction_log
from smbpctl.reconcilers.kinds import CLAIM, KAFKA, SECRET
from smbpctl.reconcilers.transaction_log import FINALIZER
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of
from smbpctl.runtime.reconcile import DONE, Result
from test.support.bigpeers import edited, external_peer, strimzi_peer
from test.support.cluster_stage import a_secret
from test.support.fake_cluster import CORE, STRIMZI, FakeCluster
from test.support.fake_manager import FakeManager
from test.support.peers import PLACED, UID

AGAIN = Result(requeue_after=timedelta(seconds=10))
SOON = Result(requeue_after=timedelta(seconds=1))
REMOVING = Result(requeue_after=timedelta(seconds=2))
READY: Manifest = {"type": "Ready", "status": "True"}
LOG = "spec.transactionLog.external"
WITH_CA: Manifest = {f"{LOG}.tls": {"caSecretRef": {"name": "kafka-ca"}}}
MARK = {"deletionTimestamp": "2026-11-21T11:59:00Z"}
NAMES = {
    "Kafka": "demo-log",
    "KafkaNodePool": "broker-99e5095a",
    "KafkaTopic": "demo-log",
    "KafkaUser": "shop.demo",
}


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


class Stage:
    """A BigPeer `shop/demo` and its transaction log reconciler."""

    def __init__(
        self, edits: Manifest | None = None, *, strimzi: bool = False, version: str = ""
    ) -> None:
        served = tuple(
            type(each)(GroupVersionKind(each.gvk.group, version, each.gvk.kind), each.plural)
            if version
            else each
            for each in STRIMZI
        )
        self.kinds = {each.gvk.kind: each.gvk for each in served}
        self.server = FakeCluster((*CORE, *served))
        self.manager = FakeManager(self.server)
        transaction_log.setup(self.manager)  # type: ignore[arg-type]
        base = strimzi_peer() if strimzi else external_peer()
        self.server.put(edited({**base, **PLACED}, edits or {}))
        self.server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})

    async def reconcile(self) -> Result:
        """Run the reconciler once."""
        return await self.manager.reconcile()

    def say(self, kind: str, *conditions: Manifest, **status: object) -> None:
        """Let Strimzi report on one of its objects."""

        def report(each: Manifest) -> None:
            seen = {"observedGeneration": each["metadata"]["generation"]}
            each["status"] = {**seen, "conditions": list(conditions), **status}

        self.server.edit(self.kinds[kind], key(NAMES[kind]), report)

    def start_kafka(self) -> None:
        """Let Strimzi bring everything up."""
        listener = {"name": "tls", "bootstrapServers": "a:9093,b:9093"}
        self.say("Kafka", READY, listeners=[listener])
        self.say("KafkaTopic", READY)
        self.say("KafkaUser", READY, secret="shop.demo")
        self.server.put(a_secret("demo-log-cluster-ca-cert", ca_crt="new", **{"ca-1_crt": "old\n"}))
        self.server.put(a_secret("shop.demo", user_crt="certificate", user_key="key"))

    def change(self, edits: Manifest) -> None:
        """Replace values of the BigPeer by path."""
        manifest = self.server.find(BIG_PEER, key("demo"))
        self.server.put(edited(manifest, edits))

    def delete(self) -> None:
        """Mark the BigPeer as deleted."""
        self.server.edit(BIG_PEER, key("demo"), lambda peer: peer["metadata"].update(MARK))

    @property
    def finalizers(self) -> list[str]:
        """Return the finalizers of the BigPeer."""
        found: list[str] = self.server.find(BIG_PEER, key("demo"))["metadata"].get("finalizers", [])
        return found

    @property
    def peer(self) -> BigPeer:
        """Return the BigPeer as the server has it."""
        return BigPeer.parse(self.server.find(BIG_PEER, key("demo")))

    @property
    def condition(self) -> Condition:
        """Return the one condition that is reported."""
        (condition,) = self.peer.status.conditions
        assert condition.type == "TransactionLogReady"
        return condition

    def published(self) -> dict[str, bytes]:
        """Return the files of the connection Secret."""
        secret = self.server.find(SECRET, key("demo-transaction-log"))
        return {name: base64.b64decode(value) for name, value in secret["data"].items()}

    def strimzi_objects(self) -> list[str]:
        """Return what there is of Strimzi's kinds."""
        return sorted(gvk.kind for gvk, _ in self.server.objects if gvk.group == KAFKA.group)


class TestExternal:
    async def test_the_connection_is_published(self) -> None:
        """One Secret, owned by the BigPeer; how it is reached is in the status."""
        stage = Stage()

        result = await stage.reconcile()

        assert result == DONE
        assert stage.published() == {
            "bootstrap-servers": b"kafka.example.com:9092",
            "topic": b"shop.demo.transactions",
            "security-protocol": b"PLAINTEXT",
        }
        owners = stage.server.find(SECRET, key("demo-transaction-log"))["metadata"]
        assert [each["uid"] for each in owners["ownerReferences"]] == [UID]
        assert (stage.condition.status, stage.condition.reason) == ("True", "Ready")
        log = stage.peer.status.transaction_log
        assert log is not None
        assert log.to_manifest() == {
            "bootstrapServers": ["kafka.example.com:9092"],
            "topic": "shop.demo.transactions",
            "connectionSecret": "demo-transaction-log",
        }

    async def test_the_converged_cluster_is_left_alone(self) -> None:
        """Also by a process that has just started."""
        stage = Stage()
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()
        restarted = Stage()
        restarted.server.objects.update(stage.server.objects)
        restarted.server.owned.update(stage.server.owned)
        await restarted.reconcile()

        assert stage.server.sent() == restarted.server.sent() == []

    async def test_nothing_is_published_while_a_secret_is_missing(self) -> None:
        """Pods would start with half a connection."""
        stage = Stage(WITH_CA)

        result = await stage.reconcile()

        assert result == DONE
        assert (SECRET, key("demo-transaction-log")) not in stage.server.objects
        assert stage.condition.reason == "SecretNotFound"
        assert stage.condition.message == (
            f"Secret shop/kafka-ca ({LOG}.tls.caSecretRef) does not exist"
        )

    async def test_a_published_connection_outlives_its_sources(self) -> None:
        """What runs goes on; the condition says what is wrong."""
        stage = Stage(WITH_CA)
        stage.server.put(a_secret("kafka-ca", ca_crt="ca"))
        await stage.reconcile()
        stage.server.put(a_secret("kafka-ca", other="x"))

        await stage.reconcile()

        assert stage.published()["ca.crt"] == b"ca"
        assert stage.condition.reason == "SecretInvalid"
        assert "has no key ca.crt" in stage.condition.message

    async def test_a_changed_secret_is_published_in_one_write(self) -> None:
        """Members read all files or none of the change."""
        stage = Stage(WITH_CA)
        stage.server.put(a_secret("kafka-ca", ca_crt="old"))
        await stage.reconcile()
        stage.server.put(a_secret("kafka-ca", ca_crt="new"))
        stage.server.sent()

        await stage.reconcile()

        assert stage.server.sent() == ["apply Secret shop/demo-transaction-log"]
        assert stage.published()["ca.crt"] == b"new"

    async def test_no_finalizer(self) -> None:
        """There is nothing of ours to end in order."""
        stage = Stage({"spec.deletionPolicy": "Delete"})

        await stage.reconcile()

        assert stage.finalizers == []


class TestStrimzi:
    async def test_the_objects_are_applied_in_order(self) -> None:
        """And what is waited for is named."""
        stage = Stage(strimzi=True)

        result = await stage.reconcile()

        assert stage.server.sent() == [
            "apply Kafka shop/demo-log",
            "apply KafkaNodePool shop/broker-99e5095a",
            "apply KafkaTopic shop/demo-log",
            "apply KafkaUser shop/shop.demo",
            "apply BigPeer/status shop/demo",
        ]
        assert result == DONE
        assert stage.condition.reason == "KafkaNotReady"
        assert stage.condition.message == "Kafka shop/demo-log: waits for Strimzi"

    async def test_only_the_user_has_an_owner(self) -> None:
        """Garbage collection knows no order, and a topic's data goes with its object."""
        stage = Stage(strimzi=True)

        await stage.reconcile()

        owned = {
            kind
            for kind, name in NAMES.items()
            if stage.server.find(stage.kinds[kind], key(name))["metadata"].get("ownerReferences")
        }
        assert owned == {"KafkaUser"}

    async def test_ready(self) -> None:
        """Every certificate of the authority, the user's credentials, the listener's addresses."""
        stage = Stage(strimzi=True)
        await stage.reconcile()
        stage.start_kafka()

        await stage.reconcile()
        stage.server.sent()
        result = await stage.reconcile()

        assert stage.published() == {
            "bootstrap-servers": b"a:9093,b:9093",
            "topic": b"shop.demo.transactions",
            "security-protocol": b"SSL",
            "ca.crt": b"old\nnew\n",
            "tls.crt": b"certificate",
            "tls.key": b"key",
        }
        assert (stage.condition.status, stage.condition.reason) == ("True", "Ready")
        assert (result, stage.server.sent()) == (DONE, [])

    @pytest.mark.parametrize("version", ["v1", "v1beta2"])
    async def test_the_served_version_is_used_and_shown(self, version: str) -> None:
        """Strimzi moved from one to the other."""
        stage = Stage(strimzi=True, version=version)

        await stage.reconcile()

        log = stage.peer.status.transaction_log
        assert stage.strimzi_objects() == sorted(NAMES)
        assert log is not None
        assert log.api_version == f"kafka.strimzi.io/{version}"

    async def test_strimzi_s_words_are_lifted(self) -> None:
        """NotReady that is True, Ready that is False, and a pause."""
        stage = Stage(strimzi=True)
        await stage.reconcile()
        stage.start_kafka()
        told = {}
        for kind, condition in (
            ("Kafka", {"type": "NotReady", "status": "True", "reason": "A", "message": "a"}),
            ("KafkaTopic", {"type": "Ready", "status": "False", "reason": "B", "message": "b"}),
            ("KafkaUser", {"type": "ReconciliationPaused", "status": "True", "message": "c"}),
        ):
            stage.start_kafka()
            stage.say(kind, condition)
            await stage.reconcile()
            told[kind] = (stage.condition.reason, stage.condition.message)

        assert told == {
            "Kafka": ("KafkaNotReady", "Kafka shop/demo-log: A: a"),
            "KafkaTopic": ("TopicNotReady", "KafkaTopic shop/demo-log: B: b"),
            "KafkaUser": (
                "ReconciliationPaused",
                "KafkaUser shop/shop.demo is paused or unmanaged in Strimzi: c",
            ),
        }

    async def test_credentials_that_are_not_there_yet(self) -> None:
        """Strimzi makes the Secrets in a moment; until then nothing is published."""
        stage = Stage(strimzi=True)
        await stage.reconcile()
        stage.start_kafka()
        stage.server.remove(SECRET, key("shop.demo"))

        await stage.reconcile()

        assert stage.condition.reason == "SecretNotFound"
        assert "shop/shop.demo" in stage.condition.message
        assert (SECRET, key("demo-transaction-log")) not in stage.server.objects

    async def test_kafka_that_is_not_ready_keeps_what_was_published(self) -> None:
        """A restart of a broker must not roll the store."""
        stage = Stage(strimzi=True)
        await stage.reconcile()
        stage.start_kafka()
        await stage.reconcile()
        before = stage.published()
        stage.say("Kafka", {"type": "NotReady", "status": "True"})

        await stage.reconcile()

        assert stage.published() == before
        assert stage.condition.status == "False"

    async def test_not_installed(self) -> None:
        """It is said, and looked for: no watch can announce what is not served."""
        stage = Stage(strimzi=True)
        stage.server.served_kinds = CORE

        result = await stage.reconcile()

        assert result == AGAIN
        assert stage.condition.reason == "StrimziNotInstalled"
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]

    async def test_half_of_it_is_not_enough(self) -> None:
        """One CRD is missing: nothing is applied that could not be completed."""
        stage = Stage(strimzi=True)
        stage.server.served_kinds = tuple(
            each for each in stage.server.served_kinds if each.gvk.kind != "KafkaNodePool"
        )

        assert await stage.reconcile() == AGAIN
        assert stage.strimzi_objects() == []

    async def test_while_its_version_changes_nothing_is_said(self) -> None:
        """A CRD that is being listed looks like an absent one, for a moment."""
        stage = Stage(strimzi=True)
        stage.manager.cache.listing.add(KAFKA.group_kind)

        result = await stage.reconcile()

        assert (result, stage.server.sent()) == (SOON, [])

    async def test_the_external_log_does_not_wait_for_it(self) -> None:
        """Whatever happens to Strimzi's API."""
        stage = Stage()
        stage.manager.cache.listing.add(KAFKA.group_kind)

        assert await stage.reconcile() == DONE


class TestTrouble:
    @pytest.mark.parametrize("kind", sorted(NAMES))
    async def test_a_name_that_is_taken(self, kind: str) -> None:
        """It is left alone and named, and tried again."""
        stage = Stage(strimzi=True)
        gvk = stage.kinds[kind]
        foreign = {
            "apiVersion": gvk.api_version,
            "kind": kind,
            "metadata": {"name": NAMES[kind], "namespace": "shop", "uid": "theirs"},
        }
        stage.server.put(foreign)
        before = stage.server.find(gvk, key(NAMES[kind]))

        result = await stage.reconcile()

        assert result == AGAIN
        assert stage.condition.reason == "NameConflict"
        assert f"{kind} shop/{NAMES[kind]}" in stage.condition.message
        assert stage.server.find(gvk, key(NAMES[kind])) == before

    async def test_a_connection_secret_of_somebody_else(self) -> None:
        """Neither overwritten nor adopted."""
        stage = Stage()
        stage.server.put(a_secret("demo-transaction-log", key="theirs"))

        await stage.reconcile()

        assert stage.published() == {"key": b"theirs"}
        assert stage.condition.reason == "NameConflict"

    async def test_an_invalid_spec(self) -> None:
        """Nothing is applied, no finalizer is set."""
        stage = Stage(
            {"spec.transactionLog.strimzi.brokers": 2, "spec.deletionPolicy": "Delete"},
            strimzi=True,
        )

        result = await stage.reconcile()

        assert result == DONE
        assert stage.condition.reason == "InvalidSpec"
        assert "spec.transactionLog.strimzi.brokers" in stage.condition.message
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]


class TestFinalizer:
    async def test_it_is_there_before_the_first_kafka_object(self) -> None:
        """Else a deletion in between would leave a cluster that nobody ends."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)

        await stage.reconcile()

        assert stage.server.sent()[:2] == ["patch BigPeer shop/demo", "apply Kafka shop/demo-log"]
        assert stage.finalizers == [FINALIZER]

    async def test_it_is_set_once(self) -> None:
        """The second pass finds it."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()

        assert [each for each in stage.server.sent() if each.startswith("patch")] == []

    async def test_retain_needs_none(self) -> None:
        """Kafka is left running untouched."""
        stage = Stage(strimzi=True)

        await stage.reconcile()

        assert stage.finalizers == []

    async def test_it_goes_when_the_policy_changes(self) -> None:
        """Others' finalizers stay."""
        stage = Stage(
            {"spec.deletionPolicy": "Delete", "metadata.finalizers": ["example.com/x"]},
            strimzi=True,
        )
        await stage.reconcile()
        stage.change({"spec.deletionPolicy": "Retain"})

        await stage.reconcile()

        assert stage.finalizers == ["example.com/x"]


class TestDeletion:
    async def test_kafka_goes_first_and_then_the_big_peer(self) -> None:
        """Step by step, in order; the finalizer last."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.delete()
        stage.server.sent()
        results = [await stage.reconcile() for _ in range(4)]

        assert results == [REMOVING, REMOVING, REMOVING, DONE]
        assert stage.server.sent() == [
            "delete KafkaUser shop/shop.demo",
            "delete KafkaTopic shop/demo-log",
            "delete Kafka shop/demo-log",
            "delete KafkaNodePool shop/broker-99e5095a",
            "patch BigPeer shop/demo",
        ]
        assert (BIG_PEER, key("demo")) not in stage.server.objects

    async def test_claims_are_waited_for(self) -> None:
        """A re-created BigPeer of this name would bind them."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        labels = {"strimzi.io/cluster": "demo-log", "smbpctl.dev/bigpeer-uid": UID}
        protected = {"finalizers": ["kubernetes.io/pvc-protection"], "labels": labels}
        stage.server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": "data-0-demo-log-broker-99e5095a-0",
                    "namespace": "shop",
                    **protected,
                },
            }
        )
        stage.delete()

        results = [await stage.reconcile() for _ in range(5)]
        stage.server.remove(CLAIM, key("data-0-demo-log-broker-99e5095a-0"))

        assert results == [REMOVING] * 5
        assert await stage.reconcile() == DONE
        assert (BIG_PEER, key("demo")) not in stage.server.objects

    async def test_it_is_released_after_ten_minutes(self) -> None:
        """With what is left, left."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.server.edit(
            stage.kinds["KafkaTopic"],
            key("demo-log"),
            lambda topic: topic["metadata"].update(finalizers=["strimzi.io/topic-operator"]),
        )
        stage.delete()
        early = await stage.reconcile()
        stage.manager.clock.advance(timedelta(minutes=11))

        late = await stage.reconcile()

        assert (early, late) == (REMOVING, DONE)
        assert (BIG_PEER, key("demo")) not in stage.server.objects
        assert "Kafka" in stage.strimzi_objects()

    async def test_retain_leaves_kafka_untouched(self) -> None:
        """Also when the policy was changed in the last moment and the finalizer is there."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.change({"spec.deletionPolicy": "Retain"})
        stage.delete()

        result = await stage.reconcile()

        assert result == DONE
        assert stage.strimzi_objects() == sorted(NAMES)
        assert (BIG_PEER, key("demo")) not in stage.server.objects

    async def test_without_our_finalizer_nothing_is_done(self) -> None:
        """Whoever else keeps the BigPeer: it is none of our business."""
        stage = Stage({"metadata.finalizers": ["example.com/x"]}, strimzi=True)
        await stage.reconcile()
        stage.delete()
        stage.server.sent()

        assert await stage.reconcile() == DONE
        assert stage.server.sent() == []

    async def test_a_spec_that_cannot_be_read_holds_up_nobody(self) -> None:
        """A BigPeer of another version of the schema, in a namespace that is to go."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.change({"spec.version": 7})
        stage.delete()

        result = await stage.reconcile()

        assert result == DONE
        assert (BIG_PEER, key("demo")) not in stage.server.objects
        assert stage.strimzi_objects() == sorted(NAMES)

    async def test_an_upgrade_of_strimzi_is_waited_for(self) -> None:
        """For that moment its objects cannot be seen: released now, they would be left behind."""
        stage = Stage({"spec.deletionPolicy": "Delete"}, strimzi=True)
        await stage.reconcile()
        stage.delete()
        stage.manager.cache.listing.add(KAFKA.group_kind)

        result = await stage.reconcile()

        assert result == SOON
        assert stage.finalizers == [FINALIZER]

    async def test_a_big_peer_that_is_gone_is_nothing_to_do(self) -> None:
        """The last event of an object finds it gone."""
        stage = Stage()
        stage.server.remove(BIG_PEER, key("demo"))

        assert await stage.reconcile() == DONE
        assert stage.server.sent() == []


class TestWakes:
    async def test_strimzi_s_objects_and_secrets_wake(self) -> None:
        """Whatever decides on the connection; its own status does not."""
        stage = Stage(strimzi=True)
        await stage.reconcile()
        stage.start_kafka()
        await stage.reconcile()
        woken = await stage.manager.listen()
        told: dict[str, list[str]] = {}

        for kind in NAMES:
            stage.say(kind, {"type": "Warning", "status": "True"})
            told[kind] = woken.take()
        for name in ("demo-log-cluster-ca-cert", "shop.demo", "demo-transaction-log", "unrelated"):
            stage.server.put(a_secret(name, changed="x"))
            told[name] = woken.take()
        stage.server.edit(BIG_PEER, key("demo"), lambda peer: peer["status"].update(version="1"))
        told["status"] = woken.take()

        silent = {name for name, keys in told.items() if not keys}
        assert silent == {"unrelated", "status"}
        assert {each for keys in told.values() for each in keys} == {"shop/demo"}


def test_the_names_are_those_of_the_objects() -> None:
    """What the tests above rest on."""
    assert key_of(edited({**strimzi_peer(), **PLACED}, {})) == key("demo")
    assert sorted(NAMES) == sorted(each.gvk.kind for each in STRIMZI)
