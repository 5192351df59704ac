"""Claims: owned exactly while the policy says Delete, grown where the class allows it."""

from smbpctl.plans.storage import ClaimChange, plan_claims, too_small
from test.support.observations import a_claim, observe
from test.support.peers import a_peer

DELETE = {"spec.deletionPolicy": "Delete"}
BIGGER = {"spec.store.storage.size": "20Gi"}


class TestOwnership:
    def test_retain_wants_free_claims(self) -> None:
        """A claim that is still owned from an earlier policy is freed."""
        peer = a_peer()
        owned = a_claim(peer, owned=True)

        changes = plan_claims(observe(peer, claims=[owned, a_claim(peer, 1)]))

        assert changes == (ClaimChange(owned, owned=False),)

    def test_delete_wants_owned_claims(self) -> None:
        """Garbage collection takes only what is owned."""
        peer = a_peer(DELETE)
        free = a_claim(peer)

        changes = plan_claims(observe(peer, claims=[free, a_claim(peer, 1, owned=True)]))

        assert changes == (ClaimChange(free, owned=True),)

    def test_a_namesakes_claims_are_not_touched(self) -> None:
        """Only a claim with this BigPeer's UID is its claim."""
        peer = a_peer({**DELETE, **BIGGER})
        foreign = a_claim(peer, peer_uid="another", requested="10Gi")

        assert plan_claims(observe(peer, claims=[foreign])) == ()

    def test_a_terminating_claim_is_left_alone(self) -> None:
        """It goes; nothing on it is worth a write."""
        peer = a_peer(DELETE)

        assert plan_claims(observe(peer, claims=[a_claim(peer, deleting=True)])) == ()


class TestGrowth:
    def test_small_claims_grow(self) -> None:
        """A claim smaller than the spec asks for is enlarged to exactly that."""
        peer = a_peer(BIGGER)
        small = a_claim(peer, requested="10Gi")

        changes = plan_claims(observe(peer, claims=[small, a_claim(peer, 1)]))

        assert changes == (ClaimChange(small, grow_to="20Gi"),)

    def test_large_claims_never_shrink(self) -> None:
        """A claim that somebody enlarged stays as it is."""
        peer = a_peer()

        assert plan_claims(observe(peer, claims=[a_claim(peer, requested="1Ti")])) == ()

    def test_units_do_not_matter(self) -> None:
        """10Gi and 10240Mi are one size."""
        peer = a_peer()
        claim = a_claim(peer, requested="10240Mi")

        assert plan_claims(observe(peer, claims=[claim])) == ()
        assert not too_small(observe(peer), claim)

    def test_a_class_that_cannot_expand_is_not_asked(self) -> None:
        """The server would refuse it every time."""
        peer = a_peer(BIGGER)
        fixed = a_claim(peer, requested="10Gi", expandable=False)

        assert plan_claims(observe(peer, claims=[fixed])) == ()
        assert too_small(observe(peer), fixed)
