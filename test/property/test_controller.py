"""The controller under random outcomes, waits and loops: nothing is lost, nothing runs twice."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.controller import (
    Controller,
    ControllerOptions,
    HotLoopGuard,
    HotLoopPolicy,
)
from smbpctl.runtime.errors import Conflict, Forbidden, Invalid, TerminalError, TooManyRequests
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.workqueue import LOW_PRIORITY, WorkQueue
from test.support.controllers import RecordedMetrics, seconds, status
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()
POLICIES = st.builds(
    HotLoopPolicy,
    runs=st.integers(2, 12),
    window=st.sampled_from([seconds(1), seconds(30)]),
    base=st.sampled_from([seconds(0.5), seconds(1)]),
    cap=st.sampled_from([seconds(1), seconds(60)]),
)


@given(
    policy=POLICIES,
    changes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), min_size=1, max_size=12),
    step=st.integers(1, 3),
    pause=st.floats(0, 1),
)
def test_a_reconciler_that_converges_is_never_taken_for_a_loop(
    policy: HotLoopPolicy, changes: list[tuple[int, int]], step: int, pause: float
) -> None:
    """However often the input changes and however many events come without a change.

    The reconciler moves a number step by step to the one asked for, and writes nothing once it
    is there. Each change asks for another number and is followed by so many events for nothing.
    """
    guard: HotLoopGuard[str] = HotLoopGuard(policy)
    number, now = 0, 0.0
    for generation, (wanted, events) in enumerate(changes):
        at_rest = 0
        while at_rest <= events:
            now += pause
            if number == wanted:
                at_rest += 1
                guard.wrote_nothing("key")
                continue
            number += max(-step, min(step, wanted - number))
            found = guard.wrote("key", f"generation {generation}", f"number {number}", now)
            assert found is None


@given(
    policy=POLICIES,
    before=st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("uv")), max_size=20),
    fraction=st.floats(0, 0.999),
    lateness=st.floats(0, 0.4),
    turns=st.integers(1, 60),
)
def test_a_loop_is_always_found_and_ever_slower(
    policy: HotLoopPolicy,
    before: list[tuple[str, str]],
    fraction: float,
    lateness: float,
    turns: int,
) -> None:
    """Whatever the key did before, and though each run comes later than it may.

    The delays double up to the cap and never end while the loop goes on.
    """
    guard: HotLoopGuard[str] = HotLoopGuard(policy)
    now = 0.0
    for digests in before:
        guard.wrote("key", *digests, now)
    period = fraction * policy.window.total_seconds() / policy.runs
    delays: list[timedelta] = []
    for turn in range(policy.runs + turns):
        found = guard.wrote("key", "input", "write", now)
        assert (found is not None) == (turn + 1 >= policy.runs)
        now += period
        if found is not None:
            assert (found.count, found.first) == (turn + 1, not delays)
            delays.append(found.delay)
            now += found.delay.total_seconds() + lateness * policy.window.total_seconds()

    expected = [min(policy.cap, policy.base * 2 ** min(turn, 20)) for turn in range(turns + 1)]
    assert delays == expected


KEYS = "abc"
OUTCOMES = st.sampled_from(
    [
        DONE,
        DONE,
        Result(seconds(3)),
        Result(seconds(3), priority=5),
        RuntimeError("boom"),
        status(Conflict),
        status(Forbidden),
        status(Invalid),
        status(TooManyRequests, 2),
        TerminalError("Bad", "spec"),
    ]
)


@dataclass(frozen=True)
class Turn:
    """How a run goes: how long it lasts, how it ends, and how long its writes are unseen."""

    lasts: float
    ends: Result | Exception
    unseen: float | None


@dataclass(frozen=True)
class Step:
    """Wait, then wake a key, or cancel the controller and start it again."""

    pause: float
    key: str | None
    priority: int


@dataclass
class Record:
    """What the run in progress wrote, and how long the cache takes to see it."""

    key: str = ""
    input_digest: str = "input"
    write_digest: str = ""
    unseen: float | None = None


RECORD: ContextVar[Record] = ContextVar("record")


@dataclass(frozen=True)
class Wait:
    """Calls back after a while."""

    seconds: float

    def when_over(self, call: Callable[[], None], /) -> None:
        """Call then, or at once."""
        if self.seconds:
            CLOCK.call_later(seconds(self.seconds), call)
        else:
            call()


class World:
    """A controller over three keys, and a numbered record of every wake and run.

    It is its own reconciler and gate. The key `a` wakes itself by what it writes, which is always
    the same, for so many runs.
    """

    def __init__(self, turns: list[Turn], loops: int) -> None:
        backoff = ItemBackoff[Request](ExponentialBackoff(cap=seconds(30)), seeded_random(1))
        self.queue = WorkQueue("world", clock=CLOCK, backoff=backoff)
        self.controller = Controller(
            "world",
            self,
            sources=[],
            queue=self.queue,
            clock=CLOCK,
            random=seeded_random(2),
            metrics=RecordedMetrics(),
            options=ControllerOptions(
                workers=2, hot_loops=HotLoopPolicy(runs=3, cap=seconds(20)), stuck=None
            ),
            gate=self,
        )
        self.turns = turns
        self.loops = loops
        self.number = 0
        self.wakes: dict[str, list[int]] = {key: [] for key in KEYS}
        self.served: dict[str, list[int]] = {key: [0] for key in KEYS}
        self.running: set[str] = set()
        self.seen_at: dict[str, float] = {}
        self.wrongs: list[str] = []

    def wake(self, key: str, priority: int) -> None:
        """Wake a key and note it."""
        self.number += 1
        self.wakes[key].append(self.number)
        self.queue.add(Request(ObjectKey("", key)), priority=priority)

    async def reconcile(self, request: Request) -> Result:
        """Take a turn."""
        key, now = request.key.name, CLOCK.monotonic()
        # Not asserted here, where an AssertionError would be an error of the run like others.
        if key in self.running:
            self.wrongs.append(f"{key} ran twice at once")
        if now < self.seen_at.get(key, now):
            self.wrongs.append(f"a run of {key} began before the key's writes were seen")
        self.number += 1
        number, turn, record = self.number, self.turns[self.number % len(self.turns)], RECORD.get()
        record.key, record.unseen = key, turn.unseen
        record.write_digest = "same" if key == "a" else str(number)
        self.running.add(key)
        try:
            await CLOCK.sleep(seconds(turn.lasts))
        finally:
            self.running.discard(key)
        self.served[key].append(number)
        if key == "a" and self.loops:
            self.loops -= 1
            self.wake("a", 0)
            return DONE
        if isinstance(turn.ends, Exception):
            raise turn.ends
        return turn.ends

    @contextmanager
    def recorded(self) -> Generator[Record]:
        """Let the run say what it did."""
        token = RECORD.set(Record())
        try:
            yield RECORD.get()
        finally:
            RECORD.reset(token)

    def wait(self, run: Record, /) -> Wait | None:
        """Wait as long as the run's writes are unseen."""
        if run.unseen is None:
            return None
        self.seen_at[run.key] = CLOCK.monotonic() + run.unseen
        return Wait(run.unseen)

    async def play(self, script: list[Step]) -> None:
        """Follow the script, then give everything that is owed the time to come out."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.controller.run())
            for step in script:
                await CLOCK.sleep(seconds(step.pause))
                if step.key is not None:
                    self.wake(step.key, step.priority)
                    continue
                running.cancel()
                await asyncio.wait([running])
                running = group.create_task(self.controller.run())
            self.loops = 0
            await CLOCK.sleep(seconds(120))
            assert self.queue.held <= len(KEYS)
            await self.controller.stop(seconds(60))


SCRIPTS = st.lists(
    st.builds(
        Step,
        pause=st.sampled_from([0.0, 0.0, 0.125, 1.0, 10.0]),
        key=st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.none()),
        priority=st.sampled_from([0, LOW_PRIORITY]),
    ),
    max_size=30,
)
TURNS = st.lists(
    st.builds(
        Turn,
        lasts=st.sampled_from([0.0, 0.0, 0.125, 2.0]),
        ends=OUTCOMES,
        unseen=st.sampled_from([None, None, 0.0, 0.5, 5.0]),
    ),
    min_size=1,
    max_size=8,
)


@given(script=SCRIPTS, turns=TURNS, loops=st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_every_wake_is_followed_by_a_run_that_ends(
    script: list[Step], turns: list[Turn], loops: int
) -> None:
    """Whatever the runs come to, and though the controller is cancelled and run again.

    Keys that wait for their own writes, that are slowed down because they loop, or whose run was
    cancelled come out in the end. No key runs twice at once, or before its writes are seen.
    """
    world = World(turns, loops)

    with capture_logs():
        run_virtual(world.play(script))

    assert world.wrongs == []
    for key in KEYS:
        assert max(world.wakes[key], default=0) <= max(world.served[key]), (
            f"a wake of {key} was lost"
        )
