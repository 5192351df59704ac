"""A client with hooks: before, after and instead of what the server does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from smbpctl.runtime.client import (
    Backend,
    GetCall,
    Hooks,
    ListCall,
    RawCall,
    Verb,
    WatchCall,
    WriteCall,
    intercepted,
)
from smbpctl.runtime.errors import Conflict, TransportError
from smbpctl.runtime.meta import Manifest, ObjectKey
from test.support.fake_transport import json_response, path_of
from test.unit.runtime.client.server import (
    CONFIG_MAP,
    KEY,
    STORED,
    WRITES,
    Server,
    exercise_reads,
    manifest,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
def server() -> Server:
    """A server and a client of it."""
    return Server()


@pytest.mark.parametrize("name", WRITES)
async def test_every_write_meets_its_hook(server: Server, name: str) -> None:
    """Which knows the verb, and passes the call on or not."""
    server.script(json_response(STORED))
    seen: list[str] = []

    async def note(call: WriteCall, backend: Backend) -> Manifest:
        seen.append(f"before {call.verb.value}")
        answer = await backend.write(call)
        seen.append(f"after {call.verb.value}")
        return answer

    await WRITES[name](intercepted(server.client, Hooks(write=note)))

    verb = seen[0].removeprefix("before ")
    assert seen == [f"before {verb}", f"after {verb}"]
    assert len(server.requests) == 1


async def test_a_hook_may_fail_instead(server: Server) -> None:
    """A conflict that the server did not have: nothing is sent."""

    async def conflict(call: WriteCall, backend: Backend) -> Manifest:
        raise Conflict(f"{call}: made up", code=409)

    client = intercepted(server.client, Hooks(write=conflict))

    with pytest.raises(Conflict, match="apply ConfigMap ns/a: made up"):
        await client.apply(manifest(), field_owner="x")

    assert server.requests == []


async def test_a_hook_may_lose_the_answer(server: Server) -> None:
    """The write was executed, and the caller does not know."""
    server.script(json_response(STORED))

    async def lose(call: WriteCall, backend: Backend) -> Manifest:
        await backend.write(call)
        raise TransportError(f"{call}: the answer is lost", sent=True)

    with pytest.raises(TransportError) as caught:
        await intercepted(server.client, Hooks(write=lose)).delete(CONFIG_MAP, KEY)

    assert caught.value.sent
    assert server.request.method == "DELETE"


async def test_a_hook_may_change_the_call(server: Server) -> None:
    """Here it goes to another object."""
    server.script(json_response(STORED))

    async def elsewhere(call: GetCall, backend: Backend) -> Manifest | None:
        return await backend.get(replace(call, key=ObjectKey(call.key.namespace, "b")))

    await intercepted(server.client, Hooks(get=elsewhere)).get(CONFIG_MAP, KEY)

    assert path_of(server.request).endswith("/b")


async def test_reads_without_hook_are_passed_on(server: Server) -> None:
    """As they are."""
    await exercise_reads(server, intercepted(server.client, Hooks()))


async def test_reads_meet_their_hooks(server: Server) -> None:
    """Lists, watches and raw paths; nothing reaches the server."""

    async def pages(call: ListCall, backend: Backend) -> AsyncIterator[bytes]:
        yield b'{"items":[{"metadata":{"name":"made-up"}}]}'

    @asynccontextmanager
    async def watch(call: WatchCall, backend: Backend) -> AsyncIterator[AsyncIterator[bytes]]:
        yield pages(ListCall(gvk=call.gvk), backend)

    async def raw(call: RawCall, backend: Backend) -> bytes:
        return b'{"made": "up"}'

    client = intercepted(server.client, Hooks(pages=pages, watch=watch, raw=raw))

    (listed,) = await client.list(CONFIG_MAP)
    async with client.watch(
        CONFIG_MAP, resource_version="", timeout=SECOND, read_timeout=SECOND
    ) as chunks:
        watched = [chunk async for chunk in chunks]
    posted = await client.post("/apis/x", {})

    assert listed["metadata"]["name"] == "made-up"
    assert len(watched) == 1
    assert posted == {"made": "up"}
    assert server.requests == []


async def test_wrappers_stack(server: Server) -> None:
    """The outer one is asked first."""
    server.script(json_response(STORED))
    order: list[str] = []

    def noting(name: str) -> Hooks:
        async def note(call: WriteCall, backend: Backend) -> Manifest:
            order.append(f"{name} {call.verb.value}")
            assert call.verb is Verb.DELETE
            return await backend.write(call)

        return Hooks(write=note)

    inner = intercepted(server.client, noting("inner"))

    await intercepted(inner, noting("outer")).delete(CONFIG_MAP, KEY)

    assert order == ["outer delete", "inner delete"]
