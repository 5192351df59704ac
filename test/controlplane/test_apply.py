"""Tests of apply on a real server: what it makes of desired objects must be known again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from smbpctl.runtime.apply import Absent, Adopt, Applier, ApplyConflict, Existing, owned_status
from smbpctl.runtime.apply.fields import field_set_of
from smbpctl.runtime.errors import Conflict, NameConflict
from smbpctl.runtime.informer import Form
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, gvk_of, key_of
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.apply_world import (
    CONFIG_MAP,
    MARK,
    OWNER,
    OWNERS,
    WIDGET,
    World,
    config_map,
    opened,
    widget,
)
from test.support.odd_objects import WIDGET_CRD, odd_objects, odd_specs


@pytest.fixture(scope="module")
def widgets(control_plane: ControlPlane) -> Iterator[None]:
    """The kind Widget, with keyed, set, free-form and atomic parts and a status."""
    control_plane.kubectl("create", "--filename", "-", stdin=json.dumps(WIDGET_CRD))
    control_plane.kubectl("wait", "--for=condition=Established", "crd/widgets.apply.example.dev")
    yield
    control_plane.kubectl("delete", "crd", "widgets.apply.example.dev", "--wait=false")


@pytest.fixture
async def world(control_plane: ControlPlane, namespace: str, widgets: None) -> AsyncIterator[World]:
    """A namespace whose objects are cached in full."""
    async with opened(control_plane, namespace) as made:
        yield made


async def test_whatever_the_server_normalises_is_skipped(world: World) -> None:
    """Quantities, empty lists and strings, defaulted keys: the second pass sends nothing."""
    desired = odd_objects(world.namespace)
    first = await world.apply(*desired)
    sent = await world.mutations()

    second = await world.apply(*desired)
    world.applier = world.applier_of()
    restarted = await world.apply(*desired)

    assert len(first.applied) == len(desired) == len(sent)
    assert second.applied == ()
    assert restarted.applied == ()
    assert len(second.unchanged) == len(restarted.unchanged) == len(desired)
    assert await world.mutations() == sent
    # The test means something: the server did write values differently.
    (stateful_set,) = (each for each in desired if each["kind"] == "StatefulSet")
    (container, _) = (await world.live(stateful_set))["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert container["ports"][0]["protocol"] == "TCP"
    assert "workingDir" not in container


async def test_metadata_is_enough_to_skip(
    control_plane: ControlPlane, namespace: str, widgets: None
) -> None:
    """A cache that holds metadata alone decides alike, also about a foreign change."""
    async with opened(control_plane, namespace, form=Form.METADATA) as world:
        desired = odd_objects(world.namespace)
        await world.apply(*desired)
        world.applier = world.applier_of()

        skipped = await world.apply(*desired)
        await world.patch(config_map(world, "web"), {"data": {"empty": "theirs"}})
        mended = await world.apply(*desired)

        assert skipped.applied == ()
        assert [gvk.kind for gvk, _ in mended.applied] == ["ConfigMap"]


FOREIGN: dict[str, Callable[[], dict[str, Any]]] = {
    "changed": lambda: {"data": {"k": "theirs"}},
    "removed": lambda: {"data": {"k": None}},
    "all removed": lambda: {"data": None},
    "managed fields cleared": lambda: {"metadata": {"managedFields": [{}]}},
    "annotation removed": lambda: {"metadata": {"annotations": {MARK: None}}},
    "annotation changed": lambda: {"metadata": {"annotations": {MARK: "x"}}},
    "owner removed": lambda: {"metadata": {"ownerReferences": None}},
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("what", FOREIGN)
async def test_a_foreign_change_costs_one_apply(world: World, what: str, *, restart: bool) -> None:
    """What somebody took from us comes back with exactly one request, then silence."""
    desired = config_map(world, k="v", other="x")
    await world.apply(desired)
    await world.patch(desired, FOREIGN[what]())
    before = await world.mutations()
    if restart:
        world.applier = world.applier_of()

    reports = [await world.apply(desired) for _ in range(3)]

    assert [len(each.applied) for each in reports] == [1, 0, 0]
    assert (await world.mutations())[len(before) :] == [("patch", "configmaps", 200)]
    live = await world.live(desired)
    assert live["data"] == {"k": "v", "other": "x"}
    assert live["metadata"]["ownerReferences"][0]["uid"] == world.owner["metadata"]["uid"]


DEEP: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "value in a list item": (
        [{"op": "replace", "path": "/spec/listeners/0/hosts", "value": ["theirs"]}],
        [],
    ),
    "list item": ([{"op": "remove", "path": "/spec/listeners/1"}], []),
    "set item": ([{"op": "remove", "path": "/spec/hosts/0"}], []),
    "empty map": ([{"op": "remove", "path": "/spec/groups/two"}], []),
    "value in a free-form map": (
        [{"op": "replace", "path": "/spec/groups/one/a", "value": "theirs"}],
        ["not while nobody watches"],
    ),
    "preserved unknown field": (
        [{"op": "replace", "path": "/spec/config/deep/text", "value": "theirs"}],
        [],
    ),
    "int or string": ([{"op": "replace", "path": "/spec/size", "value": 3}], []),
}


@pytest.mark.parametrize(
    ("what", "restart"),
    [
        (what, restart)
        for what, (_, limits) in DEEP.items()
        for restart in ("never", "before", "after")
        if restart != "after" or not limits
    ],
)
async def test_a_foreign_change_deep_inside_costs_one_apply(
    world: World, what: str, restart: str
) -> None:
    """Keyed lists, sets, free-form maps and atomic values are watched over as well."""
    operations, _ = DEEP[what]
    body = odd_specs()["apply.example.dev/v1", "Widget"]
    desired = {**widget(world), **body}
    desired["spec"]["listeners"][0]["hosts"] = ["ours"]
    await world.apply(desired)
    if restart == "before":
        world.applier = world.applier_of()
        await world.apply(desired)
    settled = (await world.live(desired))["spec"]
    await world.kubectl("patch", "widget", "w", "--type=json", "--patch", json.dumps(operations))
    await world.catch_up(desired)
    if restart == "after":
        world.applier = world.applier_of()

    reports = [await world.apply(desired) for _ in range(3)]

    assert [len(each.applied) for each in reports] == [1, 0, 0]
    live = (await world.live(desired))["spec"]
    assert _sorted(live) == _sorted(settled)


def _sorted(spec: dict[str, Any]) -> dict[str, Any]:
    by_port = sorted(spec["listeners"], key=lambda each: (each["port"], each["protocol"]))
    return {**spec, "hosts": sorted(spec["hosts"]), "listeners": by_port}


async def test_what_others_add_is_theirs(world: World) -> None:
    """Foreign labels, keys and list items beside ours are no reason to write."""
    desired = widget(world, hosts=["a"], listeners=[{"port": 1}])
    await world.apply(desired)
    await world.kubectl(
        "patch",
        "widget",
        "w",
        "--type=json",
        "--patch",
        json.dumps(
            [
                {"op": "add", "path": "/metadata/labels", "value": {"theirs": "x"}},
                {"op": "add", "path": "/spec/hosts/-", "value": "theirs"},
                {"op": "add", "path": "/spec/listeners/-", "value": {"port": 2}},
            ]
        ),
    )
    await world.catch_up(desired)
    world.applier = world.applier_of()

    report = await world.apply(desired)

    assert report.applied == ()


async def test_an_atomic_list_that_should_be_empty_is_emptied_again(world: World) -> None:
    """Its loss leaves no trace in the record; its value does, also after a restart."""
    (desired,) = (each for each in odd_objects(world.namespace) if each["kind"] == "NetworkPolicy")
    await world.apply(desired)
    await world.patch(desired, {"spec": {"ingress": [{}]}})
    world.applier = world.applier_of()

    reports = [await world.apply(desired) for _ in range(2)]

    assert [len(each.applied) for each in reports] == [1, 0]
    assert not (await world.live(desired))["spec"].get("ingress")


async def test_dropped_fields_are_removed(world: World) -> None:
    """Data keys, labels, list items and containers that are not desired any more go."""
    stateful_set = next(
        each for each in odd_objects(world.namespace) if each["kind"] == "StatefulSet"
    )
    await world.apply(config_map(world, old="x", k="v"), stateful_set)
    del stateful_set["metadata"]["labels"]
    template = stateful_set["spec"]["template"]["spec"]
    template["containers"].pop()
    template["containers"][0]["ports"].pop(0)

    reports = [await world.apply(config_map(world, k="v"), stateful_set) for _ in range(2)]

    assert [len(each.applied) for each in reports] == [2, 0]
    assert (await world.live(config_map(world)))["data"] == {"k": "v"}
    live = await world.live(stateful_set)
    assert "labels" not in live["metadata"]
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert [port["name"] for port in container["ports"] if "name" in port] == ["dns"]


async def test_a_foreign_object_is_a_name_conflict_and_untouched(world: World) -> None:
    """An unforced apply would adopt it silently; so none is sent."""
    desired = config_map(world, k="v")
    await world.kubectl("create", "configmap", "a", "--from-literal=k=theirs")
    await world.catch_up(desired)
    before, sent = await world.live(desired), await world.mutations()

    with pytest.raises(NameConflict, match="ConfigMap"):
        await world.apply(desired)

    assert await world.live(desired) == before
    assert await world.mutations() == sent


async def test_a_namesake_of_the_last_moment_is_refused_by_the_server(world: World) -> None:
    """The object appears after the live read: the request creates or conflicts, never adopts."""
    desired = config_map(world, k="theirs")
    made = await asyncio.to_thread(
        world.control_plane.kubectl,
        *("--namespace", world.namespace, "create", "configmap", "a", "--from-literal=k=theirs"),
    )
    assert made.returncode == 0
    blind = Applier(world.cluster.client, _Blind(world), field_owner=OWNER, domain="example.dev")
    before = await world.live(desired)

    with pytest.raises(Conflict):
        await blind.apply_set(world.owner, [desired])

    assert await world.live(desired) == before


class _Blind:
    """A cache and a live read that come too early to see the object."""

    def __init__(self, world: World) -> None:
        self._cache = world.cluster.cache

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> None:
        """Know nothing."""

    def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
        return False

    def owned_by(self, gvk: GroupVersionKind, uid: str) -> list[Any]:
        """Know nothing."""
        return []

    async def live_get(self, gvk: GroupVersionKind, key: ObjectKey) -> None:
        """See nothing yet."""


async def test_existing_with_a_wrong_uid_creates_and_changes_nothing(world: World) -> None:
    """Neither where the name is free nor where a namesake lives."""
    taken = (config_map(world, "taken", k="v"), widget(world, "taken", size=1))
    for each in taken:
        await world.kubectl("create", "--filename", "-", stdin=json.dumps(each))
    before = [await world.live(each) for each in taken]
    free = (config_map(world, "free"), widget(world, "free"))
    wrong = Existing("7ea1ca6c-0000-4000-8000-000000000000")

    for each in (*free, *taken):
        with pytest.raises(Conflict):
            await world.applier.apply(each, expectation=wrong)

    assert [await world.live(each) for each in taken] == before
    assert [await world.cluster.client.get(gvk_of(each), key_of(each)) for each in free] == [
        None,
        None,
    ]


async def test_existing_takes_its_fields_back_by_force(world: World) -> None:
    """UID and resourceVersion hold, a foreign field owner does not; a stale version does."""
    desired = config_map(world, k="v")
    await world.apply(desired)
    old = (await world.live(desired))["metadata"]
    await world.patch(desired, {"data": {"k": "theirs"}})
    owned = {
        **desired,
        "metadata": {**desired["metadata"], "ownerReferences": old["ownerReferences"]},
    }

    with pytest.raises(Conflict):
        await world.applier.apply(owned, expectation=Existing(old["uid"], old["resourceVersion"]))
    answer = await world.applier.apply(owned, expectation=Existing(old["uid"]))

    assert answer["data"] == {"k": "v"}


async def test_absent_creates_once(world: World) -> None:
    """The object is created by apply, so that what we drop later goes; and only created once."""
    metadata = {
        "name": "a",
        "namespace": world.namespace,
        "annotations": {"example.dev/owner-uid": "some-owner"},
    }
    desired = {**config_map(world, k="v"), "metadata": metadata}

    made = await world.applier.apply(desired, expectation=Absent("some-owner"))
    again = await world.applier_of().apply(desired, expectation=Absent("some-owner"))

    assert again == made
    assert [each["operation"] for each in made["metadata"]["managedFields"]] == ["Apply"]
    assert await world.mutations() == [("patch", "configmaps", 201)]


async def test_a_conflict_names_the_manager_and_the_field(world: World) -> None:
    """Where the precondition was lost on the way, other managers' fields still hold."""
    await world.kubectl("create", "configmap", "a", "--from-literal=k=theirs")
    careless = Applier(_Careless(world), _Blind(world), field_owner=OWNER, domain="example.dev")

    with pytest.raises(ApplyConflict) as caught:
        await careless.apply_set(world.owner, [config_map(world, k="v")])

    (conflict,) = caught.value.conflicts
    assert (conflict.manager, conflict.field) == ("kubectl-create", ".data.k")


async def test_an_adoption_by_accident_is_noticed(world: World) -> None:
    """An unforced apply onto a foreign object succeeds if no field differs; the answer tells."""
    await world.kubectl("create", "configmap", "a", "--from-literal=k=v")
    careless = Applier(_Careless(world), _Blind(world), field_owner=OWNER, domain="example.dev")

    with pytest.raises(NameConflict, match="kubectl-create"):
        await careless.apply_set(world.owner, [config_map(world, k="v")])


class _Careless:
    """A client that loses preconditions."""

    def __init__(self, world: World) -> None:
        self._client = world.cluster.client
        self.patch_json = self._client.patch_json
        self.delete = self._client.delete

    async def apply(self, manifest: Manifest, **more: Any) -> Manifest:
        """Send without resourceVersion."""
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "resourceVersion"}
        return await self._client.apply({**manifest, "metadata": metadata}, **more)


async def test_adoption_takes_over_a_client_side_apply(world: World) -> None:
    """With the hand-over, what kubectl once applied and we do not declare is removed."""
    desired = config_map(world, k="v")
    theirs = config_map(world, k="theirs", extra="x")
    await world.kubectl("apply", "--filename", "-", stdin=json.dumps(theirs))
    key = key_of(desired)
    expectation = Adopt(frozenset({key}), from_managers=frozenset({"kubectl-client-side-apply"}))

    answer = await world.applier.apply(desired, expectation=expectation)
    await world.catch_up(desired)
    sent = await world.mutations()
    await world.applier_of().apply(desired, expectation=expectation)

    assert answer["data"] == {"k": "v"}
    assert set(answer["metadata"]["annotations"]) == {MARK}
    assert await world.mutations() == sent


async def test_prune_deletes_only_what_is_ours(world: World) -> None:
    """By kind, owner and field owner; desired and kept objects and those of others stay."""
    stranger = {**world.owner, "metadata": {**world.owner["metadata"], "name": "stranger"}}
    await world.kubectl("create", "configmap", "stranger")
    stranger = await world.live(stranger)
    await world.apply(
        *(config_map(world, name) for name in ("stays", "kept", "goes")), widget(world)
    )
    await world.applier_of("demo/tls").apply_set(world.owner, [config_map(world, "tls")])
    await world.applier.apply_set(stranger, [config_map(world, "strangers")])
    await world.kubectl("create", "configmap", "users")
    names = ("tls", "strangers", "users", "goes", "kept", "stays")
    await world.catch_up(*(config_map(world, name) for name in names))
    kept = (CONFIG_MAP, ObjectKey(world.namespace, "kept"))

    report = await world.apply(config_map(world, "stays"), prune=[CONFIG_MAP], keep={kept})

    assert report.pruned == ((CONFIG_MAP, ObjectKey(world.namespace, "goes")),)
    left = await world.cluster.client.list(CONFIG_MAP, namespace=world.namespace)
    present = {each["metadata"]["name"] for each in left}
    assert present == {*names, "stranger", "owner-full", "kube-root-ca.crt"} - {"goes"}
    assert (await world.live(widget(world)))["kind"] == "Widget"


async def test_prune_spares_a_namesake_born_since(world: World) -> None:
    """The cache still shows the old object: UID and resourceVersion protect the new one."""
    desired = config_map(world)
    await world.apply(desired)
    stored = world.cluster.cache.meta(CONFIG_MAP, key_of(desired))
    await world.kubectl("delete", "configmap", "a")
    await world.kubectl("create", "configmap", "a")

    class Late(_Blind):
        """A cache that still shows the predecessor."""

        def cautious(self, gvk: GroupVersionKind, key: ObjectKey) -> bool:
            return False

        def owned_by(self, gvk: GroupVersionKind, uid: str) -> list[Any]:
            return [stored]

    late = Applier(world.cluster.client, Late(world), field_owner=OWNER, domain="example.dev")

    with pytest.raises(Conflict):
        await late.apply_set(world.owner, [], prune=[CONFIG_MAP])

    assert (await world.live(desired))["metadata"]["name"] == "a"


async def test_a_terminating_object_is_waited_for(world: World) -> None:
    """It is neither applied nor an error; when it is gone, it is created anew."""
    desired = config_map(world, k="v")
    await world.apply(desired)
    await world.patch(desired, {"metadata": {"finalizers": ["example.dev/hold"]}})
    await world.kubectl("delete", "configmap", "a", "--wait=false")
    await world.catch_up(desired)
    changed = config_map(world, k="w")
    sent = await world.mutations()

    waiting = await world.apply(changed)

    assert waiting.waiting == ((CONFIG_MAP, key_of(desired)),)
    assert await world.mutations() == sent
    await world.patch(desired, {"metadata": {"finalizers": None}})
    assert (await world.apply(changed)).applied == ((CONFIG_MAP, key_of(desired)),)
    assert (await world.live(desired))["data"] == {"k": "w"}


async def test_four_owners_share_a_status(world: World) -> None:
    """Each writes its own condition types once; a second round of all four writes nothing."""
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))
    shared = {"reason": "Fine", "message": "", "lastTransitionTime": "2025-01-01T00:00:00Z"}
    statuses: dict[str, dict[str, Any]] = {
        each: {"conditions": [{"type": each.partition("/")[2].title(), "status": "True", **shared}]}
        for each in OWNERS
    }
    statuses[OWNER] |= {"phase": "Ready", "ratio": 1.0, "details": {"a": {"b": [1]}, "c": {}}}

    async def round_of_all() -> list[bool]:
        written: list[bool] = []
        for each, status in statuses.items():
            await world.catch_up(widget(world))
            stored = world.cluster.cache.meta(WIDGET, key_of(widget(world)))
            assert stored is not None
            applier = world.applier_of(each)
            written.append(await applier.apply_status(stored.manifest(), stored.fields, status))
            # The next round looks at another time.
            status["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        return written

    first = await round_of_all()
    sent = await world.mutations()
    second = await round_of_all()

    assert (first, second) == ([True] * 4, [False] * 4)
    assert await world.mutations() == sent
    assert len(sent) == 4
    status = (await world.live(widget(world)))["status"]
    assert [each["type"] for each in status["conditions"]] == ["Web", "Tls", "Net", "Log"]
    assert status["ratio"] == 1


async def test_a_status_is_complete_for_its_owner(world: World) -> None:
    """What is left out goes; what is carried over stays; what others own is not touched."""
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))

    async def write(owner: str, **status: Any) -> bool:
        await world.catch_up(widget(world))
        stored = world.cluster.cache.meta(WIDGET, key_of(widget(world)))
        assert stored is not None
        carried = owned_status(stored.manifest(), stored.fields, field_owner=owner)
        whole = {name: value for name, value in {**carried, **status}.items() if value is not None}
        return await world.applier_of(owner).apply_status(stored.manifest(), stored.fields, whole)

    await write(OWNERS[0], phase="Ready", details={"x": {"y": 1}})
    await write(OWNERS[1], ratio=0.5)
    carried = await write(OWNERS[0])
    dropped = await write(OWNERS[0], details=None)

    assert (carried, dropped) == (False, True)
    assert (await world.live(widget(world)))["status"] == {"phase": "Ready", "ratio": 0.5}


async def test_a_foreign_status_change_costs_one_apply(world: World) -> None:
    """A value that somebody set over ours, or removed, is written once more."""
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))

    async def write() -> bool:
        await world.catch_up(widget(world))
        stored = world.cluster.cache.meta(WIDGET, key_of(widget(world)))
        assert stored is not None
        return await world.applier.apply_status(
            stored.manifest(), stored.fields, {"phase": "Ready", "ratio": 0.5}
        )

    await write()
    outcomes: list[bool] = []
    for change in ({"phase": "Hacked"}, {"phase": None}):
        await world.patch(widget(world), {"status": change}, "--subresource=status")
        outcomes += [await write(), await write()]

    assert outcomes == [True, False, True, False]
    assert (await world.live(widget(world)))["status"] == {"phase": "Ready", "ratio": 0.5}


async def test_a_status_meets_the_changes_of_others(world: World) -> None:
    """A foreign change since the read does not stop it; our own last status does."""
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))
    read = await world.live(widget(world))
    await world.patch(widget(world), {"spec": {"size": 3}})

    await world.applier.apply_status(read, None, {"phase": "One"})
    repeated = await world.applier.apply_status(read, None, {"phase": "One"})

    assert repeated is False
    with pytest.raises(Conflict):
        await world.applier.apply_status(read, None, {"phase": "Two"})
    assert (await world.live(widget(world)))["status"] == {"phase": "One"}


async def test_a_status_for_a_namesake_or_for_nobody_is_not_written(world: World) -> None:
    """Another UID conflicts; an object that is gone is no error."""
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))
    read = await world.live(widget(world))
    await world.kubectl("delete", "widget", "w")

    gone = await world.applier.apply_status(read, None, {"phase": "Ready"})

    assert gone is False
    await world.kubectl("create", "--filename", "-", stdin=json.dumps(widget(world)))
    with pytest.raises(Conflict):
        await world.applier.apply_status(read, None, {"phase": "Ready"})
    assert "status" not in await world.live(widget(world))


async def test_the_record_of_the_server_is_what_the_walk_expects(world: World) -> None:
    """The server's own field set of a pod template, as far as the code relies on it."""
    stateful_set = next(
        each for each in odd_objects(world.namespace) if each["kind"] == "StatefulSet"
    )
    await world.apply(stateful_set)

    fields = field_set_of(await world.live(stateful_set), OWNER)

    assert fields is not None
    spec = fields["f:spec"]["f:template"]["f:spec"]
    container = spec["f:containers"]['k:{"name":"web"}']
    assert "f:protocol" not in container["f:ports"]['k:{"containerPort":53,"protocol":"TCP"}']
    assert "f:protocol" in container["f:ports"]['k:{"containerPort":53,"protocol":"UDP"}']
    assert container["f:command"] == {}
    assert container["f:workingDir"] == {}
    assert "f:envFrom" not in container or container["f:envFrom"] == {}
    assert "f:imagePullSecrets" not in spec
    assert list(fields["f:metadata"]["f:ownerReferences"].values()) == [{}]
