"""Ready: available, not degraded, everything observed, nothing pending."""

from smbpctl.api.v1alpha1 import Condition, ConditionStatus
from smbpctl.conditions.progressing import INPUTS
from smbpctl.conditions.ready import ready
from test.support.observations import OLD, a_partition, observe
from test.support.peers import a_peer

PEER = a_peer()


def _conditions(**statuses: ConditionStatus) -> list[Condition]:
    wanted = {kind.value: ConditionStatus.TRUE for kind in INPUTS}
    wanted |= {"Available": ConditionStatus.TRUE, "Degraded": ConditionStatus.FALSE, **statuses}
    return [
        Condition(type=kind, status=status, reason="R", message=f"of {kind}", observed_generation=3)
        for kind, status in wanted.items()
    ]


def test_ready() -> None:
    """All four hold."""
    assert ready(observe(), _conditions()).status is ConditionStatus.TRUE


def test_what_is_missing_is_said_in_order() -> None:
    """Availability first, then degradation, then observation, then pending steps."""
    unavailable = _conditions(Available=ConditionStatus.FALSE, Degraded=ConditionStatus.TRUE)
    degraded = _conditions(Degraded=ConditionStatus.TRUE)
    unknown = _conditions(TLSReady=ConditionStatus.UNKNOWN)
    rolling = observe(partitions=[a_partition(PEER, revision=OLD)])

    results = [
        ready(observe(), unavailable),
        ready(observe(), degraded),
        ready(observe(), unknown),
        ready(rolling, _conditions()),
    ]

    assert [r.reason for r in results] == ["NotAvailable", "Degraded", "NotObserved", "StepPending"]
    assert all(r.status is ConditionStatus.FALSE for r in results)
    assert results[0].message == "of Available"
    assert results[1].message == "of Degraded"


def test_maintenance_does_not_make_it_flap() -> None:
    """A False input that is no step of the spec (an address that is pending) leaves Ready alone."""
    conditions = _conditions(NetworkingReady=ConditionStatus.FALSE)

    assert ready(observe(), conditions).status is ConditionStatus.TRUE
