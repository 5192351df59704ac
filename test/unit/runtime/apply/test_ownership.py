"""Tests of ownership: marks on desired objects, and what they prove on live ones."""

from copy import deepcopy
from typing import Any

import pytest

from smbpctl.runtime.apply.desired import desire
from smbpctl.runtime.apply.live import LiveView
from smbpctl.runtime.apply.ownership import (
    belongs_to,
    is_ours,
    other_managers,
    owned_child,
    owner_annotation,
)

DOMAIN = "example.dev"
MARK = "example.dev/applied-web"
OWNER_MARK = "example.dev/owner-uid"


def owner(namespace: str = "default") -> dict[str, Any]:
    """An owner as it was read from a server."""
    metadata = {"name": "o", "uid": "owner"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "example.dev/v1", "kind": "Owner", "metadata": metadata}


def child(**metadata: Any) -> dict[str, Any]:
    """A desired child."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default", **metadata},
    }


def view(controller: str | None = None, **annotations: str) -> LiveView:
    """A live object."""
    return LiveView("u", "1", False, controller, annotations, None, dict)


def test_a_child_is_controlled_by_reference() -> None:
    """The reference blocks foreground deletion of the owner, and the caller's object is kept."""
    given = child()
    before = deepcopy(given)

    metadata = owned_child(owner(), given, domain=DOMAIN)["metadata"]

    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "example.dev/v1",
            "kind": "Owner",
            "name": "o",
            "uid": "owner",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert "annotations" not in metadata
    assert given == before


def test_a_cluster_scoped_owner_reaches_every_namespace() -> None:
    """Its references are valid everywhere."""
    assert "ownerReferences" in owned_child(owner(""), child(), domain=DOMAIN)["metadata"]


@pytest.mark.parametrize(
    "metadata", [{"namespace": "other"}, {"namespace": ""}, {"ownerReferences": []}]
)
def test_where_no_reference_can_reach_an_annotation_names_the_owner(
    metadata: dict[str, Any],
) -> None:
    """Across namespaces, for cluster-scoped objects, and where the child wants no reference."""
    given = child(annotations={"note": "x"}, **metadata)

    marked = owned_child(owner(), given, domain=DOMAIN)["metadata"]

    assert not marked.get("ownerReferences")
    assert marked["annotations"] == {"note": "x", OWNER_MARK: "owner"}
    assert owner_annotation(DOMAIN) == OWNER_MARK


def test_a_childs_own_controller_reference_to_the_owner_is_enough() -> None:
    """References that the caller wrote are sent as they are."""
    references = [
        {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"},
        {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "owner", "controller": True},
    ]

    marked = owned_child(owner(), child(ownerReferences=references), domain=DOMAIN)["metadata"]

    assert marked["ownerReferences"] == references
    assert "annotations" not in marked


@pytest.mark.parametrize(
    ("live", "belongs"),
    [
        (view("owner"), True),
        (view("other"), False),
        (view(None), False),
        (view(None, **{OWNER_MARK: "owner"}), True),
        (view(None, **{OWNER_MARK: "other"}), False),
        (view("other", **{OWNER_MARK: "owner"}), False),
    ],
)
def test_a_controller_outweighs_the_annotation(live: LiveView, *, belongs: bool) -> None:
    """The annotation counts only where nobody controls the object."""
    assert belongs_to(live, "owner", domain=DOMAIN) is belongs


def test_an_orphan_with_the_very_hash_was_ours() -> None:
    """Its owner reference was taken away: the hash covers the owner's UID and proves it."""
    desired = desire(owned_child(owner(), child(), domain=DOMAIN), annotation=MARK)

    def ours(live: LiveView) -> bool:
        return is_ours(live, desired, "owner", domain=DOMAIN, mark=MARK)

    assert ours(view(None, **{MARK: desired.digest}))
    assert not ours(view("other", **{MARK: desired.digest}))
    assert not ours(view(None, **{MARK: "other hash"}))
    assert ours(view("owner"))


def test_other_managers_are_listed_once() -> None:
    """Everybody but us, whatever they did; an entry without a name counts as somebody."""
    entries = [{"manager": "me"}, {"manager": "b"}, {"manager": "a"}, {"manager": "b"}, {}]

    assert other_managers({"metadata": {"managedFields": entries}}, "me") == ["", "a", "b"]
    assert other_managers({"metadata": {}}, "me") == []
