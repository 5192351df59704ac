"""Bodies of deletions and evictions."""

from datetime import timedelta

from smbpctl.runtime.client.deletion import Propagation, delete_options, eviction
from smbpctl.runtime.meta import ObjectKey


def test_what_is_not_asked_is_left_to_the_server() -> None:
    """An empty precondition would be one."""
    options = delete_options(
        uid=None, resource_version=None, propagation=Propagation.FOREGROUND, grace_period=None
    )

    assert options == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
    }


def test_preconditions_and_grace_period() -> None:
    """A grace period of zero is a wish, not an absence."""
    options = delete_options(
        uid="u", resource_version="5", propagation=None, grace_period=timedelta(0)
    )

    assert options["preconditions"] == {"uid": "u", "resourceVersion": "5"}
    assert options["gracePeriodSeconds"] == 0


def test_an_eviction_names_the_pod_and_its_uid() -> None:
    """Otherwise it could hit the pod's successor, or a pod that changed meanwhile."""
    body = eviction(ObjectKey("ns", "a"), uid="u", resource_version="5", grace_period=None)

    assert body["metadata"] == {"name": "a", "namespace": "ns"}
    assert body["deleteOptions"]["preconditions"] == {"uid": "u", "resourceVersion": "5"}
    assert (body["apiVersion"], body["kind"]) == ("policy/v1", "Eviction")
