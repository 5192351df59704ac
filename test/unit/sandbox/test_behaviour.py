"""Tests of behaviours as JSON: what was told is what is done, and slips are named."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.operand.members import Backfill
from smbpctl.sandbox.behaviour import Behaviour, NotABehaviour

BEHAVIOURS = st.builds(
    Behaviour,
    ready=st.booleans(),
    hangs=st.booleans(),
    crashes=st.booleans(),
    ust=st.none() | st.integers(),
    backfill=st.none() | st.sampled_from(Backfill),
    server_id=st.none() | st.text(),
    config_id=st.none() | st.integers(),
    next_config_id=st.none() | st.integers(),
    routing_config_id=st.none() | st.integers(),
    body=st.none() | st.binary(),
)


@given(BEHAVIOURS)
def test_every_behaviour_survives_its_json(behaviour: Behaviour) -> None:
    """What one side writes the other reads, bodies included that are no text."""
    assert Behaviour.from_json(behaviour.to_json()) == behaviour


def test_what_is_not_said_is_healthy() -> None:
    """A document names the differences only."""
    behaviour = Behaviour.from_json(b'{"ust": 3, "backfill": "running", "body": "\\u00e4"}')

    assert behaviour == Behaviour(ust=3, backfill=Backfill.RUNNING, body="ä".encode())
    assert Behaviour.from_json("{}") == Behaviour()


FLAGS = ("ready", "hangs", "crashes")
NUMBERS = ("ust", "config_id", "next_config_id", "routing_config_id")
NO_FLAGS: tuple[Any, ...] = (1, None, "true")
NO_NUMBERS: tuple[Any, ...] = (True, 1.5, "1", [])
NO_BACKFILLS: tuple[Any, ...] = ("Running", "", 1, [], {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(FLAGS, NO_FLAGS),
        *itertools.product(NUMBERS, NO_NUMBERS),
        *itertools.product(["backfill"], NO_BACKFILLS),
        ("server_id", 1),
        ("server_id", False),
        ("body", 1),
        ("body", {}),
        ("body", "\ud800"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: Any) -> None:
    """A test that was mistyped fails where it is, not by a member that behaves too well."""
    with pytest.raises(NotABehaviour, match=rf"^{field} must be "):
        Behaviour.from_json(json.dumps({field: value}))


def test_an_unknown_field_is_refused_by_name() -> None:
    """So that a misspelt field does not pass for a healthy member."""
    with pytest.raises(NotABehaviour, match=r"^hang is not a field .*hangs"):
        Behaviour.from_json('{"hang": true}')


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    """Whatever is sent, the answer is a sentence."""
    with pytest.raises(NotABehaviour, match="JSON"):
        Behaviour.from_json(text)
