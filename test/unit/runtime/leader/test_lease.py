"""The four requests about a Lease, and what becomes of odd answers."""

import json
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.errors import AlreadyExists, Conflict, Gone, NotFound, TransportError
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.leader.election import Write
from smbpctl.runtime.leader.lease import LeaseApi
from smbpctl.runtime.leader.record import LeaseRecord
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    body_of,
    json_response,
    query_of,
    status_response,
)

SETTINGS = LeaderElection(lease_name="operator", namespace="system")
PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
LEASE: dict[str, Any] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "operator", "namespace": "system", "resourceVersion": "7"},
    "spec": {"holderIdentity": "a"},
}
LONG = timedelta(minutes=1)


def api(answer: Answer) -> tuple[LeaseApi, FakeTransport]:
    """Return the requests over a transport that always answers the same."""
    transport = FakeTransport(lambda _: answer)
    return LeaseApi(transport, SETTINGS, None), transport


async def events(answer: FakeResponse) -> list[LeaseRecord | None]:
    """Return what a watch tells until it ends."""
    lease, _ = api(answer)
    async with lease.watch() as told:
        return [each async for each in told]


def event(kind: str, told: object) -> bytes:
    """Return a line of a watch."""
    return json.dumps({"type": kind, "object": told}).encode() + b"\n"


class TestGet:
    async def test_a_lease(self) -> None:
        """One request of bounded length."""
        lease, transport = api(json_response(LEASE))

        record = await lease.get(LONG)

        assert record == LeaseRecord.of(LEASE)
        assert transport.calls() == [f"GET {PATH}/operator"]
        assert transport.requests[0].timeout == timedelta(seconds=5)

    async def test_the_time_left_bounds_it(self) -> None:
        """A renewal that takes longer than the term is of no use."""
        lease, transport = api(json_response(LEASE))

        await lease.get(timedelta(seconds=2))

        assert transport.requests[0].timeout == timedelta(seconds=2)

    async def test_none(self) -> None:
        """That there is no Lease is no error."""
        lease, _ = api(status_response(404, "NotFound"))

        assert await lease.get(LONG) is None

    async def test_an_api_that_is_not_served_is_an_error(self) -> None:
        """A 404 for the path itself does not say that the Lease does not exist."""
        lease, _ = api(status_response(404, "NotFound", details={}))

        with pytest.raises(NotFound):
            await lease.get(LONG)

    async def test_an_answer_that_is_no_lease(self) -> None:
        """A proxy's page says nothing of the Lease."""
        lease, _ = api(FakeResponse(body=b"<html>"))

        with pytest.raises(TransportError, match="get Lease system/operator"):
            await lease.get(LONG)


class TestWrite:
    async def test_create(self) -> None:
        """The whole object, to the collection."""
        lease, transport = api(json_response(LEASE, 201))

        record = await lease.write(Write(LEASE, create=True, sent=1.0), LONG)

        assert record.version == "7"
        assert transport.calls() == [f"POST {PATH}"]
        assert body_of(transport.requests[0]) == LEASE

    async def test_update(self) -> None:
        """To the object, with the time after which the server gives up as well."""
        lease, transport = api(json_response(LEASE))

        await lease.write(Write(LEASE, create=False, sent=1.0), timedelta(seconds=2))

        assert transport.calls() == [f"PUT {PATH}/operator"]
        assert query_of(transport.requests[0]) == {"timeout": "2000ms"}

    @pytest.mark.parametrize(
        ("reason", "error"), [("Conflict", Conflict), ("AlreadyExists", AlreadyExists)]
    )
    async def test_somebody_else_was_first(self, reason: str, error: type[Exception]) -> None:
        """Told apart from trouble."""
        lease, _ = api(status_response(409, reason))

        with pytest.raises(error):
            await lease.write(Write(LEASE, create=False, sent=1.0), LONG)


class TestWatch:
    async def test_each_state_is_told(self) -> None:
        """The Lease as it is, its changes, None for its deletion; lines may be cut anywhere."""
        stream = event("ADDED", LEASE) + event("BOOKMARK", {}) + event("DELETED", LEASE)
        chunks = [stream[:10], stream[10:200], stream[200:]]

        told = await events(FakeResponse(stream=chunks))

        assert told == [LeaseRecord.of(LEASE), None]

    async def test_only_the_one_lease_is_watched(self) -> None:
        """By its name, so that a right on this one name suffices."""
        lease, transport = api(FakeResponse(stream=[]))

        async with lease.watch():
            pass

        assert transport.calls() == [f"GET {PATH}"]
        query = query_of(transport.requests[0])
        assert (query["watch"], query["fieldSelector"]) == ("1", "metadata.name=operator")

    async def test_an_error_event(self) -> None:
        """The server says why it ends the watch."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}

        with pytest.raises(Gone):
            await events(FakeResponse(stream=[event("ERROR", status)]))

    @pytest.mark.parametrize(
        "line", [b"garbage\n", b"[]\n", event("SURPRISE", LEASE), b'{"type": 5}\n']
    )
    async def test_a_malformed_line(self, line: bytes) -> None:
        """It ends the watch; nothing is made of it."""
        with pytest.raises(TransportError):
            await events(FakeResponse(stream=[line]))

    async def test_an_event_without_an_object(self) -> None:
        """It reads as a Lease of which nothing is known, the oldest there is."""
        (record,) = await events(FakeResponse(stream=[event("MODIFIED", None)]))

        assert record is not None
        assert record.order == -1
