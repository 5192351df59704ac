"""Definitions count as installed when their kinds can be listed, not when they were sent."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.crds import CRD, ensure_crds
from smbpctl.runtime.errors import ConfigurationError, NoKindMatch, TransportError
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey
from test.support.virtual_time import run_virtual

WIDGET = GroupVersionKind("demo.example.com", "v1", "Widget")
DEFINITION: Manifest = {
    "apiVersion": CRD.api_version,
    "kind": CRD.kind,
    "metadata": {"name": "widgets.demo.example.com"},
    "spec": {
        "group": WIDGET.group,
        "names": {"kind": WIDGET.kind, "plural": "widgets"},
        "versions": [
            {"name": "v1", "served": True, "storage": True},
            {"name": "v1alpha1", "served": False, "storage": False},
        ],
    },
}


class Server:
    """Serves the kind some time after it was applied."""

    def __init__(self, *, established_after: float = 1, served_after: float = 2) -> None:
        self.clock = LoopClock()
        self.established_after = established_after
        self.served_after = served_after
        self.applied_at: float | None = None
        self.names_refused = ""
        self.deleted = False
        self.unreachable = 0
        self.listed: list[GroupVersionKind] = []

    def age(self) -> float:
        assert self.applied_at is not None
        return self.clock.monotonic() - self.applied_at

    async def apply(self, manifest: Manifest, *, field_owner: str, force: bool = False) -> Manifest:
        assert force
        self.applied_at = self.clock.monotonic()
        return manifest

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        if self.unreachable:
            self.unreachable -= 1
            raise TransportError("down", sent=False)
        if self.deleted:
            return None
        conditions: list[dict[str, Any]] = []
        if self.names_refused:
            refused = {"type": "NamesAccepted", "status": "False", "message": self.names_refused}
            conditions.append(refused)
        elif self.age() >= self.established_after:
            conditions.append({"type": "Established", "status": "True"})
        return {**DEFINITION, "status": {"conditions": conditions}}

    async def list_pages(self, gvk: GroupVersionKind, *, page_size: int) -> AsyncIterator[bytes]:
        if self.age() < self.served_after:
            raise NoKindMatch(f"the API server does not serve {gvk}")
        self.listed.append(gvk)
        yield b"{}"


def ensure(server: Server, *definitions: Manifest) -> tuple[list[GroupVersionKind], float]:
    """Install, and return the kinds and how long it took."""

    async def main() -> tuple[list[GroupVersionKind], float]:
        began = server.clock.monotonic()
        kinds = await ensure_crds(
            server,
            definitions or (DEFINITION,),
            field_owner="demo",
            clock=server.clock,
            within=timedelta(seconds=30),
        )
        return kinds, server.clock.monotonic() - began

    return run_virtual(main())


def test_it_returns_when_the_kinds_can_be_listed() -> None:
    """Established alone is too early; versions that are not served do not count."""
    server = Server()

    kinds, took = ensure(server)

    assert kinds == [WIDGET]
    assert server.listed == [WIDGET]
    assert took == pytest.approx(2, abs=0.3)


def test_a_server_that_is_away_for_a_moment_is_asked_again() -> None:
    """Installing is the first thing a program does: often right after the server's own start."""
    server = Server()
    server.unreachable = 3

    assert ensure(server)[0] == [WIDGET]


def test_refused_names_are_told_at_once() -> None:
    """Waiting does not help when another definition has them; the server says which."""
    server = Server()
    server.names_refused = 'plural "widgets" is already in use'

    with pytest.raises(ConfigurationError, match=r"widgets\.demo.*already in use"):
        ensure(server)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"established_after": 999}, "it is not established"),
        ({"served_after": 999}, "does not serve Widget"),
        ({"deleted": True}, "it was deleted"),
    ],
)
def test_what_takes_too_long_is_an_error(attributes: dict[str, Any], problem: str) -> None:
    """It names the definition and what is missing."""
    server = Server()
    for name, value in attributes.items():
        setattr(server, name, value)

    with pytest.raises(ConfigurationError, match=f"not usable after 0:00:30: .*{problem}"):
        ensure(server)


def test_other_kinds_are_refused_before_anything_is_sent() -> None:
    """A wrong manifest among them installs none."""
    server = Server()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}

    with pytest.raises(ValueError, match=r"Secret\.v1 a is no CustomResourceDefinition"):
        ensure(server, DEFINITION, secret)

    assert server.applied_at is None
