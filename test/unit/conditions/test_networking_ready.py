"""NetworkingReady: every exposure has its class and an address."""

from dataclasses import replace

from smbpctl.api.v1alpha1 import ConditionStatus
from smbpctl.conditions.networking_ready import (
    endpoint_reason,
    networking_ready,
)
from smbpctl.observed import Endpoint, NetworkingObserved
from test.support.peers import a_peer

SERVING = Endpoint("web", "Ingress", "demo-web", ("h",), True, True, ("10.0.0.1",), True, "nginx")


def _ready(*endpoints: Endpoint) -> tuple[ConditionStatus, str, str]:
    condition = networking_ready(NetworkingObserved(a_peer(), endpoints))
    return condition.status, condition.reason, condition.message


def test_no_exposure_is_cluster_internal() -> None:
    """Services alone are complete."""
    assert _ready()[:2] == (ConditionStatus.TRUE, "ClusterInternal")


def test_all_serving() -> None:
    """Each has an address."""
    assert _ready(SERVING)[:2] == (ConditionStatus.TRUE, "AllServing")
    assert endpoint_reason(SERVING) is None


def test_a_missing_class_is_named_with_its_field() -> None:
    """The class comes before the address: without it there will never be one."""
    status, reason, message = _ready(replace(SERVING, class_found=False, addresses=()))

    assert (status, reason) == (ConditionStatus.FALSE, "ClassNotFound")
    assert "nginx" in message
    assert "spec.exposure[name=web].ingress.className" in message


def test_the_first_without_an_address_is_named() -> None:
    """An object that does not exist has none either."""
    waiting = replace(SERVING, name="api", object_name="demo-api", exists=False)

    status, reason, message = _ready(SERVING, waiting)

    assert (status, reason) == (ConditionStatus.FALSE, "AddressPending")
    assert "exposure api" in message
    assert "demo-api" in message
