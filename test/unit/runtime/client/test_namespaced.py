"""A client bound to one namespace."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.client import Client, namespaced
from smbpctl.runtime.meta import ObjectKey
from test.support.fake_transport import json_response
from test.unit.runtime.client.server import (
    CONFIG_MAP,
    EVERYTHING,
    NODE,
    OWNER,
    STORED,
    WRITES,
    Attempt,
    Server,
    exercise_reads,
    manifest,
)

ELSEWHERE = ObjectKey("other", "a")
NOWHERE = ObjectKey("", "a")
A_NODE = ObjectKey("ns", "a")
SECOND = timedelta(seconds=1)


async def _entered(client: Client, namespace: str) -> None:
    async with client.watch(
        CONFIG_MAP,
        namespace=namespace,
        resource_version="",
        timeout=SECOND,
        read_timeout=SECOND,
    ):
        pytest.fail("the watch must be refused")


REFUSED: dict[str, tuple[Attempt, str]] = {
    "get elsewhere": (lambda client: client.get(CONFIG_MAP, ELSEWHERE), "not to other"),
    "get nowhere": (lambda client: client.get(CONFIG_MAP, NOWHERE), "not to all namespaces"),
    "get a node": (lambda client: client.get(NODE, A_NODE), "Node has no namespaces"),
    "list elsewhere": (lambda client: client.list(CONFIG_MAP, namespace="other"), "not to other"),
    "list all": (lambda client: client.list(CONFIG_MAP), "not to all namespaces"),
    "list nodes": (lambda client: client.list(NODE, namespace="ns"), "Node has no namespaces"),
    "watch all": (lambda client: _entered(client, ""), "not to all namespaces"),
    "create elsewhere": (
        lambda client: client.create(manifest(namespace="other"), field_owner=OWNER),
        "not to other",
    ),
    "apply nowhere": (
        lambda client: client.apply(manifest(namespace=""), field_owner=OWNER),
        "not to all namespaces",
    ),
    "delete elsewhere": (lambda client: client.delete(CONFIG_MAP, ELSEWHERE), "not to other"),
    "delete a node": (lambda client: client.delete(NODE, A_NODE), "Node has no namespaces"),
    "delete all nodes": (
        lambda client: client.delete_collection(NODE, namespace="ns", selector=EVERYTHING),
        "Node has no namespaces",
    ),
    "delete all of another": (
        lambda client: client.delete_collection(CONFIG_MAP, namespace="other", selector=EVERYTHING),
        "not to other",
    ),
    "evict elsewhere": (lambda client: client.evict(ELSEWHERE, uid="u"), "not to other"),
}


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_outside_is_refused(server: Server, name: str) -> None:
    """Nothing is sent."""
    attempt, why = REFUSED[name]

    with pytest.raises(ValueError, match=f"bound to namespace ns.* {why}"):
        await attempt(namespaced(server.client, "ns"))

    assert server.requests == []


@pytest.mark.parametrize("name", WRITES)
async def test_writes_into_it_are_passed_on(server: Server, name: str) -> None:
    """Of every verb."""
    server.script(json_response(STORED))

    await WRITES[name](namespaced(server.client, "ns"))

    assert "/namespaces/ns/" in f"{server.request.url.partition('?')[0]}/"


async def test_reads_of_it_are_passed_on(server: Server) -> None:
    """Raw ones of paths below it too."""
    await exercise_reads(
        server,
        namespaced(server.client, "ns"),
        "/apis/apps/v1/namespaces/ns/deployments/a/scale",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/readyz",
        "/api/v1/nodes",
        "/api/v1/namespaces/other/pods",
        "/api/v1/namespaces/ns",
        "/api/v1/namespaces/ns/",
        "/api/v1/namespaces/ns/../other/pods",
        "/api/v1/namespaces/ns/%2e%2e/other/pods",
        "/api/v1/namespaces/nsx/pods",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    ],
)
@pytest.mark.parametrize(
    "send", [lambda client, path: client.get_raw(path), lambda client, path: client.post(path, {})]
)
async def test_raw_paths_must_lead_into_it(
    server: Server, path: str, send: Callable[[Client, str], Any]
) -> None:
    """However they are written."""
    with pytest.raises(ValueError, match="bound to namespace ns"):
        await send(namespaced(server.client, "ns"), path)

    assert server.requests == []


def test_it_needs_a_namespace(server: Server) -> None:
    """Empty would be all of them."""
    with pytest.raises(ValueError, match="needs a namespace"):
        namespaced(server.client, "")
