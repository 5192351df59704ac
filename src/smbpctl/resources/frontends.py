"""The stateless tiers in front of the store: api, subscription and auth servers."""

from typing import Final

from smbpctl.api.v1alpha1 import BigPeer, FrontEndSpec
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.resources.pods import pod_template
from smbpctl.runtime.meta import Manifest

FRONT_ENDS: Final = (Component.API, Component.SUBSCRIPTION, Component.AUTH)
"""The stateless tiers in the order in which they are brought up and rolled."""


def tier_of(peer: BigPeer, component: Component) -> FrontEndSpec:
    """Return the part of the spec that describes a stateless tier."""
    tiers = {
        Component.API: peer.spec.api,
        Component.SUBSCRIPTION: peer.spec.subscriptions,
        Component.AUTH: peer.spec.auth,
    }
    return tiers[component]


def tier_deployment(peer: BigPeer, inputs: Inputs, component: Component) -> Manifest:
    """Return the Deployment of a stateless tier; a rollout never takes a serving pod away first."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": naming.metadata(peer, naming.name_of(peer, component), component),
        "spec": {
            "replicas": tier_of(peer, component).replicas,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": naming.selector(peer, component)},
            "template": pod_template(peer, component, inputs),
        },
    }
