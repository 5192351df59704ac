"""The cluster on paper: unique addresses, zones in turn, and a plan that survives its file."""

from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from pathlib import Path

from hack.cluster.plan import CONTROL_PLANE_ADDRESS, MAXIMUM_NODES, POD_NETWORK, NodePlan, Plan
from test.support.cluster_plan import a_plan


def test_addresses_never_collide(tmp_path: Path) -> None:
    """However many nodes: each has an address and a pod network of its own."""
    nodes = a_plan(tmp_path, nodes=MAXIMUM_NODES).node_plans()

    addresses = {node.address for node in nodes} | {CONTROL_PLANE_ADDRESS}
    networks = [IPv4Network(node.pod_network) for node in nodes]

    assert len(addresses) == MAXIMUM_NODES + 1
    assert all(ip_address(address) in IPv4Network("10.87.0.0/24") for address in addresses)
    assert len(set(networks)) == MAXIMUM_NODES
    assert all(network.subnet_of(IPv4Network(POD_NETWORK)) for network in networks)


def test_zones_go_round() -> None:
    """Three nodes are in three zones, the fourth is in the first again."""
    zones = [NodePlan(number).zone for number in (1, 2, 3, 4)]

    assert zones == ["zone-a", "zone-b", "zone-c", "zone-a"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The processes inside see the very plan of the one outside."""
    plan = replace(a_plan(tmp_path), images=("/a.tar", "/b.tar"), grace_seconds=7)

    plan.write()

    assert Plan.read(tmp_path) == plan
