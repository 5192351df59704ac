"""Tests of the applier: expectations, ordered sets, skips, prune."""

from typing import Any

import pytest

from smbpctl.runtime.apply import (
    Absent,
    Adopt,
    Applier,
    ApplyConflict,
    Existing,
    ObjectTerminating,
    StaleView,
)
from smbpctl.runtime.errors import Conflict, Invalid, NameConflict, ServerError, StatusCause
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey
from test.support.apply_model import ApplyModel, FreeMap, KeyedList, Scalar, Struct

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
SERVICE = GroupVersionKind("", "v1", "Service")
MARK = "example.dev/applied-web"
OWNER_UID = "owner-uid"
KEY = ObjectKey("default", "a")


class Noops:
    """Counts what was not sent."""

    def __init__(self) -> None:
        self.count = 0

    def write_noop(self) -> None:
        """Count one."""
        self.count += 1


def new_model() -> ApplyModel:
    """An empty server with two kinds."""
    port = Struct({"port": Scalar(), "protocol": Scalar(), "name": Scalar()})
    return ApplyModel(
        ConfigMap={"data": FreeMap(Scalar())},
        Service={
            "spec": Struct({"ports": KeyedList({"port": None, "protocol": "TCP"}, port)}),
            "status": Struct({"phase": Scalar()}),
        },
    )


def applier_of(model: ApplyModel, metrics: Noops | None = None) -> Applier:
    """An applier of a process that has just started."""
    return Applier(model, model, field_owner="operator/web", domain="example.dev", metrics=metrics)


def owner(namespace: str = "default") -> dict[str, Any]:
    """The owner of the set, as it was read."""
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Owner",
        "metadata": {"name": "o", "namespace": namespace, "uid": OWNER_UID},
    }


def reference(uid: str = OWNER_UID) -> dict[str, Any]:
    """A controller reference."""
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Owner",
        "name": "o",
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def config_map(name: str = "a", *, uid: str | None = None, **data: str) -> dict[str, Any]:
    """A desired ConfigMap, controlled by the owner with `uid`."""
    metadata: dict[str, Any] = {"name": name, "namespace": "default"}
    if uid is not None:
        metadata["ownerReferences"] = [reference(uid)]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def service(name: str = "a") -> dict[str, Any]:
    """A desired Service whose port leaves its protocol to the server."""
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"port": 80}]},
    }


def ids(*names: str, gvk: GroupVersionKind = CONFIG_MAP) -> tuple[Any, ...]:
    """Objects as a report names them."""
    return tuple((gvk, ObjectKey("default", name)) for name in names)


async def test_a_set_is_applied_in_order_and_then_skipped() -> None:
    """The second pass sends nothing at all, in the same process and after a restart."""
    model, metrics = new_model(), Noops()
    applier = applier_of(model, metrics)
    desired = [config_map("b", k="v"), service(), config_map("a", k="v")]

    first = await applier.apply_set(owner(), desired)
    second = await applier.apply_set(owner(), desired)
    restarted = await applier_of(model).apply_set(owner(), desired)

    whole = (*ids("b"), *ids("a", gvk=SERVICE), *ids("a"))
    assert (first.applied, first.unchanged) == (whole, ())
    assert (second.applied, second.unchanged) == ((), whole)
    assert restarted.unchanged == whole
    assert [name for _, _, name in model.requests] == ["default/b", "default/a", "default/a"]
    assert metrics.count == 3


async def test_children_carry_owner_reference_and_hash() -> None:
    """The garbage collector finds them, and so does the next pass."""
    model = new_model()

    await applier_of(model).apply_set(owner(), [config_map(k="v")])

    metadata = model.manifest("ConfigMap", "a")["metadata"]
    assert metadata["ownerReferences"] == [reference()]
    assert len(metadata["annotations"][MARK]) == 64


async def test_a_changed_desired_object_is_applied_once() -> None:
    """Dropped fields go, new ones come, in one request bound to the UID."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map(old="x", k="v")])

    reports = [await applier.apply_set(owner(), [config_map(k="w", new="y")]) for _ in range(2)]

    assert [len(each.applied) for each in reports] == [1, 0]
    assert model.manifest("ConfigMap", "a")["data"] == {"k": "w", "new": "y"}
    assert model.sent[-1]["metadata"]["uid"] == model.find("ConfigMap", "a").uid


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("what", ["change", "removal", "clearing", "orphaning"])
async def test_a_foreign_change_is_mended_by_one_apply(what: str, *, restart: bool) -> None:
    """Whatever is taken from us comes back with exactly one request."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map(k="v", other="x")])
    if what == "change":
        model.write("ConfigMap", "a", {"data": {"k": "theirs"}}, manager="kubectl")
    elif what == "removal":
        model.remove("ConfigMap", "a", (("f", "data"), ("f", "k")), manager="kubectl")
    elif what == "clearing":
        model.find("ConfigMap", "a").managers.clear()
    else:
        model.remove("ConfigMap", "a", (("f", "metadata"), ("f", "ownerReferences")), manager="x")
    model.requests.clear()
    after = applier_of(model) if restart else applier

    reports = [await after.apply_set(owner(), [config_map(k="v", other="x")]) for _ in range(3)]

    assert [len(each.applied) for each in reports] == [1, 0, 0]
    assert len(model.requests) == 1
    assert model.manifest("ConfigMap", "a")["data"] == {"k": "v", "other": "x"}
    assert model.manifest("ConfigMap", "a")["metadata"]["ownerReferences"] == [reference()]


@pytest.mark.parametrize("restart", [False, True])
async def test_what_the_record_cannot_tell_is_remembered(*, restart: bool) -> None:
    """A mapping in a free-form map that lost all its leaves looks atomic in the record."""
    model = ApplyModel(ConfigMap={"data": FreeMap(Struct({"x": Scalar()}))})
    applier = applier_of(model)
    desired = {**config_map(), "data": {"k": {"x": "v"}}}
    await applier.apply_set(owner(), [desired])
    if restart:
        applier = applier_of(model)
        await applier.apply_set(owner(), [desired])
    leaf = (("f", "data"), ("f", "k"), ("f", "x"))
    model.take("ConfigMap", "a", leaf, "theirs", manager="kubectl")

    reports = [await applier.apply_set(owner(), [desired]) for _ in range(2)]

    assert [len(each.applied) for each in reports] == [1, 0]
    assert model.manifest("ConfigMap", "a")["data"] == {"k": {"x": "v"}}


async def test_a_lagging_cache_repeats_nothing() -> None:
    """Until the cache shows our own write, the object is read live or trusted, not written."""
    model = new_model()
    applier = applier_of(model)
    model.snapshot()
    await applier.apply_set(owner(), [config_map(k="v")])
    created = await applier.apply_set(owner(), [config_map(k="v")])
    model.catch_up()
    model.snapshot()
    await applier.apply_set(owner(), [config_map(k="w")])

    changed = await applier.apply_set(owner(), [config_map(k="w")])

    assert created.unchanged == ids("a")
    assert changed.unchanged == ids("a")
    assert len(model.requests) == 2


async def test_a_foreign_namesake_is_a_name_conflict_and_stays_untouched() -> None:
    """An object that is not controlled by the owner is nobody's to take."""
    model = new_model()
    model.write("ConfigMap", "a", {"data": {"k": "theirs"}}, manager="user")
    before = model.manifest("ConfigMap", "a")

    with pytest.raises(NameConflict, match="ConfigMap default/a exists"):
        await applier_of(model).apply_set(owner(), [config_map(k="v"), config_map("b")])

    assert model.manifest("ConfigMap", "a") == before
    assert model.requests == []


async def test_a_foreign_object_that_is_gone_by_now_is_no_conflict() -> None:
    """The cache still shows it, the live read does not: the object is created."""
    model = new_model()
    model.write("ConfigMap", "a", {"data": {}}, manager="user")
    model.snapshot()
    model.objects.clear()

    report = await applier_of(model).apply_set(owner(), [config_map(k="v")])

    assert report.applied == ids("a")


@pytest.mark.parametrize("controller", [OWNER_UID, "predecessor"])
async def test_a_terminating_object_is_waited_for(controller: str) -> None:
    """Ours or a predecessor's: nothing is applied to it, the rest of the set is."""
    model = new_model()
    body = {"metadata": {"ownerReferences": [reference(controller)]}}
    model.write("ConfigMap", "a", body, manager="operator/web")
    model.find("ConfigMap", "a").deleting = True

    report = await applier_of(model).apply_set(owner(), [config_map(k="v"), config_map("b")])

    assert (report.waiting, report.applied) == (ids("a"), ids("b"))
    assert model.requests == [("apply", "ConfigMap", "default/b")]


async def test_the_name_taken_at_the_last_moment_is_not_adopted() -> None:
    """Between live read and apply somebody creates the object: the server refuses."""
    model = new_model()
    model.before_apply = lambda: model.write("ConfigMap", "a", {"data": {"k": "v"}}, manager="u")

    with pytest.raises(Conflict):
        await applier_of(model).apply_set(owner(), [config_map(k="v")])

    assert ("operator/web", "Apply", "") not in model.find("ConfigMap", "a").managers


async def test_an_adoption_by_accident_is_noticed() -> None:
    """Where a server ignores the precondition, the answer gives the older manager away."""
    model = new_model()
    model.honours_preconditions = False
    model.before_apply = lambda: model.write("ConfigMap", "a", {"data": {"o": "v"}}, manager="u")

    with pytest.raises(NameConflict, match="also managed by u"):
        await applier_of(model).apply_set(owner(), [config_map(k="v")])


async def test_an_answer_without_our_controller_is_noticed() -> None:
    """Nothing may be built on an object that, for whatever reason, is not the owner's."""
    model = new_model()

    class Forgetful(ApplyModel):
        """A server whose admission takes owner references away."""

        async def apply(self, manifest: dict[str, Any], **more: Any) -> dict[str, Any]:
            answer = await model.apply(manifest, **more)
            del answer["metadata"]["ownerReferences"]
            return answer

    applier = Applier(Forgetful(), model, field_owner="operator/web", domain="example.dev")

    with pytest.raises(NameConflict, match="while we were creating it"):
        await applier.apply_set(owner(), [config_map(k="v")])


async def test_the_first_error_ends_the_set() -> None:
    """Nothing after it is applied, nothing is pruned."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map("old")])
    model.requests.clear()

    def fail() -> None:
        raise ServerError("no", code=500)

    model.before_apply = fail

    with pytest.raises(ServerError):
        await applier.apply_set(owner(), [config_map("a"), config_map("b")], prune=[CONFIG_MAP])

    assert model.requests == []


async def test_a_set_is_checked_before_anything_is_sent() -> None:
    """A key desired twice, a null, an owner without UID: no half-applied set."""
    model = new_model()
    applier = applier_of(model)
    broken = config_map("b") | {"data": {"k": None}}

    with pytest.raises(ValueError, match="desired twice"):
        await applier.apply_set(owner(), [config_map(), service(), config_map()])
    with pytest.raises(ValueError, match="is null"):
        await applier.apply_set(owner(), [config_map(), broken])
    with pytest.raises(ValueError, match="no uid"):
        await applier.apply_set({**owner(), "metadata": {"name": "o"}}, [config_map()])

    assert model.requests == []


async def test_prune_deletes_what_is_ours_and_not_wanted() -> None:
    """By UID and resourceVersion, in the order of kind and key, after the applies."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(
        owner(), [service("s"), config_map("c"), config_map("b"), config_map("a"), config_map("k")]
    )
    model.requests.clear()

    report = await applier.apply_set(
        owner(),
        [config_map("a")],
        prune=[SERVICE, CONFIG_MAP, SERVICE],
        keep={(CONFIG_MAP, ObjectKey("default", "k"))},
    )

    assert report.pruned == (*ids("b", "c"), *ids("s", gvk=SERVICE))
    assert model.requests == [
        ("delete", "ConfigMap", "default/b"),
        ("delete", "ConfigMap", "default/c"),
        ("delete", "Service", "default/s"),
    ]


async def test_prune_spares_what_is_not_ours_to_delete() -> None:
    """Another kind, another owner, another field owner, merely referred to, already deleting."""
    model = new_model()
    applier = applier_of(model)
    other = Applier(model, model, field_owner="operator/tls", domain="example.dev")
    await applier.apply_set(owner(), [service("another-kind"), config_map("deleting")])
    await other.apply_set(owner(), [config_map("another-field-owner")])
    await applier.apply_set(
        {**owner(), "metadata": {**owner()["metadata"], "uid": "x"}}, [config_map("another-owner")]
    )
    await applier.apply_set(owner(), [_referring("referring"), config_map("another-field-owner2")])
    model.find("ConfigMap", "deleting").deleting = True
    del model.objects["ConfigMap", ObjectKey("default", "another-field-owner2")]
    body = {"metadata": {"ownerReferences": [reference()]}}
    model.write("ConfigMap", "made-by-hand", body, manager="user")
    model.requests.clear()

    report = await applier.apply_set(owner(), [], prune=[CONFIG_MAP])

    assert report.pruned == ()
    assert model.requests == []


def _referring(name: str) -> dict[str, Any]:
    """A child that refers to the owner without being controlled by it."""
    made = config_map(name)
    made["metadata"]["ownerReferences"] = [{**reference(), "controller": False}]
    return made


async def test_prune_knows_its_own_by_annotation_or_by_fields() -> None:
    """An object whose managedFields were cleared, or whose annotation was removed, is ours."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map("cleared"), config_map("stripped")])
    model.find("ConfigMap", "cleared").managers.clear()
    mark = (("f", "metadata"), ("f", "annotations"), ("f", MARK))
    model.remove("ConfigMap", "stripped", mark, manager="kubectl")

    report = await applier.apply_set(owner(), [], prune=[CONFIG_MAP])

    assert report.pruned == ids("cleared", "stripped")


async def test_a_child_that_changed_since_it_was_cached_is_not_pruned() -> None:
    """It may have become somebody's; the key comes back with a newer view."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map()])
    model.snapshot()
    model.write("ConfigMap", "a", {"data": {"precious": "x"}}, manager="user")

    with pytest.raises(Conflict):
        await applier.apply_set(owner(), [], prune=[CONFIG_MAP])

    assert "precious" in model.manifest("ConfigMap", "a")["data"]


async def test_what_is_gone_already_is_not_reported_as_pruned() -> None:
    """A report tells what this pass did."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map()])
    model.snapshot()
    model.objects.clear()

    report = await applier.apply_set(owner(), [], prune=[CONFIG_MAP])

    assert report.pruned == ()


async def test_a_child_out_of_the_owners_reach_is_known_by_annotation() -> None:
    """It is applied and skipped like any other, and another owner's is a conflict."""
    model = new_model()
    applier = applier_of(model)
    far = owner("elsewhere")
    stranger = {**far, "metadata": {**far["metadata"], "uid": "stranger"}}

    reports = [await applier.apply_set(far, [config_map(k="v")]) for _ in range(2)]
    changed = await applier.apply_set(far, [config_map(k="w")])

    assert [len(each.applied) for each in reports] == [1, 0]
    assert changed.applied == ids("a")
    assert "ownerReferences" not in model.manifest("ConfigMap", "a")["metadata"]
    with pytest.raises(NameConflict):
        await applier.apply_set(stranger, [config_map(k="v")])


async def test_existing_binds_to_the_uid_and_forces() -> None:
    """A field that somebody took is ours again; nothing else could be hit."""
    model = new_model()
    applier = applier_of(model)
    made = await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID))
    model.write("ConfigMap", "a", {"data": {"k": "theirs"}}, manager="kubectl")
    uid = made["metadata"]["uid"]

    answer = await applier.apply(config_map(uid=OWNER_UID, k="w"), expectation=Existing(uid))

    assert answer["data"] == {"k": "w"}
    assert model.sent[-1]["metadata"]["uid"] == uid


async def test_existing_with_another_uid_creates_and_changes_nothing() -> None:
    """Neither a missing object nor a namesake is touched, not even if it looks converged."""
    model = new_model()
    applier = applier_of(model)

    with pytest.raises(Conflict):
        await applier.apply(config_map(k="v"), expectation=Existing("gone"))

    assert model.objects == {}
    await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID))
    with pytest.raises(Conflict):
        await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Existing("gone"))


async def test_existing_with_a_resource_version_fails_on_any_change() -> None:
    """A risky step sees exactly what it decided on."""
    model = new_model()
    applier = applier_of(model)
    made = await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID))
    metadata = made["metadata"]
    model.write("ConfigMap", "a", {"data": {"else": "x"}}, manager="user")

    with pytest.raises(Conflict, match="modified"):
        await applier.apply(
            config_map(uid=OWNER_UID, k="w"),
            expectation=Existing(metadata["uid"], metadata["resourceVersion"]),
        )


async def test_an_invalid_object_is_not_mistaken_for_another_one() -> None:
    """Only the UID's own refusal is a conflict; what is wrong with the object is told as it is."""
    model = new_model()

    def refuse() -> None:
        causes = [StatusCause("FieldValueInvalid", "no", "data")]
        raise Invalid("no", code=422, reason="Invalid", causes=causes)

    model.before_apply = refuse

    with pytest.raises(Invalid):
        await applier_of(model).apply(config_map(k="v"), expectation=Existing("u"))


async def test_existing_skips_what_would_change_nothing() -> None:
    """The cached object is the answer then."""
    model, metrics = new_model(), Noops()
    applier = applier_of(model, metrics)
    desired = config_map(uid=OWNER_UID, k="v")
    made = await applier.apply(desired, expectation=Absent(OWNER_UID))

    answer = await applier.apply(desired, expectation=Existing(made["metadata"]["uid"]))

    assert answer["data"] == {"k": "v"}
    assert (len(model.requests), metrics.count) == (1, 1)


async def test_absent_creates_without_force_and_only_a_missing_object() -> None:
    """The request itself can not change an object that appears meanwhile."""
    model = new_model()

    await applier_of(model).apply(config_map(uid=OWNER_UID), expectation=Absent(OWNER_UID))

    assert model.live_reads == 1
    assert model.sent[0]["metadata"]["resourceVersion"] == "1"


async def test_absent_settles_on_an_object_that_is_ours_already() -> None:
    """After an unknown outcome the object may be there: it is skipped, or brought up to date."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID))

    same = await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID))
    other = await applier.apply(config_map(uid=OWNER_UID, k="w"), expectation=Absent(OWNER_UID))

    assert (same["data"], other["data"]) == ({"k": "v"}, {"k": "w"})
    assert len(model.requests) == 2


async def test_absent_refuses_a_desired_object_that_names_no_owner() -> None:
    """Its answer could not be told from a foreign object."""
    model = new_model()

    with pytest.raises(ValueError, match="does not say that owner"):
        await applier_of(model).apply(config_map(k="v"), expectation=Absent(OWNER_UID))

    assert model.requests == []


async def test_absent_tells_a_terminating_namesake() -> None:
    """A single apply has no report to put it in."""
    model = new_model()
    model.write("ConfigMap", "a", {"data": {}}, manager="user")
    model.find("ConfigMap", "a").deleting = True

    with pytest.raises(ObjectTerminating, match="ConfigMap default/a"):
        await applier_of(model).apply(config_map(uid=OWNER_UID), expectation=Absent(OWNER_UID))


async def test_adoption_takes_what_is_listed() -> None:
    """Forced and bound to the UID that was read; a second pass does not even read."""
    model = new_model()
    applier = applier_of(model)
    model.write("ConfigMap", "a", {"data": {"k": "theirs", "extra": "x"}}, manager="user")
    expectation = Adopt(frozenset({KEY}))

    first = await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=expectation)
    await applier.apply(config_map(uid=OWNER_UID, k="v"), expectation=expectation)

    assert first["data"] == {"k": "v", "extra": "x"}
    assert (len(model.requests), model.live_reads) == (1, 1)


async def test_adoption_hands_over_what_older_managers_left() -> None:
    """Fields of a former client-side apply that we do not declare go with the first apply."""
    model = new_model()
    model.write("ConfigMap", "a", {"data": {"k": "theirs", "extra": "x"}}, manager="kubectl")
    expectation = Adopt(frozenset({KEY}), from_managers=frozenset({"kubectl"}))

    answer = await applier_of(model).apply(
        config_map(uid=OWNER_UID, k="v"), expectation=expectation
    )

    assert answer["data"] == {"k": "v"}
    assert [verb for verb, _, _ in model.requests] == ["patch", "apply"]


async def test_adoption_creates_what_is_missing() -> None:
    """A listed name may as well be free."""
    model = new_model()

    answer = await applier_of(model).apply(config_map(k="v"), expectation=Adopt(frozenset({KEY})))

    assert answer["data"] == {"k": "v"}


async def test_adoption_has_limits() -> None:
    """Not what is not listed, not what another owner controls, not what is being deleted."""
    model = new_model()
    applier = applier_of(model)
    listed = Adopt(frozenset({KEY}), from_managers=frozenset({"user"}))
    body = {"metadata": {"ownerReferences": [reference("another")]}}
    model.write("ConfigMap", "a", body, manager="user")

    with pytest.raises(ValueError, match="not in the adoption list"):
        await applier.apply(config_map(), expectation=Adopt(frozenset()))
    with pytest.raises(NameConflict, match="controlled by owner another"):
        await applier.apply(config_map(uid=OWNER_UID), expectation=listed)
    model.find("ConfigMap", "a").deleting = True
    with pytest.raises(ObjectTerminating):
        await applier.apply(config_map(uid="another"), expectation=listed)

    assert model.requests == []


async def test_a_terminating_object_is_not_adopted_however_converged() -> None:
    """It will be gone, so it is waited for, without handing anything over."""
    model = new_model()
    applier = applier_of(model)
    expectation = Adopt(frozenset({KEY}))
    await applier.apply(config_map(k="v"), expectation=expectation)
    model.find("ConfigMap", "a").deleting = True

    with pytest.raises(ObjectTerminating):
        await applier.apply(config_map(k="v"), expectation=expectation)


async def test_a_conflict_of_fields_names_manager_and_field() -> None:
    """Without force, on a server that ignores the precondition, the field's owner wins."""
    model = new_model()
    model.honours_preconditions = False
    model.before_apply = lambda: model.write("ConfigMap", "a", {"data": {"k": "u"}}, manager="user")

    with pytest.raises(ApplyConflict, match=r"\.data\.k belongs to user"):
        await applier_of(model).apply(
            config_map(uid=OWNER_UID, k="v"), expectation=Absent(OWNER_UID)
        )

    assert model.manifest("ConfigMap", "a")["data"] == {"k": "u"}


async def test_status_goes_to_its_subresource_under_the_same_owner() -> None:
    """Written once, counted as skipped afterwards, refused on a view without itself."""
    model, metrics = new_model(), Noops()
    applier = applier_of(model, metrics)
    model.write("Service", "a", {"spec": {}}, manager="user")
    old = model.manifest("Service", "a")

    written = await applier.apply_status(old, None, {"phase": "Ready"})
    stored = model.stored("Service", "a")
    again = await applier.apply_status(
        model.manifest("Service", "a"), stored.fields, {"phase": "Ready"}
    )

    assert (written, again, metrics.count) == (True, False, 1)
    assert model.requests == [("apply", "Service", "default/a/status")]
    stored = model.stored("Service", "a")
    await applier.apply_status(model.manifest("Service", "a"), stored.fields, {"phase": "Lost"})
    with pytest.raises(StaleView):
        await applier.apply_status(old, None, {"phase": "Ready"})


async def test_status_of_an_object_that_is_gone_is_not_written() -> None:
    """That is False, and no skipped write either."""
    model, metrics = new_model(), Noops()
    applier = applier_of(model, metrics)
    model.write("Service", "a", {"spec": {}}, manager="user")
    read = model.manifest("Service", "a")
    model.objects.clear()

    written = await applier.apply_status(read, None, {"phase": "Ready"})

    assert (written, metrics.count) == (False, 0)


def test_a_field_owner_that_names_no_annotation_is_refused() -> None:
    """At start, not at the first apply."""
    model = new_model()

    with pytest.raises(ValueError, match="name no annotation"):
        Applier(model, model, field_owner="operator/", domain="example.dev")


async def test_after_a_write_without_answer_the_next_is_bound_to_what_was_read() -> None:
    """The earlier one may have been executed: UID and version say which state this one is for."""
    model = new_model()
    applier = applier_of(model)
    await applier.apply_set(owner(), [config_map(k="v")])
    read = model.find("ConfigMap", "a")
    uid, version = read.uid, str(read.resource_version)
    model.unanswered = {("ConfigMap", KEY)}

    await applier.apply_set(owner(), [config_map(k="w")])
    await applier.apply(config_map(k="x", uid=OWNER_UID), expectation=Existing(uid))
    model.unanswered = set()
    await applier.apply_set(owner(), [config_map(k="y")])

    bound = [
        (each["metadata"].get("uid"), each["metadata"].get("resourceVersion"))
        for each in model.sent[1:]
    ]
    assert bound[0] == (uid, version)
    assert bound[1][0] == uid
    assert bound[1][1] not in (None, version)
    assert bound[2] == (uid, None)
