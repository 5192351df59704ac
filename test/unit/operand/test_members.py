"""Tests of member reports, the catch-up rule and the topology document."""

import json
from dataclasses import replace
from typing import Any

import pytest

from smbpctl.operand.contract import CATCH_UP_ALLOWANCE
from smbpctl.operand.members import (
    Backfill,
    Configuration,
    ContractViolation,
    MemberAddress,
    MemberReport,
    Topology,
    caught_up,
)

ANSWER: dict[str, Any] = {
    "serverId": "s-1",
    "configId": 3,
    "nextConfigId": 4,
    "ust": 1200,
    "routingConfigId": 3,
    "backfill": "running",
}


def slots(partitions: int, replicas: int) -> tuple[MemberAddress, ...]:
    """Return the members of a full rectangle."""
    return tuple(
        MemberAddress(partition, ordinal, f"store-{partition}-{ordinal}", 8080)
        for partition in range(partitions)
        for ordinal in range(replicas)
    )


CURRENT = Configuration(id=7, partitions=2, replicas=2, minimum_replicas=1, members=slots(2, 2))
NEXT = replace(CURRENT, id=8, partitions=3, members=slots(3, 2))


def member(server_id: str = "s", ust: int = 10, backfill: Backfill = Backfill.NONE) -> MemberReport:
    """Return a report outside any transition."""
    return MemberReport(server_id, 1, None, ust, 1, backfill)


def test_a_report_carries_every_field() -> None:
    """A complete answer gives a report field by field."""
    report = MemberReport.from_json(json.dumps(ANSWER))

    assert report == MemberReport("s-1", 3, 4, 1200, 3, Backfill.RUNNING)


def test_a_report_tolerates_what_newer_images_add() -> None:
    """Unknown fields are ignored: a newer image may say more than this operator knows."""
    report = MemberReport.from_json(json.dumps({**ANSWER, "shiny": {"new": True}}))

    assert report.server_id == "s-1"


@pytest.mark.parametrize("absent", ["nextConfigId", "backfill"])
@pytest.mark.parametrize("how", ["null", "missing"])
def test_a_report_may_lack_what_only_transitions_have(absent: str, how: str) -> None:
    """Outside a transition there is no next configuration and no backfill: null or missing."""
    answer = {**ANSWER, absent: None} if how == "null" else {**ANSWER}
    if how == "missing":
        del answer[absent]

    report = MemberReport.from_json(json.dumps(answer))

    if absent == "nextConfigId":
        assert report.next_config_id is None
    else:
        assert report.backfill is Backfill.NONE


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("serverId", "", "serverId"),
        ("serverId", 5, "serverId"),
        ("serverId", None, "serverId"),
        ("configId", "3", "configId"),
        ("configId", 0, "configId"),
        ("configId", True, "configId"),
        ("configId", None, "configId"),
        ("nextConfigId", 0, "nextConfigId"),
        ("nextConfigId", "4", "nextConfigId"),
        ("ust", -1, "ust"),
        ("ust", 1.5, "ust"),
        ("routingConfigId", None, "routingConfigId"),
        ("backfill", "perhaps", "backfill"),
        ("backfill", 3, "backfill"),
    ],
)
def test_a_broken_field_is_named(field: str, value: object, named: str) -> None:
    """A field of another type or range is refused, by name; nothing is guessed."""
    with pytest.raises(ContractViolation, match=named):
        MemberReport.from_json(json.dumps({**ANSWER, field: value}))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502</html>", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 60_000, b"9" * 5_000],
)
def test_a_body_that_is_no_report_is_refused(body: bytes) -> None:
    """Whatever a proxy or a wrong server answers ends in one kind of error."""
    with pytest.raises(ContractViolation):
        MemberReport.from_json(body)


def test_a_member_at_the_head_has_caught_up() -> None:
    """A member that committed all that any other has is caught up; its own report may be there."""
    own = member("a", ust=10)

    assert caught_up(own, [own, member("b", ust=10), member("c", ust=7)])
    assert caught_up(own, [])


def test_a_member_behind_has_not_caught_up() -> None:
    """One other member that is further ahead is enough."""
    others = [member("b", ust=9), member("c", ust=10 + CATCH_UP_ALLOWANCE)]
    assert not caught_up(member("a", ust=9), others)


def test_the_allowance_bounds_the_lag() -> None:
    """With an allowance, a lag up to it counts as caught up, and one more does not."""
    head = [member("b", ust=110)]

    assert caught_up(member("a", ust=100), head, allowance=10)
    assert not caught_up(member("a", ust=99), head, allowance=10)


@pytest.mark.parametrize(
    ("backfill", "expected"),
    [
        (Backfill.NONE, True),
        (Backfill.DONE, True),
        (Backfill.RUNNING, False),
        (Backfill.FAILED, False),
    ],
)
def test_a_member_that_lacks_old_data_has_not_caught_up(backfill: Backfill, expected: bool) -> None:
    """The newest timestamp says nothing of what is older than the log: backfill must be over."""
    assert caught_up(member(ust=10, backfill=backfill), [member("b", ust=10)]) is expected


def test_the_topology_document_has_the_agreed_shape() -> None:
    """Members read `{current, next}` with camelCase names; next is null outside a transition."""
    document = json.loads(Topology(current=CURRENT).to_json())

    assert document["next"] is None
    assert {name: value for name, value in document["current"].items() if name != "members"} == {
        "id": 7,
        "partitions": 2,
        "replicas": 2,
        "minimumReplicas": 1,
    }
    assert document["current"]["members"][1] == {
        "partition": 0,
        "ordinal": 1,
        "host": "store-0-1",
        "port": 8080,
    }


def test_the_topology_document_is_canonical() -> None:
    """Equal topologies give equal bytes: sorted keys, no spaces, whatever made them."""
    text = Topology(current=CURRENT, next=NEXT).to_json()

    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert Topology.from_json(text).to_json() == text


def test_a_topology_survives_the_round_trip() -> None:
    """What is written is what is read, with and without a next configuration."""
    for topology in (Topology(CURRENT), Topology(CURRENT, NEXT)):
        assert Topology.from_json(topology.to_json()) == topology


def test_next_follows_current() -> None:
    """Next's id is current's plus one: nothing else can be promoted without a renumbering."""
    with pytest.raises(ContractViolation, match=r"next\.id"):
        Topology(current=CURRENT, next=replace(NEXT, id=9))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": 0}, "id"),
        ({"minimum_replicas": 0}, "minimumReplicas"),
        ({"minimum_replicas": 3}, "minimumReplicas"),
        ({"members": slots(1, 2)}, "partitions"),
        ({"members": slots(3, 2)}, "partitions"),
        ({"members": tuple(reversed(slots(2, 2)))}, "sorted"),
        ({"members": (*slots(1, 1), *slots(2, 2))}, "sorted"),
    ],
)
def test_an_impossible_configuration_is_refused(change: dict[str, Any], named: str) -> None:
    """No configuration can be made that leaves a partition without members or counts wrongly."""
    with pytest.raises(ContractViolation, match=named):
        replace(CURRENT, **change)


def test_a_configuration_may_lack_a_slot_that_was_given_up() -> None:
    """A dead member's slot may be taken out while its partition keeps a survivor."""
    survivors = tuple(one for one in CURRENT.members if (one.partition, one.ordinal) != (1, 0))

    assert len(replace(CURRENT, members=survivors).members) == 3


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("current",), None, "current"),
        (("current",), [], "current"),
        (("current", "replicas"), "two", "current: replicas"),
        (("current", "members"), {}, "current: members"),
        (("current", "members", 0), 4, "current"),
        (("current", "members", 0, "host"), "", "host"),
        (("current", "members", 0, "port"), 0, "port"),
        (("next", "id"), 12, "next.id"),
        (("next", "minimumReplicas"), 9, "next: minimumReplicas"),
    ],
)
def test_a_broken_document_names_the_place(
    path: tuple[str | int, ...], value: object, named: str
) -> None:
    """A damaged topology document says where it is damaged, and in which configuration."""
    document = json.loads(Topology(CURRENT, NEXT).to_json())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(ContractViolation, match=named):
        Topology.from_json(json.dumps(document))
