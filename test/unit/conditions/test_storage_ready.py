"""StorageReady: bound, ours, large enough; the first claim that is not is named."""

import pytest

from smbpctl.api.v1alpha1 import ConditionStatus
from smbpctl.conditions.storage_ready import storage_ready
from test.support.observations import a_claim, observe
from test.support.peers import a_peer

PEER = a_peer({"spec.store.storage.size": "20Gi"})


def test_all_bound() -> None:
    """Every member has a claim of the size asked for."""
    assert storage_ready(observe(PEER)).status is ConditionStatus.TRUE


@pytest.mark.parametrize(
    ("differs", "reason", "word"),
    [
        ({"deleting": True}, "ClaimTerminating", "deleted"),
        ({"capacity": ""}, "ClaimsPending", "not bound"),
        ({"requested": "10Gi", "capacity": "10Gi", "expandable": False}, "ExpansionNotSupported",
         "spec.store.storage.size"),
        ({"capacity": "10Gi"}, "Resizing", "20Gi"),
    ],
)  # fmt: skip
def test_the_claim_is_named(differs: dict[str, object], reason: str, word: str) -> None:
    """One bad claim among good ones decides, and is named."""
    claims = [a_claim(PEER), a_claim(PEER, 1, **differs), a_claim(PEER, 2)]

    condition = storage_ready(observe(PEER, claims=claims))

    assert condition.status is ConditionStatus.FALSE
    assert condition.reason == reason
    assert "data-demo-store-0-1" in condition.message
    assert word in condition.message


def test_somebody_elses_claim_comes_first() -> None:
    """Data of a namesake is the worst that can be in the way."""
    condition = storage_ready(observe(PEER, stale_claims=("data-demo-store-0-0",)))

    assert condition.reason == "StaleClaim"
    assert "data-demo-store-0-0" in condition.message


def test_missing_claims_are_counted() -> None:
    """Before the StatefulSet controller made them all, storage is not ready."""
    condition = storage_ready(observe(PEER, claims=[a_claim(PEER)]))

    assert condition.reason == "ClaimsPending"
    assert "1 of 3" in condition.message
