"""Services: stable names for members, and one door per component inside the cluster."""

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest


def member_service(peer: BigPeer, partition: int) -> Manifest:
    """Return the headless Service that gives a partition's members their DNS names.

    Members are published before they are ready: they must find each other to become so.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": naming.metadata(
            peer, naming.partition_name(peer, partition), Component.STORE, partition
        ),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": naming.selector(peer, Component.STORE, partition),
            "ports": [_port(Component.STORE)],
        },
    }


def component_service(peer: BigPeer, component: Component) -> Manifest:
    """Return the Service that spreads requests over a component's ready pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": naming.metadata(peer, naming.name_of(peer, component), component),
        "spec": {
            "type": "ClusterIP",
            "selector": naming.selector(peer, component),
            "ports": [_port(component)],
        },
    }


def _port(component: Component) -> Manifest:
    port = contract.COMPONENTS[component].port
    return {"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}
