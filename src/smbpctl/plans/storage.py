"""The claims: who owns them, and whether they grow."""

from dataclasses import dataclass
from typing import final

from smbpctl.api.v1alpha1 import DeletionPolicy
from smbpctl.api.v1alpha1.quantity import compare_quantities
from smbpctl.observed import Claim, ClusterObserved


@final
@dataclass(frozen=True, slots=True)
class ClaimChange:
    """What must change on one claim; both are safe to repeat.

    `owned` makes the claim a child of the BigPeer (True), frees it (False) or leaves it (None);
    `grow_to` is the new request, always larger than the present one, None to leave it.
    """

    claim: Claim
    owned: bool | None = None
    grow_to: str | None = None


def plan_claims(observed: ClusterObserved) -> tuple[ClaimChange, ...]:
    """Return the changes that the claims of this very BigPeer need.

    A claim belongs to it only if it carries its UID; a claim of a namesake is never touched. The
    owner reference exists exactly while the policy says Delete, so that garbage collection takes
    the data with the BigPeer then, and never otherwise.
    """
    changes = (
        ClaimChange(claim, _ownership(observed, claim), _growth(observed, claim))
        for claim in observed.claims
        if claim.peer_uid == observed.peer.uid and not claim.deleting
    )
    return tuple(c for c in changes if c.owned is not None or c.grow_to is not None)


def too_small(observed: ClusterObserved, claim: Claim) -> bool:
    """Tell whether a claim's request is smaller than the spec asks for."""
    return compare_quantities(claim.requested, observed.peer.spec.store.storage.size) < 0


def _ownership(observed: ClusterObserved, claim: Claim) -> bool | None:
    wanted = observed.peer.spec.deletion_policy is DeletionPolicy.DELETE
    return None if claim.owned == wanted else wanted


def _growth(observed: ClusterObserved, claim: Claim) -> str | None:
    if not claim.expandable or not too_small(observed, claim):
        return None
    return observed.peer.spec.store.storage.size
