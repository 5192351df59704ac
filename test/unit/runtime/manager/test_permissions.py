"""What a process may not do is told from the start, until it may."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.manager.permissions import PermissionCheck
from smbpctl.runtime.meta import GroupVersionKind, Manifest
from smbpctl.runtime.preflight import Permission
from test.support.virtual_time import run_virtual

POD = GroupVersionKind("", "v1", "Pod")
EVICT = Permission(resource="pods", subresource="eviction", verb="create", namespace="shop")
CLOCK = LoopClock()


class Authorizer:
    """Allows all but what is denied; discovery fails while it is away."""

    def __init__(self, *denied: tuple[str, str]) -> None:
        self.denied = set(denied)
        self.away = 0
        self.asked = 0

    async def post(self, path: str, body: Mapping[str, Any]) -> Manifest:
        self.asked += 1
        wanted = body["spec"]["resourceAttributes"]
        denied = (wanted["verb"], wanted["resource"]) in self.denied
        return {"status": {"allowed": not denied}}

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        if self.away:
            self.away -= 1
            raise TransportError("down", sent=False)
        return Resource(gvk, "pods", namespaced=True)


def check_of(authorizer: Authorizer) -> PermissionCheck:
    """A check of one kind in one namespace, and of one permission beside."""
    return PermissionCheck(
        authorizer,
        authorizer,
        kinds=lambda: [POD],
        permissions=[EVICT],
        namespaces=["shop"],
        clock=CLOCK,
    )


def test_nothing_missing_is_asked_once() -> None:
    """List and watch of the kind, and what else was named; then it ends by itself."""

    async def main() -> tuple[int, str | None]:
        authorizer = Authorizer()
        check = check_of(authorizer)
        await check.run()
        return authorizer.asked, check.check()

    assert run_virtual(main()) == (3, None)


def test_what_is_missing_is_named_with_the_remedy_and_heals() -> None:
    """In the log once, in readiness until it is granted."""

    async def main() -> tuple[str | None, str | None, list[Any], float]:
        authorizer = Authorizer(("watch", "pods"), ("create", "pods"))
        check = check_of(authorizer)
        began = CLOCK.monotonic()
        CLOCK.call_later(timedelta(seconds=38), authorizer.denied.clear)
        during: list[str | None] = []
        CLOCK.call_later(timedelta(seconds=35), lambda: during.append(check.check()))
        with capture_logs() as logs:
            await check.run()
        return during[0], check.check(), logs, CLOCK.monotonic() - began

    during, after, logs, took = run_virtual(main())

    assert during == (
        "cannot watch pods in namespace shop; cannot create pods/eviction in namespace shop"
    )
    assert after is None
    assert [each["cannot"] for each in logs] == [
        "watch pods in namespace shop",
        "create pods/eviction in namespace shop",
    ]
    assert 'verbs: ["watch"]' in logs[0]["grant"]
    assert took == pytest.approx(40)


def test_a_server_that_is_away_is_asked_again() -> None:
    """Nothing is known then, and nothing is claimed."""

    async def main() -> tuple[str | None, float]:
        authorizer = Authorizer(("watch", "pods"))
        authorizer.away = 1
        check = check_of(authorizer)
        began = CLOCK.monotonic()
        CLOCK.call_later(timedelta(seconds=35), authorizer.denied.clear)
        await check.run()
        return check.check(), CLOCK.monotonic() - began

    verdict, took = run_virtual(main())

    assert verdict is None
    assert took == pytest.approx(40)
