"""A client with a field owner of its own."""

import pytest

from smbpctl.runtime.client import with_field_owner
from test.support.fake_transport import json_response, query_of
from test.unit.runtime.client.server import (
    CONFIG_MAP,
    KEY,
    STORED,
    WRITES,
    Server,
    exercise_reads,
    manifest,
)


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


async def test_it_is_named_where_the_call_names_none(server: Server) -> None:
    """An owner that is named wins."""
    server.script(json_response(STORED), json_response(STORED))
    client = with_field_owner(server.client, "mine")

    await client.apply(manifest())
    await client.patch_merge(CONFIG_MAP, KEY, {}, field_owner="other")

    owners = [query_of(request)["fieldManager"] for request in server.requests]
    assert owners == ["mine", "other"]


@pytest.mark.parametrize("name", ["delete", "delete_collection", "evict"])
async def test_what_has_no_owner_gets_none(server: Server, name: str) -> None:
    """Deletions and evictions."""
    server.script(json_response({}))

    await WRITES[name](with_field_owner(server.client, "mine"))

    assert "fieldManager" not in server.request.url


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_it_must_be_one(server: Server, name: str) -> None:
    """Found here rather than with the first write."""
    with pytest.raises(ValueError, match="cannot be a field owner"):
        with_field_owner(server.client, name)


async def test_reads_are_passed_on(server: Server) -> None:
    """As they are."""
    await exercise_reads(server, with_field_owner(server.client, "mine"))
