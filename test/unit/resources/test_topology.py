"""Topology ConfigMaps: what members mount, and the immutable copy of it."""

from smbpctl.api.v1alpha1 import effective
from smbpctl.operand.contract import TOPOLOGY_FILE
from smbpctl.operand.members import Topology
from smbpctl.resources.topology import configuration, topology, topology_copy
from test.support.golden import Golden
from test.support.peers import a_peer


def test_golden(golden: Golden) -> None:
    """The document of two partitions of three."""
    peer = a_peer({"spec.store.partitions": 2})

    golden(
        "topology/two_by_three",
        [topology_copy(peer, effective(peer)), topology(peer, effective(peer))],
    )


def test_members_can_read_it() -> None:
    """The ConfigMap holds the contract's file, with a member for every slot of the rectangle."""
    peer = a_peer({"spec.store.partitions": 2, "spec.store.replicas": 3})

    document = Topology.from_json(topology(peer, effective(peer))["data"][TOPOLOGY_FILE])

    assert document.current == configuration(peer, effective(peer))
    assert len(document.current.members) == 6
    assert document.next is None


def test_the_copy_is_immutable_and_equal() -> None:
    """Whatever becomes of the mounted one, the copy tells what it was."""
    peer = a_peer()

    copy = topology_copy(peer, effective(peer))

    assert copy["immutable"] is True
    assert copy["data"] == topology(peer, effective(peer))["data"]
    assert "immutable" not in topology(peer, effective(peer))
