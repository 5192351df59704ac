"""The end of a Kafka cluster: in order, by UID, for ten minutes at most, in nobody's way."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.api.v1alpha1.defaults import effective
from smbpctl.reconcilers.kafka_removal import PATIENCE, KafkaRemoval
from smbpctl.reconcilers.kinds import (
    CLAIM,
    KAFKA,
    KAFKA_NODE_POOL,
    KAFKA_TOPIC,
    KAFKA_USER,
    NAMESPACE,
)
from smbpctl.resources.desired import kafka_objects
from smbpctl.runtime.errors import Forbidden
from smbpctl.runtime.meta import Manifest, ObjectKey, gvk_of, key_of
from test.support.fake_cluster import CORE, STRIMZI, FakeCluster
from test.support.fake_manager import FakeCache
from test.support.observations import NOW
from test.support.peers import UID, a_strimzi_peer

NAMES = [
    "Kafka demo-log",
    "KafkaNodePool broker-99e5095a",
    "KafkaTopic demo-log",
    "KafkaUser shop.demo",
]
BEGUN = NOW - timedelta(minutes=1)
MARK = BEGUN.strftime("%Y-%m-%dT%H:%M:%SZ")
TERMINATING = {"deletionTimestamp": MARK, "finalizers": ["strimzi.io/topic-operator"]}


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


def a_namespace(**metadata: object) -> Manifest:
    """Return the namespace of the BigPeer."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", **metadata}}


def a_claim(name: str, **labels: str) -> Manifest:
    """Return the claim of a broker, with the labels that Strimzi hands down from its pool."""
    handed = {"strimzi.io/cluster": "demo-log", "smbpctl.dev/bigpeer-uid": UID}
    metadata = {"name": name, "namespace": "shop", "labels": {**handed, **labels}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}


class Scene:
    """A BigPeer that is being deleted, and its Kafka cluster."""

    def __init__(self, *, served: bool = True, uid: str = UID) -> None:
        self.server = FakeCluster((*CORE, *STRIMZI) if served else CORE)
        cache: Any = FakeCache(self.server)
        for kind in (KAFKA, KAFKA_NODE_POOL, KAFKA_TOPIC, KAFKA_USER):
            cache.register_optional(kind)
        client: Any = self.server
        self.removal = KafkaRemoval(cache, client)
        self.peer = a_strimzi_peer({"metadata.deletionTimestamp": MARK})
        self.server.put(a_namespace())
        for each in kafka_objects(self.peer, effective(self.peer), "v1"):
            each["metadata"]["labels"]["smbpctl.dev/bigpeer-uid"] = uid
            self.server.put(each)
        self.claims = [f"data-0-demo-log-broker-99e5095a-{n}" for n in range(2)]
        for name in self.claims:
            self.server.put(a_claim(name, **{"smbpctl.dev/bigpeer-uid": uid}))

    async def step(self, now: datetime = NOW, peer: BigPeer | None = None) -> str:
        """Take one step."""
        return await self.removal.step(peer or self.peer, now)

    def left(self) -> list[str]:
        """Return what there is of Strimzi's, and claims."""
        return sorted(
            f"{gvk.kind} {name.name}"
            for gvk, name in self.server.objects
            if gvk.group == "kafka.strimzi.io" or gvk == CLAIM
        )

    def hold(self, kind: str, name: str) -> None:
        """Let an object have a finalizer, so that a delete only marks it."""
        (gvk,) = [each.gvk for each in STRIMZI if each.gvk.kind == kind]
        self.server.edit(
            gvk, key(name), lambda each: each["metadata"].update(finalizers=["strimzi.io/x"])
        )


class TestOrder:
    async def test_user_and_topic_then_kafka_then_pools_then_claims(self) -> None:
        """Each when what is before it has gone; at the end nothing is left."""
        scene = Scene()
        told, requests = [], []
        for _ in range(5):
            told.append(await scene.step())
            requests.append(scene.server.sent())

        assert requests == [
            ["delete KafkaUser shop/shop.demo", "delete KafkaTopic shop/demo-log"],
            ["delete Kafka shop/demo-log"],
            ["delete KafkaNodePool shop/broker-99e5095a"],
            [f"delete PersistentVolumeClaim shop/{name}" for name in scene.claims],
            [],
        ]
        assert told == [
            "KafkaUser shop/shop.demo, KafkaTopic shop/demo-log",
            "Kafka shop/demo-log",
            "KafkaNodePool shop/broker-99e5095a",
            f"PersistentVolumeClaim {', '.join(scene.claims)}",
            "",
        ]
        assert scene.left() == []

    async def test_every_delete_names_a_uid(self) -> None:
        """A namesake that is made meanwhile is another one."""
        scene = Scene()
        uids = {
            (gvk.kind, name): each["metadata"]["uid"]
            for (gvk, name), each in scene.server.objects.items()
        }

        for _ in range(4):
            await scene.step()

        deleted = {(each.kind, each.key): each.body["uid"] for each in scene.server.writes}
        assert len(deleted) == 6
        assert deleted == {slot: uids[slot] for slot in deleted}

    async def test_what_is_going_is_waited_for_and_not_deleted_again(self) -> None:
        """A topic with Strimzi's finalizer keeps Kafka: nobody else would remove it."""
        scene = Scene()
        scene.hold("KafkaTopic", "demo-log")
        await scene.step()
        scene.server.sent()

        told = await scene.step()

        assert told == "KafkaTopic shop/demo-log"
        assert scene.server.sent() == []
        assert "Kafka demo-log" in scene.left()

    async def test_a_topic_that_outlives_kafka_holds_up_nothing(self) -> None:
        """What takes its finalizer off ran beside Kafka: it would be there for ever."""
        scene = Scene()
        scene.hold("KafkaTopic", "demo-log")
        scene.server.remove(STRIMZI[0].gvk, key("demo-log"))

        for _ in range(3):
            await scene.step()

        assert await scene.step() == ""
        assert scene.left() == ["KafkaTopic demo-log"]

    async def test_nothing_was_ever_made(self) -> None:
        """Then there is nothing to wait for."""
        scene = Scene()
        for slot in list(scene.server.objects):
            if slot[0] != NAMESPACE:
                scene.server.remove(*slot)

        assert await scene.step() == ""


class TestWhoseItIs:
    async def test_a_namesake_s_cluster_is_not_touched(self) -> None:
        """Same names, another UID: neither objects nor claims, and nobody waits for them."""
        scene = Scene(uid="another-big-peer")

        assert await scene.step() == ""
        assert scene.server.sent() == []
        assert len(scene.left()) == 6

    async def test_claims_of_another_cluster_are_not_touched(self) -> None:
        """Another pool's, another BigPeer's, anybody's."""
        scene = Scene()
        others = [
            a_claim("data-0-other-broker-0", **{"strimzi.io/cluster": "other"}),
            a_claim("data-0-demo-log-broker-99e5095a-9", **{"smbpctl.dev/bigpeer-uid": "former"}),
        ]
        for each in others:
            scene.server.put(each)

        for _ in range(5):
            await scene.step()

        assert scene.left() == sorted(f"PersistentVolumeClaim {key_of(e).name}" for e in others)

    @pytest.mark.parametrize("kind", ["Kafka", "KafkaTopic", "KafkaUser", "KafkaNodePool"])
    async def test_one_object_of_somebody_else(self, kind: str) -> None:
        """Ours go, theirs stays."""
        scene = Scene()
        (theirs,) = [slot for slot in scene.server.objects if slot[0].kind == kind]
        label = {"smbpctl.dev/bigpeer-uid": "another-big-peer"}
        scene.server.edit(*theirs, lambda each: each["metadata"]["labels"].update(label))

        for _ in range(5):
            await scene.step()

        assert [each for each in scene.left() if "Claim" not in each] == [
            f"{kind} {theirs[1].name}"
        ]


class TestPatience:
    @pytest.mark.parametrize(
        ("waited", "released"),
        [(timedelta(0), False), (PATIENCE, False), (PATIENCE + timedelta(seconds=1), True)],
    )
    async def test_ten_minutes(self, waited: timedelta, released: bool) -> None:
        """Counted from the deletion of the BigPeer; what can be done is done all the same."""
        scene = Scene()
        scene.hold("KafkaTopic", "demo-log")

        told = await scene.step(now=BEGUN + waited)

        assert (told == "") is released
        assert scene.server.sent() == [
            "delete KafkaUser shop/shop.demo",
            "delete KafkaTopic shop/demo-log",
        ]

    def test_it_is_ten_minutes(self) -> None:
        """As the documentation says."""
        assert timedelta(minutes=10) == PATIENCE


class TestPointless:
    @pytest.mark.parametrize("namespace", [None, a_namespace(**TERMINATING)], ids=["gone", "going"])
    async def test_a_namespace_that_ends(self, namespace: Manifest | None) -> None:
        """Everything in it goes without us; waiting would only hold it up."""
        scene = Scene()
        scene.server.remove(NAMESPACE, ObjectKey("", "shop"))
        if namespace is not None:
            scene.server.put(namespace)

        assert await scene.step() == ""
        assert scene.server.sent() == []

    async def test_a_namespace_that_may_not_be_looked_at(self) -> None:
        """An operator of one namespace has no right to: it goes on as if all were well."""
        scene = Scene()
        scene.server.refusals["get Namespace"] = Forbidden("no", code=403)

        assert await scene.step() == "KafkaUser shop/shop.demo, KafkaTopic shop/demo-log"

    async def test_without_the_api_nobody_is_waited_for(self) -> None:
        """Strimzi was uninstalled, its objects with it; the claims are ours to take."""
        scene = Scene()
        for slot in list(scene.server.objects):
            if slot[0].group == "kafka.strimzi.io":
                scene.server.remove(*slot)
        scene.server.served_kinds = CORE

        assert await scene.step() == ""
        assert scene.left() == []

    async def test_a_crd_that_has_just_gone(self) -> None:
        """The cache does not know yet; the server does."""
        cache: Any = FakeCache(FakeCluster((*CORE, *STRIMZI)))
        for kind in (KAFKA, KAFKA_NODE_POOL, KAFKA_TOPIC, KAFKA_USER):
            cache.register_optional(kind)
        bare = FakeCluster(CORE)
        bare.put(a_namespace())
        client: Any = bare

        assert await KafkaRemoval(cache, client).step(a_strimzi_peer(), NOW) == ""


def test_the_scene_is_complete() -> None:
    """What the tests above rest on: one object of every kind, and they are of the served one."""
    scene = Scene()

    assert [each for each in scene.left() if "Claim" not in each] == NAMES
    assert {gvk_of(m).version for m in scene.server.objects.values()} == {"v1"}
