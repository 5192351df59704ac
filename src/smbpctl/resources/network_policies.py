"""NetworkPolicies: deny by default, then exactly the flows a component lives by."""

from typing import Final

from smbpctl.api.v1alpha1 import BigPeer, NetworkClient, TransactionLogType
from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.runtime.meta import Manifest

# 5353 is where OpenShift's cluster DNS listens behind its Service.
_DNS: Final[Manifest] = {
    "ports": [
        {"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("UDP", "TCP")
    ]
}
_KAFKA_TLS_PORT: Final = 9093


def network_policy(peer: BigPeer, inputs: Inputs, component: Component) -> Manifest | None:
    """Return the policy of a component; None where the BigPeer asks for none.

    Everything of one BigPeer may talk to its store and its auth servers, the operator may ask
    store members for their state, and `spec.networkPolicy.clients` (everybody, when it is empty)
    may reach the front-ends. The kubelet's probes are exempt by definition.
    """
    if not peer.spec.network_policy.enabled:
        return None
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": naming.metadata(peer, naming.name_of(peer, component), component),
        "spec": {
            "podSelector": {"matchLabels": naming.selector(peer, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _ingress(peer, inputs, component),
            "egress": [_DNS, {"to": [_own_pods(peer)]}, _log_egress(peer)],
        },
    }


def _ingress(peer: BigPeer, inputs: Inputs, component: Component) -> list[Manifest]:
    port = {"protocol": "TCP", "port": contract.COMPONENTS[component].port}
    rules: list[Manifest] = [{"from": [_own_pods(peer)], "ports": [port]}]
    if inputs.operator_namespace:
        rules.append({"from": [_operator(inputs)], "ports": [port]})
    if component is not Component.STORE:
        clients = [_client(client) for client in peer.spec.network_policy.clients]
        rules.append({"from": clients, "ports": [port]} if clients else {"ports": [port]})
    return rules


def _own_pods(peer: BigPeer) -> Manifest:
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": peer.name}}}


def _operator(inputs: Inputs) -> Manifest:
    namespace = {"kubernetes.io/metadata.name": inputs.operator_namespace}
    pods = {"app.kubernetes.io/name": naming.MANAGED_BY}
    return {"namespaceSelector": {"matchLabels": namespace}, "podSelector": {"matchLabels": pods}}


def _client(client: NetworkClient) -> Manifest:
    selectors = {
        "namespaceSelector": client.namespace_selector,
        "podSelector": client.pod_selector,
    }
    return {
        name: {"matchLabels": dict(selector.match_labels)}
        for name, selector in selectors.items()
        if selector is not None
    }


def _log_egress(peer: BigPeer) -> Manifest:
    """Allow the log's ports: to Strimzi's brokers, or anywhere for a log outside the cluster."""
    external = peer.spec.transaction_log.external
    if peer.spec.transaction_log.type is TransactionLogType.STRIMZI or external is None:
        brokers = {"strimzi.io/cluster": naming.kafka_name(peer)}
        return {
            "to": [{"podSelector": {"matchLabels": brokers}}],
            "ports": [{"protocol": "TCP", "port": _KAFKA_TLS_PORT}],
        }
    ports = sorted({int(server.rpartition(":")[2]) for server in external.bootstrap_servers})
    return {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
