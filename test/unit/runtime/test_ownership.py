"""Owner references: who controls an object, and which references would be fatal to it."""

from typing import Any

import pytest

from smbpctl.runtime.meta import Manifest, owner_references_of
from smbpctl.runtime.ownership import (
    AlreadyOwned,
    has_owner_reference,
    remove_owner_reference,
    set_controller_reference,
    set_owner_reference,
)


def manifest(kind: str, name: str, namespace: str = "shop", **metadata: Any) -> Manifest:
    """An object, with a UID made of its name."""
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "uid": f"u-{name}", **place, **metadata},
    }


OWNER = manifest("Owner", "o")
OTHER = manifest("Owner", "p")
CHILD = manifest("Child", "c")


class TestControllerReference:
    def test_it_controls_and_is_waited_for(self) -> None:
        """As the garbage collector and `for_owner` need it; the given object stays as it is."""
        child = set_controller_reference(OWNER, CHILD)

        assert child["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "v1",
                "kind": "Owner",
                "name": "o",
                "uid": "u-o",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert "ownerReferences" not in CHILD["metadata"]

    def test_repeating_it_changes_nothing(self) -> None:
        """One reference, whatever it said before."""
        once = set_controller_reference(OWNER, set_owner_reference(OWNER, CHILD))

        assert set_controller_reference(OWNER, once) == once
        assert len(owner_references_of(once)) == 1

    def test_other_owners_stay(self) -> None:
        """Only one controls, but others may keep the object."""
        child = set_controller_reference(OWNER, set_owner_reference(OTHER, CHILD))

        assert [each.uid for each in owner_references_of(child)] == ["u-p", "u-o"]

    def test_what_another_controls_is_left_alone(self) -> None:
        """The error names the controller and is not worth a retry."""
        taken = set_controller_reference(OTHER, CHILD)

        with pytest.raises(AlreadyOwned, match=r"Child shop/c is controlled by Owner p \(u-p\)"):
            set_controller_reference(OWNER, taken)

    def test_a_former_namesake_is_another_owner(self) -> None:
        """The owner was deleted and created again: the child is about to be collected."""
        former = set_controller_reference(manifest("Owner", "o", uid="u-former"), CHILD)

        with pytest.raises(AlreadyOwned, match="u-former"):
            set_controller_reference(OWNER, former)

    @pytest.mark.parametrize(
        ("namespace", "where"), [("other", "in namespace other"), ("", "cluster-scoped")]
    )
    def test_a_reference_that_reaches_nothing_is_refused(self, namespace: str, where: str) -> None:
        """The collector finds no such owner there, and deletes the child."""
        with pytest.raises(ValueError, match=f"Owner shop/o cannot own Child .*{where}"):
            set_controller_reference(OWNER, manifest("Child", "c", namespace))

    def test_a_cluster_scoped_owner_reaches_everything(self) -> None:
        """Its name means the same everywhere."""
        child = set_controller_reference(manifest("Owner", "o", ""), CHILD)

        assert owner_references_of(child)[0].name == "o"

    def test_an_owner_from_nowhere_owns_nothing(self) -> None:
        """Without UID it was never read from a server."""
        unread = {"apiVersion": "v1", "kind": "Owner", "metadata": {"name": "o"}}

        with pytest.raises(ValueError, match="Owner o has no uid"):
            set_controller_reference(unread, CHILD)


class TestOwnerReference:
    def test_it_keeps_without_controlling(self) -> None:
        """And blocks nothing unless asked."""
        loose = owner_references_of(set_owner_reference(OWNER, CHILD))[0]
        tight = owner_references_of(set_owner_reference(OWNER, CHILD, block_owner_deletion=True))[0]

        assert (loose.controller, loose.block_owner_deletion) == (False, False)
        assert tight.block_owner_deletion

    def test_a_controller_stays_one(self) -> None:
        """It is no step down."""
        child = set_owner_reference(OWNER, set_controller_reference(OWNER, CHILD))

        assert owner_references_of(child)[0].controller

    def test_reach_counts_here_too(self) -> None:
        """An owner elsewhere is as fatal when it does not control."""
        with pytest.raises(ValueError, match="cannot own"):
            set_owner_reference(OWNER, manifest("Child", "c", "other"))


class TestRemoval:
    def test_only_the_reference_to_this_owner_goes(self) -> None:
        """Others stay; without any, the field is gone."""
        both = set_owner_reference(OTHER, set_controller_reference(OWNER, CHILD))

        one = remove_owner_reference(OWNER, both)

        assert [each.uid for each in owner_references_of(one)] == ["u-p"]
        assert remove_owner_reference(OTHER, one) == CHILD

    def test_removing_what_is_not_there_is_harmless(self) -> None:
        """The same object comes back."""
        assert remove_owner_reference(OWNER, CHILD) == CHILD


class TestHas:
    def test_this_very_owner_is_meant(self) -> None:
        """Not a namesake, and never an owner without UID."""
        child = set_owner_reference(OWNER, CHILD)

        assert has_owner_reference(OWNER, child)
        assert not has_owner_reference(manifest("Owner", "o", uid="u-former"), child)
        assert not has_owner_reference({"metadata": {"name": "o"}}, child)
