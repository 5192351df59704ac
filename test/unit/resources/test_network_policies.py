"""NetworkPolicies: deny by default, then exactly the flows that a component lives by."""

import pytest

from smbpctl.operand.contract import Component
from smbpctl.resources.network_policies import network_policy
from test.support.golden import Golden
from test.support.peers import (
    INPUTS,
    INPUTS_IN_CLUSTER,
    a_peer,
    a_production_peer,
    a_strimzi_peer,
)


@pytest.mark.parametrize("component", Component)
def test_golden(component: Component, golden: Golden) -> None:
    """The policy of every component: minimal, with named clients, and with a Kafka of our own."""
    policies = [
        network_policy(a_peer(), INPUTS, component),
        network_policy(a_production_peer(), INPUTS_IN_CLUSTER, component),
        network_policy(a_strimzi_peer(), INPUTS, component),
    ]

    golden(f"network_policies/{component.value}", [each for each in policies if each is not None])


def test_the_store_is_closed_to_clients() -> None:
    """Clients reach front-ends only: the store takes its own pods, and the operator's questions."""
    policy = network_policy(a_production_peer(), INPUTS_IN_CLUSTER, Component.STORE)

    assert policy is not None
    sources = [rule["from"] for rule in policy["spec"]["ingress"]]
    assert len(sources) == 2
    assert {"app.kubernetes.io/name": "smbpctl"} in (
        peer.get("podSelector", {}).get("matchLabels") for rule in sources for peer in rule
    )


def test_both_directions_are_denied_by_default() -> None:
    """Naming both policy types is what makes everything else forbidden."""
    policy = network_policy(a_peer(), INPUTS, Component.API)

    assert policy is not None
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_logs_ports_are_those_of_its_servers() -> None:
    """Egress follows the bootstrap servers, each port once, IPv6 included."""
    servers = ["b.test:9095", "[fd00::1]:9093", "a.test:9093"]
    peer = a_peer({"spec.transactionLog.external.bootstrapServers": servers})

    policy = network_policy(peer, INPUTS, Component.STORE)

    assert policy is not None
    assert [port["port"] for port in policy["spec"]["egress"][-1]["ports"]] == [9093, 9095]


def test_none_when_switched_off() -> None:
    """enabled: false leaves the cluster's own defaults in force."""
    peer = a_peer({"spec.networkPolicy": {"enabled": False}})

    assert network_policy(peer, INPUTS, Component.STORE) is None
