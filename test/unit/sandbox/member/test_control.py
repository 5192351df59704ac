"""Tests of the endpoints below `/fake`: they do what they say, or say what was wrong."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from smbpctl.operand.contract import Component
from smbpctl.operand.members import Backfill
from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.sandbox.behaviour import Behaviour
from smbpctl.sandbox.member.container import Container
from smbpctl.sandbox.member.control import CHUNK, Control
from smbpctl.sandbox.member.state import State, crashes
from test.support.loopback import Loopback, served


class CountingClock:
    """Satisfies `Clock` and counts how often somebody gave way to others."""

    def __init__(self) -> None:
        self.pauses = 0
        self._clock = LoopClock()
        self.monotonic = self._clock.monotonic
        self.now = self._clock.now

    async def sleep(self, delay: timedelta) -> None:
        """Count and sleep."""
        self.pauses += 1
        await self._clock.sleep(delay)

    def call_later(self, delay: timedelta, callback: object) -> TimerHandle:
        """Refuse: nothing here has a later."""
        raise AssertionError(f"call_later({delay}, {callback})")


@dataclass
class Bench:
    """A member's control, and who was told what."""

    state: State
    clock: CountingClock
    ended: list[int]
    loopback: Loopback

    async def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Return status and text of one answer."""
        return await self.loopback.ask(method, path, None if body is None else body.encode())


@asynccontextmanager
async def bench(root: Path) -> AsyncIterator[Bench]:
    """Serve the control of a member whose container has a writable `/tmp`."""
    (root / "tmp").mkdir()
    state = State(Container(Component.STORE, "demo-store-0-0", "ns", "demo", 0, "", root), "me")
    clock, ended = CountingClock(), list[int]()
    async with served(Control(state, clock=clock, end=ended.append).handle) as loopback:
        yield Bench(state, clock, ended, loopback)


async def test_a_behaviour_is_put_and_deleted(tmp_path: Path) -> None:
    """What is put replaces what was before; nothing is left after the delete."""
    async with bench(tmp_path) as made:
        await made.ask("PUT", "/fake/behaviour", '{"ready": false}')
        put = await made.ask("PUT", "/fake/behaviour", '{"ust": 3, "backfill": "failed"}')
        told = made.state.behaviour
        deleted = await made.ask("DELETE", "/fake/behaviour")

    assert told == Behaviour(ust=3, backfill=Backfill.FAILED)
    assert (put[0], Behaviour.from_json(put[1])) == (200, told)
    assert (deleted[0], Behaviour.from_json(deleted[1])) == (200, Behaviour())
    assert made.state.behaviour == Behaviour()
    assert made.ended == []


async def test_a_member_told_to_crash_ends(tmp_path: Path) -> None:
    """It answers first, and whoever is started in its place will know."""
    async with bench(tmp_path) as made:
        status, _ = await made.ask("PUT", "/fake/behaviour", '{"crashes": true}')

    assert (status, made.ended) == (200, [1])
    assert crashes(made.state.container)


async def test_a_crash_that_cannot_be_remembered_is_refused(tmp_path: Path) -> None:
    """The answer names the field, and the member goes on as before."""
    async with bench(tmp_path) as made:
        (tmp_path / "tmp").rmdir()
        status, text = await made.ask("PUT", "/fake/behaviour", '{"crashes": true}')

    assert (status, made.ended) == (500, [])
    assert text.startswith("crashes: ")
    assert made.state.behaviour == Behaviour()


async def test_the_log_is_advanced(tmp_path: Path) -> None:
    """Commits add up; none is one too."""
    async with bench(tmp_path) as made:
        answers = [await made.ask("POST", f"/fake/commit?transactions={n}") for n in (5, 0, 2)]

    assert [json.loads(text) for _, text in answers] == [{"logHead": n} for n in (5, 5, 7)]
    assert made.state.log_head == 7


async def test_an_exit_has_its_status(tmp_path: Path) -> None:
    """The process is told to end with it, after the answer."""
    async with bench(tmp_path) as made:
        status, text = await made.ask("POST", "/fake/exit?status=255")

    assert (status, json.loads(text), made.ended) == (200, {"status": 255}, [255])


async def test_memory_is_held_and_filled_in_chunks(tmp_path: Path) -> None:
    """The memory is the process's own, to the byte, and others get a turn after each chunk."""
    async with bench(tmp_path) as made:
        before = resident()
        first = await made.ask("POST", f"/fake/allocate?bytes={6 * CHUNK + 1}")
        grown = resident() - before
        second = await made.ask("POST", "/fake/allocate?bytes=9")

    assert [json.loads(text)["held"] for _, text in (first, second)] == [
        *(6 * CHUNK + 1, 6 * CHUNK + 10)
    ]
    # Part of it may be memory that was in use before and given back.
    assert grown > 3 * CHUNK
    assert made.clock.pauses == 8


def resident() -> int:
    """Return how many bytes of memory this process really has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/fake/allocate", "bytes"),
        ("/fake/allocate?bytes=", "bytes"),
        ("/fake/allocate?bytes=-1", "bytes"),
        ("/fake/allocate?bytes=1e3", "bytes"),
        ("/fake/allocate?bytes=1_0", "bytes"),
        ("/fake/allocate?bytes=%D9%A1", "bytes"),
        ("/fake/allocate?bytes=1125899906842625", "bytes"),
        (f"/fake/allocate?bytes={'9' * 5000}", "bytes"),
        ("/fake/allocate?bytes=1&bytes=2", "bytes"),
        ("/fake/allocate?byte=1", "byte"),
        ("/fake/commit", "transactions"),
        ("/fake/commit?transactions=many", "transactions"),
        ("/fake/commit?transactions=1&status=0", "status"),
        ("/fake/exit", "status"),
        ("/fake/exit?status=256", "status"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_name(tmp_path: Path, path: str, field: str) -> None:
    """Nothing is done by half."""
    async with bench(tmp_path) as made:
        status, text = await made.ask("POST", path)

    assert (status, text.split()[0]) == (400, field)
    assert (made.ended, made.state.log_head, made.clock.pauses) == ([], 0, 0)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/fake/behaviour", '{"ust": "1"}', "ust"),
        ("/fake/behaviour", '{"hang": true}', "hang"),
        ("/fake/behaviour", "ready=false", "not"),
        ("/fake/behaviour?hangs=true", "{}", "hangs"),
    ],
)
async def test_a_wrong_behaviour_is_refused_by_name(
    tmp_path: Path, path: str, body: str, field: str
) -> None:
    """The member goes on as it was told before."""
    async with bench(tmp_path) as made:
        await made.ask("PUT", "/fake/behaviour", '{"ust": 4}')
        status, text = await made.ask("PUT", path, body)

    assert (status, text.split()[0]) == (400, field)
    assert made.state.behaviour == Behaviour(ust=4)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fake/behaviour", 405),
        ("POST", "/fake/behaviour", 405),
        ("GET", "/fake/exit?status=1", 405),
        ("GET", "/fake/allocate?bytes=1", 405),
        ("PUT", "/fake/commit?transactions=1", 405),
        ("POST", "/fake/exits", 404),
        ("POST", "/fake/exit/", 404),
        ("POST", "/fake/", 404),
    ],
)
async def test_nothing_happens_by_mistake(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    """Somebody who only looks around changes nothing."""
    async with bench(tmp_path) as made:
        answered, _ = await made.ask(method, path)

    assert answered == status
    assert (made.ended, made.state.log_head, made.clock.pauses) == ([], 0, 0)
