"""Services: names of members, and one door per component."""

from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.resources.services import component_service, member_service
from smbpctl.resources.store import store_statefulset
from test.support.golden import Golden
from test.support.peers import INPUTS, a_peer


def test_golden(golden: Golden) -> None:
    """All Services of a minimal BigPeer."""
    peer = a_peer()

    golden(
        "services/all",
        [member_service(peer, 0), *(component_service(peer, each) for each in Component)],
    )


def test_members_find_each_other_before_they_are_ready() -> None:
    """The StatefulSet's Service is headless and publishes addresses that are not ready."""
    service = member_service(a_peer(), 0)
    statefulset = store_statefulset(a_peer(), INPUTS, 0, claim_size="1Gi")

    assert statefulset["spec"]["serviceName"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_ports_are_those_of_the_contract() -> None:
    """Whoever knows the contract knows the Service's port."""
    for component in Component:
        service = component_service(a_peer(), component)

        assert service["spec"]["ports"][0]["port"] == COMPONENTS[component].port
