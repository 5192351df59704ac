"""Deployments of the stateless tiers."""

import pytest

from smbpctl.operand.contract import Component
from smbpctl.resources.frontends import FRONT_ENDS, tier_deployment, tier_of
from test.support.golden import Golden
from test.support.peers import INPUTS, INPUTS_IN_CLUSTER, a_peer, a_production_peer


class TestTierDeployment:
    @pytest.mark.parametrize("component", FRONT_ENDS)
    def test_golden(self, component: Component, golden: Golden) -> None:
        """Every tier, minimal and with everything said."""
        minimal = tier_deployment(a_peer(), INPUTS, component)
        full = tier_deployment(a_production_peer(), INPUTS_IN_CLUSTER, component)

        golden(f"frontends/{component.value}", [minimal, full])

    def test_a_serving_pod_is_never_taken_first(self) -> None:
        """A new pod serves before an old one goes."""
        spec = tier_deployment(a_peer(), INPUTS, Component.API)["spec"]

        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_each_tier_has_its_part_of_the_spec() -> None:
    """Replicas of one tier are not those of another."""
    peer = a_peer({"spec.api": {"replicas": 3}, "spec.auth": {"replicas": 5}})

    replicas = [tier_of(peer, component).replicas for component in FRONT_ENDS]

    assert replicas == [3, 2, 5]
