"""The two ways to members: which pod or address a question reaches, and what the answer becomes."""

from datetime import timedelta

import pytest
from aiohttp import web

from smbpctl.operand.client import AdminClient, MemberEndpoint
from smbpctl.operand.doors import DirectDoor, PortForwardDoor
from smbpctl.operand.members import MemberReport, Unreachable
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import Credential, ForwardedHttp, HttpTransport
from test.support.http_server import http_server
from test.support.portforward_server import (
    Forwarding,
    ForwardingServer,
    forwarding,
    pods_at,
    refusing,
)

MEMBER = MemberEndpoint(ObjectKey("shop", "demo-store-0-0"), "192.0.2.1", 8080)


async def report(request: web.BaseRequest) -> web.StreamResponse:
    """Answer as a member."""
    assert request.path == "/cluster_version"
    server_id = f"s-1 at {request.host}"
    return web.json_response({"serverId": server_id, "configId": 1, "ust": 5, "routingConfigId": 1})


async def ask(server: ForwardingServer, patience: timedelta) -> MemberReport | Unreachable:
    """Ask the member by port-forward."""
    door = PortForwardDoor(ForwardedHttp(server.forwarder))
    return await AdminClient(door, clock=LoopClock(), timeout=patience).report(MEMBER)


CALL = timedelta(seconds=20)


async def test_direct() -> None:
    """The member's own address is asked."""
    transport = HttpTransport()
    async with http_server(report) as member:
        host, _, port = member.url.removeprefix("http://").partition(":")
        endpoint = MemberEndpoint(MEMBER.pod, host, int(port))
        admin = AdminClient(DirectDoor(transport), clock=LoopClock(), timeout=CALL)

        answer = await admin.report(endpoint)
        await transport.close()

    assert answer == MemberReport(f"s-1 at {endpoint.address}", 1, None, 5, 1)


async def test_by_port_forward() -> None:
    """The member's pod is asked, whose address is out of reach, under the same URL."""
    async with http_server(report) as member:
        port = int(member.url.rpartition(":")[2])
        async with forwarding(pods_at({"shop/demo-store-0-0": port})) as server:
            answer = await ask(server, CALL)

    assert answer == MemberReport("s-1 at 192.0.2.1:8080", 1, None, 5, 1)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (403, 'pods "demo-store-0-0" is forbidden', "get and create on pods/portforward"),
        (404, 'pods "demo-store-0-0" not found', 'pods "demo-store-0-0" not found'),
        (502, "error dialing backend", "error dialing backend"),
    ],
)
async def test_a_way_that_is_closed(status: int, message: str, reason: str) -> None:
    """The member is unknown, and whoever reads the reason knows what to do."""

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": message}, status=status)

    async with refusing(refuse) as server:
        answer = await ask(server, CALL)

    assert isinstance(answer, Unreachable)
    assert "pod shop/demo-store-0-0 port 8080" in answer.reason
    assert reason in answer.reason


async def test_a_member_that_does_not_listen() -> None:
    """Unknown, in the kubelet's words."""
    async with forwarding(pods_at({"shop/demo-store-0-0": 1})) as server:
        answer = await ask(server, CALL)

    assert isinstance(answer, Unreachable)
    assert "error forwarding port 8080" in answer.reason


async def test_a_member_that_does_not_answer() -> None:
    """Unknown, after the time it had."""

    async def silence(one: Forwarding) -> None:
        async for _ in one.heard():
            pass

    async with forwarding(silence) as server:
        answer = await ask(server, timedelta(milliseconds=100))

    assert isinstance(answer, Unreachable)
    assert "no answer in time" in answer.reason


async def test_credentials_that_cannot_be_had() -> None:
    """Nobody knows anything of the member then, either."""

    async def plugin() -> Credential:
        raise ConfigurationError("the plugin failed")

    async with forwarding(pods_at({}), credential_plugin=plugin) as server:
        answer = await ask(server, CALL)

    assert answer == Unreachable("the plugin failed")
