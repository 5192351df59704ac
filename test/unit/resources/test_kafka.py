"""Strimzi objects: the fields all versions share, one partition, literal rights."""

import pytest

from smbpctl.api.v1alpha1 import effective
from smbpctl.resources.kafka import VERSIONS, kafka, kafka_node_pool, kafka_topic, kafka_user
from smbpctl.runtime.meta import Manifest
from test.support.golden import Golden
from test.support.peers import RESOURCES, UID, a_peer, a_strimzi_peer


def _all(version: str, **edits: object) -> list[Manifest]:
    peer = a_strimzi_peer({path.replace("__", "."): value for path, value in edits.items()})
    computed = effective(peer)
    made = [
        kafka(peer, computed, version),
        kafka_node_pool(peer, version),
        kafka_topic(peer, computed, version),
        kafka_user(peer, computed, version),
    ]
    return [each for each in made if each is not None]


def test_golden(golden: Golden) -> None:
    """Defaults, and a cluster that says everything."""
    full = {
        "version": "4.3.1",
        "brokers": 5,
        "storage": {"size": "50Gi", "storageClassName": "fast"},
        "resources": RESOURCES,
    }
    topic = {"name": "writes", "replicas": 5, "minInSyncReplicas": 3, "retention": "24h"}

    golden("kafka/minimal", _all("v1"))
    golden(
        "kafka/full",
        _all("v1", spec__transactionLog__strimzi=full, spec__transactionLog__topic=topic),
    )


def test_the_version_is_the_only_difference() -> None:
    """What is written is valid in every served version."""
    one, other = (_all(version) for version in VERSIONS)

    for each in (*one, *other):
        each.pop("apiVersion")
    assert one == other


def test_one_partition_always() -> None:
    """Offsets are the store's timestamps: they need one order."""
    topic = _all("v1")[2]

    assert topic["spec"]["partitions"] == 1
    assert topic["spec"]["config"]["retention.ms"] == 168 * 3600 * 1000


def test_only_the_user_may_be_garbage_collected() -> None:
    """A topic's data goes with its KafkaTopic: only we delete it, and only when told to."""
    *log, user = _all("v1")

    assert all(each["metadata"]["ownerReferences"] == [] for each in log)
    assert "ownerReferences" not in user["metadata"]
    assert all(each["metadata"]["labels"]["smbpctl.dev/bigpeer-uid"] == UID for each in log)


def test_rights_are_literal() -> None:
    """No prefix, no wildcard: a user of one BigPeer never reads another's log."""
    user = _all("v1")[3]

    for acl in user["spec"]["authorization"]["acls"]:
        assert acl["resource"]["patternType"] == "literal"
        assert acl["resource"]["name"] == "shop.demo.transactions"


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_outside_strimzi_mode(version: str) -> None:
    """Of somebody else's Kafka nothing is ours."""
    peer = a_peer()
    computed = effective(peer)

    assert kafka(peer, computed, version) is None
    assert kafka_node_pool(peer, version) is None
    assert kafka_topic(peer, computed, version) is None
    assert kafka_user(peer, computed, version) is None
