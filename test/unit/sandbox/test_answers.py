"""Tests of the answers over HTTP, from values alone: no pod, no cluster, no mount."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import ClientError

from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.operand.members import (
    Backfill,
    Configuration,
    MemberAddress,
    MemberReport,
    Topology,
)
from smbpctl.runtime.clock import LoopClock
from smbpctl.sandbox.answers import Answers, report_of
from smbpctl.sandbox.behaviour import Behaviour
from test.support.loopback import Loopback, served

CURRENT = Configuration(3, 1, 1, 1, (MemberAddress(0, 0, "m", 8080),))
NEXT = Configuration(4, 1, 1, 1, (MemberAddress(0, 0, "m", 8080),))
TOPOLOGY = Topology(CURRENT)
TRANSITION = Topology(CURRENT, NEXT)


@dataclass
class Values:
    """Satisfies `answers.Member` with what a test sets."""

    component: Component = Component.STORE
    name: str = "demo-store-0-0"
    version: str = ""
    server_id: str = "me"
    log_head: int = 7
    behaviour: Behaviour = field(default_factory=Behaviour)
    text: str | None = TOPOLOGY.to_json()
    reason: str = ""

    async def topology(self) -> str:
        """Return the text while there is one."""
        if self.text is None:
            raise LookupError("gone")
        return self.text

    async def unready(self) -> str:
        """Return the reason that the test gives."""
        return self.reason


async def answer(values: Values, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body of one answer."""
    async with served(Answers(values).handle) as loopback:
        return await loopback.ask(method, path)


async def test_a_report_is_the_contracts() -> None:
    """What a member says is what the operator reads."""
    status, body = await answer(Values(text=TRANSITION.to_json()), contract.PATH_CLUSTER_VERSION)

    assert status == 200
    assert MemberReport.from_json(body) == MemberReport("me", 3, 4, 7, 4, Backfill.DONE)
    assert "version" not in json.loads(body)


async def test_a_report_tells_the_images_version() -> None:
    """A known version is a field more, which the operator ignores."""
    _, body = await answer(Values(version="1.64.0"), contract.PATH_CLUSTER_VERSION)

    assert json.loads(body)["version"] == "1.64.0"
    assert MemberReport.from_json(body).config_id == 3


@pytest.mark.parametrize("text", [None, "", TOPOLOGY.to_json()[:-9], "{}"])
async def test_without_a_topology_there_is_no_report(text: str | None) -> None:
    """Gone, half written or wrong: nothing is made up."""
    status, body = await answer(Values(text=text), contract.PATH_CLUSTER_VERSION)

    assert status == 503
    assert body.startswith("no topology: ")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Values(), (200, "ok")),
        (Values(reason="lonely"), (503, "not ready: lonely")),
        (Values(behaviour=Behaviour(ready=False)), (503, "not ready: told so")),
    ],
)
async def test_readiness_has_reasons(values: Values, expected: tuple[int, str]) -> None:
    """A member is ready unless it is told not to be, or has a reason of its own."""
    assert await answer(values, contract.PATH_READY) == expected
    assert await answer(values, contract.PATH_LIVE) == (200, "ok")


async def test_metrics_tell_the_lag() -> None:
    """Who is held back lags behind the log by what is missing."""
    _, level = await answer(Values(component=Component.AUTH), contract.PATH_METRICS)
    _, behind = await answer(Values(behaviour=Behaviour(ust=3)), contract.PATH_METRICS)

    assert "hydra_auth_server_up 1" in level
    assert 'lag{topic="transaction.log"} 0' in level
    assert 'lag{topic="transaction.log"} 4' in behind


@pytest.mark.parametrize(
    ("component", "path", "found"),
    [
        (Component.STORE, "/", False),
        (Component.STORE, "/_ditto/auth", False),
        (Component.API, "/", True),
        (Component.API, "/api/v4/store/execute", True),
        (Component.API, "/_ditto", True),
        (Component.SUBSCRIPTION, "/_ditto", True),
        (Component.SUBSCRIPTION, "/_ditto/a/b", True),
        (Component.SUBSCRIPTION, "/_ditto/auth/login", True),
        (Component.SUBSCRIPTION, "/_dittos", False),
        (Component.SUBSCRIPTION, "/", False),
        (Component.AUTH, "/_ditto/auth", True),
        (Component.AUTH, "/_ditto/auth/login", True),
        (Component.AUTH, "/_ditto/authority", False),
        (Component.AUTH, "/_ditto", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_front_end_answers_below_its_prefix(
    component: Component, path: str, found: bool, method: str
) -> None:
    """It says who it is and what it was asked, so that tests see where routes lead."""
    status, body = await answer(Values(component, "me"), path, method)

    assert status == (200 if found else 404)
    if found:
        assert json.loads(body) == {"component": component.value, "pod": "me", "path": path}


@pytest.mark.parametrize(
    "path",
    [
        *(contract.PATH_LIVE, contract.PATH_READY),
        *(contract.PATH_METRICS, contract.PATH_CLUSTER_VERSION),
    ],
)
async def test_the_contracts_paths_are_read(path: str) -> None:
    """Also those of a front-end that answers anything elsewhere; nothing can be written there."""
    values = Values(Component.API)

    assert (await answer(values, path, "HEAD"))[0] == 200
    assert (await answer(values, path, "POST"))[0] == 405


@pytest.mark.parametrize("path", [contract.PATH_LIVE, "/anything"])
async def test_a_hanging_member_is_silent_everywhere(path: str) -> None:
    """Whoever asks waits, is counted, and is not waited for any more once gone."""
    answers = Answers(Values(Component.API, behaviour=Behaviour(hangs=True)))
    async with (
        served(answers.handle) as loopback,
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
    ):
        waiting = group.create_task(asked(loopback, path))
        while not answers.hanging:
            await LoopClock().sleep(timedelta(0))
        answered = waiting.done()
        await loopback.runner.cleanup()

    assert not answered
    assert waiting.result() is None
    assert answers.hanging == 0


async def asked(loopback: Loopback, path: str) -> tuple[int, str] | None:
    """Return an answer, None when the server hangs up instead."""
    try:
        return await loopback.ask("GET", path)
    except ClientError:
        return None


@pytest.mark.parametrize(
    ("topology", "behaviour", "routing", "backfill"),
    [
        (TOPOLOGY, Behaviour(), 3, "none"),
        (TRANSITION, Behaviour(), 4, "done"),
        (TRANSITION, Behaviour(ust=0), 3, "done"),
        (TRANSITION, Behaviour(backfill=Backfill.RUNNING), 3, "running"),
        (TRANSITION, Behaviour(routing_config_id=9), 9, "done"),
    ],
)
def test_who_is_complete_routes_with_next(
    topology: Topology, behaviour: Behaviour, routing: int, backfill: str
) -> None:
    """Whoever is behind stays with the current configuration, unless told to lie."""
    report = report_of(topology, behaviour, server_id="me", ust=1)

    assert (report["routingConfigId"], report["backfill"]) == (routing, backfill)
