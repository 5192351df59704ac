"""NetworkingReady: every exposure is accepted and has an address."""

from smbpctl.api.v1alpha1 import Condition, ConditionType, NetworkingReadyReason
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import Endpoint, NetworkingObserved


def endpoint_reason(endpoint: Endpoint) -> NetworkingReadyReason | None:
    """Return what keeps an exposure from serving; None when it serves."""
    if not endpoint.class_found:
        return NetworkingReadyReason.CLASS_NOT_FOUND
    if not endpoint.exists or not endpoint.addresses:
        return NetworkingReadyReason.ADDRESS_PENDING
    return None


def networking_ready(observed: NetworkingObserved) -> Condition:
    """Return whether all exposures serve; the first one that does not is named."""
    kind = ConditionType.NETWORKING_READY
    if not observed.endpoints:
        return verdict(observed.peer, kind, True, NetworkingReadyReason.CLUSTER_INTERNAL)
    for endpoint in observed.endpoints:
        reason = endpoint_reason(endpoint)
        if reason is not None:
            message = f"exposure {endpoint.name}: {_explanation(endpoint, reason)}"
            return verdict(observed.peer, kind, False, reason, message)
    return verdict(observed.peer, kind, True, NetworkingReadyReason.ALL_SERVING)


def _explanation(endpoint: Endpoint, reason: NetworkingReadyReason) -> str:
    if reason is NetworkingReadyReason.CLASS_NOT_FOUND:
        return (
            f"IngressClass {endpoint.class_name} (spec.exposure[name={endpoint.name}].ingress"
            ".className) does not exist"
        )
    return f"{endpoint.type} {endpoint.object_name} has no address yet"
