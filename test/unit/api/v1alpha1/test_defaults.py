"""Computed defaults."""

import pytest

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.api.v1alpha1.defaults import effective
from test.support.bigpeers import Edits, edited, external_peer, strimzi_peer

LOG = "spec.transactionLog"


def strimzi(edits: Edits) -> BigPeer:
    """A BigPeer with a Kafka cluster of its own, in namespace `ns`."""
    return BigPeer.parse(edited(strimzi_peer(), {"metadata.namespace": "ns", **edits}))


@pytest.mark.parametrize(("replicas", "minimum"), [(1, 1), (2, 1), (3, 2), (9, 8)])
def test_minimum_replicas(replicas: int, minimum: int) -> None:
    """The floor is one below the replicas, and never below one."""
    peer = strimzi({"spec.store.replicas": replicas})

    assert effective(peer).minimum_replicas == minimum


def test_given_minimum_replicas_wins() -> None:
    """A floor in the spec is taken as it is."""
    assert effective(strimzi({"spec.store.minimumReplicas": 3})).minimum_replicas == 3


def test_topic_name() -> None:
    """The topic is named after namespace and name, unless the spec names it."""
    computed = effective(strimzi({}))
    given = effective(strimzi({f"{LOG}.topic.name": "log"}))

    assert computed.topic.name == "ns.demo.transactions"
    assert given.topic.name == "log"


@pytest.mark.parametrize(
    ("brokers", "replicas", "in_sync"), [(1, 1, 1), (3, 3, 2), (5, 3, 2), (9, 3, 2)]
)
def test_topic_numbers_follow_the_brokers(brokers: int, replicas: int, in_sync: int) -> None:
    """Copies are at most three and at most the brokers; all but one must have a write."""
    topic = effective(strimzi({f"{LOG}.strimzi.brokers": brokers})).topic

    assert (topic.replicas, topic.min_in_sync_replicas) == (replicas, in_sync)


def test_in_sync_follows_given_replicas() -> None:
    """A number in the spec is what the dependent default is computed from."""
    topic = effective(strimzi({f"{LOG}.topic.replicas": 2})).topic

    assert (topic.replicas, topic.min_in_sync_replicas) == (2, 1)


def test_given_in_sync_wins() -> None:
    """A number in the spec is taken as it is."""
    topic = effective(strimzi({f"{LOG}.topic.minInSyncReplicas": 3})).topic

    assert topic.min_in_sync_replicas == 3


def test_external_topic_is_not_sized() -> None:
    """A topic of somebody else's has no numbers of ours, in the model and in the status."""
    shown = effective(BigPeer.parse(external_peer()))

    assert shown.topic.replicas is None
    assert shown.to_manifest()["topic"] == {"name": ".demo.transactions"}


def test_image_prefix() -> None:
    """The spec's prefix wins over the operator's setting."""
    setting = effective(strimzi({}), image_prefix="registry.test/op")
    given = effective(strimzi({"spec.image.prefix": "r.test/x"}), image_prefix="registry.test/op")

    assert setting.image_prefix == "registry.test/op"
    assert given.image_prefix == "r.test/x"
