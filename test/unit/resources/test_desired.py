"""The ordered sets: everything a reconciler applies, each object once."""

from smbpctl.api.v1alpha1 import effective
from smbpctl.resources.desired import (
    foundation_objects,
    front_end_objects,
    kafka_objects,
    networking_objects,
    store_objects,
)
from smbpctl.runtime.meta import Manifest, gvk_of, key_of
from test.support.peers import INPUTS, a_peer, a_production_peer, a_strimzi_peer


def _kinds(objects: list[Manifest]) -> list[str]:
    return [each["kind"] for each in objects]


def test_no_object_is_wanted_twice() -> None:
    """Two functions that made the same object would fight."""
    peer = a_production_peer()
    computed = effective(peer)

    objects = [
        *foundation_objects(peer, computed),
        *store_objects(peer, INPUTS),
        *front_end_objects(peer, INPUTS),
        *networking_objects(peer, INPUTS),
    ]

    identities = [(gvk_of(each), key_of(each)) for each in objects]
    assert len(set(identities)) == len(identities)


def test_accounts_and_topology_come_first() -> None:
    """A pod that starts finds its account and its topology."""
    kinds = _kinds(foundation_objects(a_peer(), effective(a_peer())))

    assert kinds == [*["ServiceAccount"] * 4, "ConfigMap", "ConfigMap", "PodDisruptionBudget"]


def test_one_statefulset_per_partition_with_its_own_size() -> None:
    """A partition keeps the claim size it was made with; a new one takes the spec's."""
    peer = a_peer({"spec.store.partitions": 2, "spec.store.storage.size": "20Gi"})

    objects = store_objects(peer, INPUTS, {0: "10Gi"})

    sizes = [
        each["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
        for each in objects
    ]
    assert sizes == ["10Gi", "20Gi"]


def test_what_is_not_wanted_is_left_out() -> None:
    """No budget for one replica, no policies when switched off, no Kafka of somebody else's."""
    peer = a_peer({"spec.store.replicas": 1, "spec.networkPolicy": {"enabled": False}})
    computed = effective(peer)

    assert "PodDisruptionBudget" not in _kinds(foundation_objects(peer, computed))
    assert set(_kinds(networking_objects(peer, INPUTS))) == {"Service"}
    assert kafka_objects(peer, computed, "v1") == []


def test_kafka_before_what_lives_in_it() -> None:
    """The cluster and its nodes come before topic and user."""
    peer = a_strimzi_peer()

    kinds = _kinds(kafka_objects(peer, effective(peer), "v1"))

    assert kinds == ["Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"]
