"""Properties of the topology document and of the catch-up rule."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

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

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["current", "next", "id", "members", "serverId", "ust"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """Draw any configuration that members could live by."""
    partitions = draw(st.integers(1, 4))
    replicas = draw(st.integers(1, 4))
    members = [
        MemberAddress(partition, ordinal, draw(st.text(min_size=1, max_size=8)), 8080)
        for partition in range(partitions)
        for ordinal in sorted(
            draw(st.sets(st.integers(0, replicas - 1), min_size=1, max_size=replicas))
        )
    ]
    return Configuration(
        id=draw(st.integers(1, 2**40)),
        partitions=partitions,
        replicas=replicas,
        minimum_replicas=draw(st.integers(1, replicas)),
        members=tuple(members),
    )


REPORTS = st.lists(
    st.builds(
        MemberReport,
        server_id=st.text(min_size=1, max_size=3),
        config_id=st.just(1),
        next_config_id=st.none(),
        ust=st.integers(0, 3 * CATCH_UP_ALLOWANCE),
        routing_config_id=st.just(1),
        backfill=st.sampled_from(Backfill),
    ),
    min_size=1,
    max_size=5,
)


@given(configurations(), st.none() | configurations())
def test_documents_round_trip(current: Configuration, following: Configuration | None) -> None:
    """Any topology is read back as it was written, and written the same again."""
    if following is not None:
        following = replace(following, id=current.id + 1)
    topology = Topology(current, following)

    read = Topology.from_json(topology.to_json())

    assert read == topology
    assert read.to_json() == topology.to_json()


@given(JSON)
def test_no_json_breaks_the_parsers(value: object) -> None:
    """Any JSON is either what the contract says or a ContractViolation, never another error."""

    text = json.dumps(value)
    for parse in (MemberReport.from_json, Topology.from_json):
        try:
            parse(text)
        except ContractViolation:
            continue


@given(REPORTS)
def test_who_is_near_the_head_is_caught_up_unless_it_backfills(reports: list[MemberReport]) -> None:
    """Whoever is within the allowance of the highest timestamp; backfill decides first."""
    head = max(report.ust for report in reports)

    for report in reports:
        complete = report.backfill in (Backfill.NONE, Backfill.DONE)
        assert caught_up(report, reports) == (report.ust + CATCH_UP_ALLOWANCE >= head and complete)
