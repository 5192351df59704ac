"""Tests of status applies: what is sent, when, and on which view."""

from typing import Any

import pytest

from smbpctl.runtime.apply.expectation import StaleView
from smbpctl.runtime.apply.status import (
    StatusApplier,
    StatusOutcome,
    carry_transition_times,
    owned_status,
)
from smbpctl.runtime.meta import Manifest, ObjectKey
from test.support.apply_model import ApplyModel, Atomic, KeyedList, Scalar, Struct

OWNER = "operator/web"
OTHER = "operator/other"
CONDITION = Struct(
    {name: Scalar() for name in ("type", "status", "reason", "message", "lastTransitionTime")}
)
STATUS = Struct(
    {
        "phase": Scalar(),
        "replicas": Scalar(),
        "details": Atomic(),
        "conditions": KeyedList({"type": None}, CONDITION),
    }
)


def condition(kind: str, status: str, since: str = "then", **more: str) -> dict[str, Any]:
    """One condition."""
    return {"type": kind, "status": status, "lastTransitionTime": since, **more}


def model() -> ApplyModel:
    """A server with one object that has no status yet."""
    made = ApplyModel(Widget={"spec": Atomic(), "status": STATUS})
    made.write("Widget", "a", {"spec": {}}, manager="user")
    return made


async def write(server: ApplyModel, status: dict[str, Any], owner: str = OWNER) -> StatusOutcome:
    """Write a status from the newest view."""
    return await StatusApplier(server, server, field_owner=owner).apply(*read(server), status)


def read(server: ApplyModel) -> tuple[Manifest, dict[str, bytes] | None]:
    """The newest view: the object and the fields its managers own."""
    return server.manifest("Widget", "a"), server.stored("Widget", "a").fields


async def test_a_status_is_written_once() -> None:
    """The second apply of the same status finds everything in place, also in a new process."""
    server = model()
    status = {"phase": "Ready", "replicas": 3, "conditions": [condition("A", "True")]}

    outcomes = [await write(server, status) for _ in range(2)]

    assert outcomes == [StatusOutcome.WRITTEN, StatusOutcome.UNCHANGED]
    assert server.manifest("Widget", "a")["status"] == status


async def test_the_patch_is_bound_to_what_was_read() -> None:
    """A namesake born meanwhile gets no status of its predecessor."""
    server = model()

    await write(server, {"phase": "Ready"})

    assert server.sent == [
        {
            "apiVersion": "v1",
            "kind": "Widget",
            "metadata": {
                "name": "a",
                "namespace": "default",
                "uid": "uid-1",
                "resourceVersion": "101",
            },
            "status": {"phase": "Ready"},
        }
    ]


async def test_cluster_scoped_objects_have_no_namespace() -> None:
    """An empty namespace is not sent."""
    server = model()
    server.objects["Widget", ObjectKey("", "a")] = server.objects.pop(
        ("Widget", ObjectKey("default", "a"))
    )
    observed = server.manifest("Widget", "a", "")

    await StatusApplier(server, server, field_owner=OWNER).apply(observed, None, {"phase": "x"})

    assert "namespace" not in server.sent[0]["metadata"]


async def test_owners_share_conditions_by_type() -> None:
    """Each owner's list is complete for itself; the other's items are left alone."""
    server = model()
    await write(server, {"conditions": [condition("A", "True")]})

    await write(server, {"conditions": [condition("B", "True")]}, OTHER)

    kinds = [each["type"] for each in server.manifest("Widget", "a")["status"]["conditions"]]
    assert kinds == ["A", "B"]
    again = [
        await write(server, {"conditions": [condition("A", "True")]}),
        await write(server, {"conditions": [condition("B", "True")]}, OTHER),
    ]
    assert again == [StatusOutcome.UNCHANGED] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "Lost"},
        {"details": {"a": [2]}},
        {"replicas": 1},
        {"conditions": []},
        {"conditions": [condition("A", "False")]},
        {"conditions": [condition("A", "True", reason="New")]},
    ],
)
async def test_every_kind_of_difference_is_written(change: dict[str, Any]) -> None:
    """A new value, a new field, a dropped item: each is sent once."""
    server = model()
    status = {"phase": "Ready", "details": {"a": [1]}, "conditions": [condition("A", "True")]}
    await write(server, status)

    outcomes = [await write(server, {**status, **change}) for _ in range(2)]

    assert outcomes == [StatusOutcome.WRITTEN, StatusOutcome.UNCHANGED]
    whole = {**status, **change}
    live = server.manifest("Widget", "a")["status"]
    assert live == {name: value for name, value in whole.items() if value != []}


async def test_a_foreign_change_is_mended_once() -> None:
    """Somebody edited our field: it is ours no more, so the status is sent again."""
    server = model()
    await write(server, {"phase": "Ready"})
    server.write("Widget", "a", {"status": {"phase": "Hacked"}}, manager="kubectl")

    outcomes = [await write(server, {"phase": "Ready"}) for _ in range(2)]

    assert outcomes == [StatusOutcome.WRITTEN, StatusOutcome.UNCHANGED]
    assert server.manifest("Widget", "a")["status"]["phase"] == "Ready"


async def test_what_is_not_sent_is_removed() -> None:
    """A status apply is complete; that is why it starts from what is owned."""
    server = model()
    await write(server, {"phase": "Ready", "replicas": 3})

    await write(server, {"phase": "Ready"})

    assert server.manifest("Widget", "a")["status"] == {"phase": "Ready"}


@pytest.mark.parametrize("status", [{}, {"conditions": []}])
async def test_nothing_to_say_is_not_written(status: dict[str, Any]) -> None:
    """An owner without anything in the status needs no apply for having nothing."""
    server = model()

    outcome = await write(server, status)

    assert outcome is StatusOutcome.UNCHANGED


async def test_a_status_emptied_once_stays_empty() -> None:
    """An owner that takes everything back writes that once, beside what others have."""
    server = model()
    await write(server, {"phase": "Ready"})
    await write(server, {"replicas": 1}, OTHER)

    outcomes = [await write(server, {}) for _ in range(2)]

    assert outcomes == [StatusOutcome.WRITTEN, StatusOutcome.UNCHANGED]
    assert server.manifest("Widget", "a")["status"] == {"replicas": 1}


async def test_the_owned_part_is_the_start_of_the_next_status() -> None:
    """Only our own fields come back; without any, nothing does."""
    server = model()
    await write(server, {"phase": "Ready", "conditions": [condition("A", "True")]})
    await write(server, {"replicas": 1, "conditions": [condition("B", "True")]}, OTHER)
    observed, fields = read(server)

    owned = owned_status(observed, fields, field_owner=OWNER)

    assert owned == {"phase": "Ready", "conditions": [condition("A", "True")]}
    assert owned_status(observed, fields, field_owner="operator/third") == {}
    assert owned_status(observed, None, field_owner=OWNER) == {}
    assert owned_status({"metadata": {}}, fields, field_owner=OWNER) == {}


def test_transition_time_is_carried_unless_the_status_turned() -> None:
    """Reason and message may change without a transition; a new condition has its own time."""
    observed = {"status": {"conditions": [condition("A", "True"), condition("B", "True")]}}
    status = {
        "conditions": [
            condition("A", "True", "now", reason="New"),
            condition("B", "False", "now"),
            condition("C", "True", "now"),
        ]
    }

    carried = carry_transition_times(status, observed)

    assert [each["lastTransitionTime"] for each in carried["conditions"]] == ["then", "now", "now"]
    assert carried["conditions"][0]["reason"] == "New"
    assert status["conditions"][0]["lastTransitionTime"] == "now"


@pytest.mark.parametrize("observed", [{}, {"status": None}, {"status": {"conditions": None}}])
def test_an_object_without_conditions_carries_none(observed: dict[str, Any]) -> None:
    """The first status keeps its own times; a status without conditions is left as it is."""
    status = {"conditions": [condition("A", "True", "now")]}

    assert carry_transition_times(status, observed) == status
    assert carry_transition_times({"phase": "x"}, observed) == {"phase": "x"}


async def test_a_condition_looked_at_again_writes_nothing() -> None:
    """A pass that stamps every condition with the present time is still a no-op."""
    server = model()
    await write(server, {"conditions": [condition("A", "True", "then")]})

    outcome = await write(server, {"conditions": [condition("A", "True", "now")]})

    assert outcome is StatusOutcome.UNCHANGED


async def test_a_change_that_is_not_ours_does_not_stop_a_status() -> None:
    """Another owner's condition, written since the read, is no reason to come back later."""
    server = model()
    await write(server, {"phase": "One"})
    observed, fields = read(server)
    await write(server, {"conditions": [condition("B", "True")]}, OTHER)

    outcome = await StatusApplier(server, server, field_owner=OWNER).apply(
        observed, fields, {"phase": "Two"}
    )

    assert outcome is StatusOutcome.WRITTEN
    assert server.manifest("Widget", "a")["status"]["phase"] == "Two"


async def test_a_status_from_a_view_without_our_last_one_is_refused() -> None:
    """What was carried over from that view would undo it; a newer view is fine again."""
    server = model()
    applier = StatusApplier(server, server, field_owner=OWNER)
    observed, fields = read(server)
    await applier.apply(observed, fields, {"phase": "One"})

    with pytest.raises(StaleView, match="Widget default/a"):
        await applier.apply(observed, fields, {"phase": "Two"})

    assert server.manifest("Widget", "a")["status"] == {"phase": "One"}
    assert await applier.apply(*read(server), {"phase": "Two"}) is StatusOutcome.WRITTEN


async def test_a_status_that_arrived_already_is_no_conflict() -> None:
    """The view is behind our own last write, and nothing else is to be said."""
    server = model()
    applier = StatusApplier(server, server, field_owner=OWNER)
    observed, fields = read(server)
    await applier.apply(observed, fields, {"phase": "One"})

    outcome = await applier.apply(observed, fields, {"phase": "One"})

    assert outcome is StatusOutcome.UNCHANGED


async def test_a_namesake_gets_no_status_of_its_predecessor() -> None:
    """Not even one without any status of ours in either object."""
    server = model()
    observed, fields = read(server)
    server.objects.clear()
    server.write("Widget", "a", {"spec": {}}, manager="user")

    with pytest.raises(StaleView):
        await StatusApplier(server, server, field_owner=OWNER).apply(
            observed, fields, {"phase": "One"}
        )

    assert "status" not in server.manifest("Widget", "a")


async def test_an_object_that_never_rests_is_left_for_later() -> None:
    """After a few attempts the key comes back by its own backoff."""
    server = model()
    server.before_apply = lambda: server.write("Widget", "a", {"spec": {}}, manager="user")

    with pytest.raises(StaleView):
        await write(server, {"phase": "One"})

    assert len(server.requests) == 4


async def test_an_object_that_goes_between_attempts_needs_no_status() -> None:
    """It changed, and when it is read again it is gone."""
    server = model()
    observed, fields = read(server)
    server.write("Widget", "a", {"spec": {}}, manager="user")
    reader = ApplyModel(Widget={})

    outcome = await StatusApplier(server, reader, field_owner=OWNER).apply(
        observed, fields, {"phase": "One"}
    )

    assert outcome is StatusOutcome.GONE


async def test_an_object_that_is_gone_needs_no_status() -> None:
    """Nobody is left to be told; that is no error."""
    server = model()
    observed, fields = read(server)
    server.objects.clear()

    outcome = await StatusApplier(server, server, field_owner=OWNER).apply(
        observed, fields, {"phase": "x"}
    )

    assert outcome is StatusOutcome.GONE


@pytest.mark.parametrize(
    ("uid", "status", "words"),
    [("", {}, "no uid"), ("u", {"phase": None}, r"status of Widget default/a\.phase is null")],
)
async def test_what_cannot_be_applied_is_refused(
    uid: str, status: dict[str, Any], words: str
) -> None:
    """Before anything is sent."""
    server = model()
    observed, fields = read(server)
    observed["metadata"]["uid"] = uid

    with pytest.raises(ValueError, match=words):
        await StatusApplier(server, server, field_owner=OWNER).apply(observed, fields, status)

    assert server.sent == []
