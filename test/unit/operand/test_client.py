"""Tests of the admin client: every failure is an answer, and few members are asked at a time."""

import asyncio
from datetime import timedelta

import pytest

from smbpctl.operand.client import AdminClient, MemberEndpoint
from smbpctl.operand.doors import DirectDoor
from smbpctl.operand.members import Backfill, MemberReport, Unreachable
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import ConfigurationError, Forbidden, TransportError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import FakeResponse, FakeTransport, Handler, json_response
from test.support.members import member_at
from test.support.virtual_time import run_virtual

ANSWER = {"serverId": "s-1", "configId": 1, "ust": 5, "routingConfigId": 1}
TIMEOUT = timedelta(seconds=3)


def client(handler: Handler, *, concurrency: int = 16) -> tuple[AdminClient, FakeTransport]:
    """Return a client and the network that `handler` answers for."""
    transport = FakeTransport(handler)
    door = DirectDoor(transport)
    admin = AdminClient(door, clock=LoopClock(), timeout=TIMEOUT, concurrency=concurrency)
    return admin, transport


def test_a_report_is_read_from_the_members_own_address() -> None:
    """The member itself is asked, by GET, within the timeout."""
    admin, transport = client(lambda _: json_response(ANSWER))

    report = run_virtual(admin.report(member_at("127.0.0.9:8080")))

    assert report == MemberReport("s-1", 1, None, 5, 1, Backfill.NONE)
    (request,) = transport.requests
    assert (request.method, request.url) == ("GET", "http://127.0.0.9:8080/cluster_version")
    assert request.timeout == TIMEOUT


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.0.0.9", "10.0.0.9:8080"), ("fd00::7", "[fd00::7]:8080"), ("m.example", "m.example:8080")],
)
def test_an_address_is_what_a_url_has(host: str, address: str) -> None:
    """host:port of an IPv6 address is ambiguous without brackets."""
    member = MemberEndpoint(ObjectKey("shop", "demo-0"), host, 8080)

    assert member.address == address


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TransportError("connection refused", sent=False), "connection refused"),
        (Forbidden("pods/portforward is forbidden", code=403), "pods/portforward is forbidden"),
        (ConfigurationError("the exec plugin failed"), "the exec plugin failed"),
        (FakeResponse(status=503, body=b"starting"), "HTTP 503"),
        (FakeResponse(status=302, body=b""), "HTTP 302"),
        (FakeResponse(body=b"<html>"), "not JSON"),
        (json_response({**ANSWER, "configId": "1"}), "configId"),
        (FakeResponse(stream=[b"{", TransportError("reset", sent=True)]), "reset"),
        (FakeResponse(body=b"{" + b" " * 70_000 + b"}"), "exceeds"),
    ],
)
def test_whatever_goes_wrong_is_unreachable(answer: FakeResponse | Exception, reason: str) -> None:
    """A member that cannot be asked or answers nonsense is unknown, with the reason."""
    admin, _ = client(lambda _: answer)

    report = run_virtual(admin.report(member_at("m:8080")))

    assert isinstance(report, Unreachable)
    assert reason in report.reason


def test_a_hanging_member_is_given_up_even_by_a_hanging_transport() -> None:
    """The deadline holds although the transport forgets its own."""

    async def never(_: HttpRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def ask() -> tuple[MemberReport | Unreachable, float]:
        admin, _ = client(never)
        begun = LoopClock().monotonic()
        report = await admin.report(member_at("m:8080"))
        return report, LoopClock().monotonic() - begun

    report, elapsed = run_virtual(ask())

    assert report == Unreachable("no answer within 3 s")
    assert elapsed == pytest.approx(4.0)


def test_one_members_trouble_is_its_own() -> None:
    """Members are asked independently: each address gets its own answer, in the order asked."""

    def answer(request: HttpRequest) -> FakeResponse | Exception:
        if "bad" in request.url:
            return TransportError("refused", sent=False)
        return json_response({**ANSWER, "serverId": request.url})

    admin, _ = client(answer)

    members = [member_at("a:1"), member_at("bad:1"), member_at("b:1")]
    reports = run_virtual(admin.reports(members))

    assert list(reports) == members
    assert [type(report) for report in reports.values()] == [
        MemberReport,
        Unreachable,
        MemberReport,
    ]


def test_a_member_is_asked_once() -> None:
    """The same member twice is one question."""
    admin, transport = client(lambda _: json_response(ANSWER))

    reports = run_virtual(admin.reports([member_at("a:1"), member_at("a:1")]))

    assert list(reports) == [member_at("a:1")]
    assert len(transport.requests) == 1


def test_no_members_give_no_reports() -> None:
    """Nothing to ask is not an error."""
    admin, transport = client(lambda _: json_response(ANSWER))

    assert run_virtual(admin.reports([])) == {}
    assert transport.requests == []


def test_concurrency_is_bounded_across_callers() -> None:
    """However many callers there are, no more members than allowed are asked at one time."""
    active = 0
    most = 0

    async def slow(_: HttpRequest) -> FakeResponse:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await LoopClock().sleep(timedelta(seconds=2))
        active -= 1
        return json_response(ANSWER)

    async def ask() -> list[MemberReport | Unreachable]:
        admin, _ = client(slow, concurrency=3)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(admin.reports([member_at(f"a{n}:1") for n in range(5)]))
            second = group.create_task(admin.reports([member_at(f"b{n}:1") for n in range(5)]))
        return [*first.result().values(), *second.result().values()]

    reports = run_virtual(ask())

    assert most == 3
    # Waiting for a turn is not held against a member: the last ones wait for more than 3 s.
    assert all(isinstance(report, MemberReport) for report in reports)
    assert len(reports) == 10


def test_concurrency_must_be_possible() -> None:
    """A limit of zero would wait for ever, so it is refused."""
    with pytest.raises(ValueError, match="concurrency"):
        client(lambda _: json_response(ANSWER), concurrency=0)


def test_cancellation_passes_through() -> None:
    """A caller that is cancelled ends; that is not a member's failure."""

    async def never(_: HttpRequest) -> FakeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def ask() -> None:
        admin, transport = client(never)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(admin.report(member_at("m:8080")))
            await LoopClock().sleep(timedelta(seconds=1))
            task.cancel()
        assert task.cancelled()
        assert transport.open_exchanges == 0

    run_virtual(ask())
