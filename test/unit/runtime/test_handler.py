"""Whom an event wakes."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from smbpctl.runtime.event import Created, Deleted, Event, Generic, Updated
from smbpctl.runtime.handler import for_object, for_owner, map_func
from smbpctl.runtime.meta import (
    GroupKind,
    GroupVersionKind,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    StoredObject,
)
from smbpctl.runtime.reconcile import Request

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
OWNER = GroupKind("apps.example.com", "Widget")

Make = Callable[[StoredObject], Event]
ALIVE: list[Make] = [
    Created,
    Generic,
    lambda child: Updated(child, child),
]


class FakeUids:
    """Knows the UIDs of owners like a cache does."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = known or {}
        self.asked: list[tuple[GroupKind, ObjectKey]] = []

    def uid_of(self, owner: GroupKind, key: ObjectKey) -> str | None:
        self.asked.append((owner, key))
        return self._known.get(key.name)


def a_reference(
    name: str = "w1",
    *,
    uid: str = "u1",
    controller: bool = True,
    api_version: str = "apps.example.com/v1",
    kind: str = "Widget",
) -> OwnerReference:
    """Return a reference to an owner."""
    return OwnerReference(
        api_version=api_version, kind=kind, name=name, uid=uid, controller=controller
    )


def a_child(
    *references: OwnerReference, name: str = "child", namespace: str = "ns"
) -> StoredObject:
    """Return a cached object with these owners."""
    meta = ObjectMeta(name=name, namespace="ns", uid="c", owner_references=references or None)
    return StoredObject(gvk=CONFIG_MAP, meta=meta, raw=b"{}")


def woken(requests: Iterable[Request[ObjectKey]]) -> list[str]:
    """Return the keys of the requests as text."""
    return [str(request) for request in requests]


class TestForObject:
    @pytest.mark.parametrize("make", [*ALIVE, Deleted])
    def test_every_event_wakes_its_object(self, make: Make) -> None:
        """Also a deletion: the reconciler sees that nothing is there."""
        assert woken(for_object()(make(a_child()))) == ["ns/child"]


class TestForOwner:
    @pytest.mark.parametrize("make", [*ALIVE, Deleted])
    def test_every_event_of_a_child_wakes_its_owner(self, make: Make) -> None:
        """The owner is looked for in the namespace of the child."""
        handler = for_owner(OWNER, uids=FakeUids({"w1": "u1"}))

        assert woken(handler(make(a_child(a_reference())))) == ["ns/w1"]

    def test_the_version_does_not_matter(self) -> None:
        """An owner that was upgraded from v1beta1 to v1 is the same owner."""
        handler = for_owner(OWNER, uids=FakeUids())
        child = a_child(a_reference(api_version="apps.example.com/v1beta1"))

        assert woken(handler(Created(child))) == ["ns/w1"]

    @pytest.mark.parametrize(
        "reference",
        [
            a_reference(kind="Gadget"),
            a_reference(api_version="other.example.com/v1"),
            a_reference(api_version="v1"),
        ],
    )
    def test_other_kinds_are_ignored(self, reference: OwnerReference) -> None:
        """Group and kind must both be those asked for."""
        handler = for_owner(OWNER, uids=FakeUids())

        assert woken(handler(Created(a_child(reference)))) == []

    def test_a_child_without_owners_wakes_nobody(self) -> None:
        """Most objects of a cluster belong to others."""
        handler = for_owner(OWNER, uids=FakeUids())

        assert woken(handler(Created(a_child()))) == []

    def test_owners_of_the_old_and_the_new_state_are_woken(self) -> None:
        """Who lost the child must learn of it; who kept it is named once."""
        handler = for_owner(OWNER, uids=FakeUids(), controller_only=False)
        old = a_child(a_reference("lost"), a_reference("kept", controller=False))
        new = a_child(a_reference("kept", controller=False), a_reference("won"))

        assert woken(handler(Updated(old, new))) == ["ns/lost", "ns/kept", "ns/won"]

    def test_only_the_controller_is_woken_unless_asked_otherwise(self) -> None:
        """Other owners only keep the child from being collected."""
        child = a_child(a_reference("owner", controller=False), a_reference("controller"))

        default = for_owner(OWNER, uids=FakeUids())(Created(child))
        every = for_owner(OWNER, uids=FakeUids(), controller_only=False)(Created(child))

        assert woken(default) == ["ns/controller"]
        assert woken(every) == ["ns/owner", "ns/controller"]

    def test_a_cluster_scoped_owner_has_no_namespace(self) -> None:
        """The child's namespace is not the owner's."""
        uids = FakeUids({"w1": "u1"})
        handler = for_owner(OWNER, uids=uids, cluster_scoped=True)

        assert woken(handler(Created(a_child(a_reference())))) == ["w1"]
        assert uids.asked == [(OWNER, ObjectKey("", "w1"))]

    @pytest.mark.parametrize("make", ALIVE)
    def test_a_child_of_a_former_owner_wakes_nobody(self, make: Make) -> None:
        """The name was taken again: the living owner does not control that child."""
        handler = for_owner(OWNER, uids=FakeUids({"w1": "u2"}))

        assert woken(handler(make(a_child(a_reference(uid="u1"))))) == []

    @pytest.mark.parametrize("make", ALIVE)
    def test_an_owner_that_is_not_known_is_woken(self, make: Make) -> None:
        """The cache of owners may lag behind that of the children."""
        handler = for_owner(OWNER, uids=FakeUids())

        assert woken(handler(make(a_child(a_reference())))) == ["ns/w1"]

    def test_a_deleted_child_of_a_former_owner_wakes_the_namesake(self) -> None:
        """The living owner may be waiting for the name of that child to become free."""
        handler = for_owner(OWNER, uids=FakeUids({"w1": "u2"}))

        assert woken(handler(Deleted(a_child(a_reference(uid="u1"))))) == ["ns/w1"]

    def test_each_reference_is_judged_by_its_own_uid(self) -> None:
        """An update may carry a reference to the former owner beside one to the living."""
        handler = for_owner(OWNER, uids=FakeUids({"w1": "u2", "w2": "u3"}))
        old = a_child(a_reference("w1", uid="u1"))
        new = a_child(a_reference("w2", uid="u3"))

        assert woken(handler(Updated(old, new))) == ["ns/w2"]


class TestMapFunc:
    def test_the_function_names_whom_to_wake(self) -> None:
        """For events of one state it is called once, and repeats are dropped."""
        calls: list[str] = []

        def dependants(obj: StoredObject) -> list[Request[ObjectKey]]:
            calls.append(obj.meta.name)
            return [Request(ObjectKey("ns", name)) for name in ("b", "a", "b")]

        requests = map_func(dependants)(Deleted(a_child()))

        assert woken(requests) == ["ns/b", "ns/a"]
        assert calls == ["child"]

    def test_an_update_asks_for_the_old_and_the_new_state(self) -> None:
        """Who was named by either is woken, once."""

        def dependants(obj: StoredObject) -> list[Request[ObjectKey]]:
            return [Request(ObjectKey("ns", obj.meta.name)), Request(ObjectKey("ns", "both"))]

        requests = map_func(dependants)(Updated(a_child(name="old"), a_child(name="new")))

        assert woken(requests) == ["ns/old", "ns/both", "ns/new"]

    def test_keys_may_be_of_any_kind(self) -> None:
        """An embedder with many clusters puts the cluster into the key."""

        def dependants(obj: StoredObject) -> list[Request[tuple[str, ObjectKey]]]:
            return [Request(("east", obj.key))]

        requests = list(map_func(dependants)(Created(a_child())))

        assert requests == [Request(("east", ObjectKey("ns", "child")))]
