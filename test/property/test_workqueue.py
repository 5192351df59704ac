"""The work queue against a model that is simple enough to be seen to be right."""

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.workqueue import KeyQueue, QueueShutDown, WorkQueue
from test.support.virtual_time import run_virtual

KEYS = st.sampled_from("abcd")
# Few and coarse, so that equal moments are common; binary fractions, so that sums are exact.
DELAYS = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 8.0])
STEPS = st.sampled_from([0.25, 0.5, 1.0, 4.0])

AFTER_DELAY, AT_ONCE = 0, 1


class Model:
    """One dict of moments, searched from end to end for every question."""

    def __init__(self) -> None:
        self.moments: dict[str, tuple[float, int, int]] = {}
        self.running: dict[str, float] = {}
        self.owed: dict[str, float] = {}
        self.calls = 0
        self.closed = False

    def ask(self, key: str, at: float, how: int) -> None:
        self.calls += 1
        if self.closed:
            return
        if key in self.running:
            self.owed[key] = min(at, self.owed.get(key, math.inf))
        elif at < self.moments.get(key, (math.inf,))[0]:
            self.moments[key] = (at, how, self.calls)

    def ready(self, now: float) -> list[str]:
        due = [(moment, key) for key, moment in self.moments.items() if moment[0] <= now]
        return [key for _, key in sorted(due)]

    def start(self, key: str, now: float) -> None:
        del self.moments[key]
        self.running[key] = now

    def end(self, key: str, now: float) -> None:
        del self.running[key]
        if key in self.owed:
            at = self.owed.pop(key)
            self.ask(key, max(at, now), AFTER_DELAY if at > now else AT_ONCE)

    def next_ready_at(self, now: float) -> float | None:
        return min((max(now, moment[0]) for moment in self.moments.values()), default=None)


class KernelMachine(RuleBasedStateMachine):
    """The same calls to the kernel and to the model; what they answer must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: KeyQueue[str] = KeyQueue()
        self.model = Model()
        self.now = 1000.0
        self.unserved: set[str] = set()

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key, self.now)
        self.model.ask(key, self.now, AT_ONCE)
        self._owe(key)

    @rule(key=KEYS, delay=DELAYS)
    def add_after(self, key: str, delay: float) -> None:
        self.queue.add_after(key, delay, self.now)
        how = AFTER_DELAY if delay > 0 else AT_ONCE
        self.model.ask(key, self.now + max(0.0, delay), how)
        self._owe(key)

    @rule(key=KEYS, times=st.integers(10, 80))
    def add_earlier_and_earlier(self, key: str, times: int) -> None:
        """Leave many stale entries in the heap, so that it is rebuilt."""
        for count in range(times, 0, -1):
            self.add_after(key, 0.25 * count)

    @rule()
    def pop(self) -> None:
        expected = self.model.ready(self.now)

        key = self.queue.pop(self.now)

        assert key == (expected[0] if expected else None)
        if key is not None:
            assert key not in self.model.running, "a key ran twice at once"
            assert self.queue.waited(key) == self.now - self.model.moments[key][0]
            self.model.start(key, self.now)
            self.unserved.discard(key)

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.running)))
        started = self.model.running[key]

        seconds = self.queue.done(key, self.now)

        assert seconds == self.now - started
        self.model.end(key, self.now)

    @precondition(lambda self: len(self.model.running) >= 2)
    @rule()
    def shut_down(self) -> None:
        self.queue.shut_down()
        self.model.closed = True
        self.model.moments.clear()
        self.model.owed.clear()
        self.unserved.clear()

    # Not invariants, because both tidy up the heap: the other rules must not depend on that.
    @rule()
    def next_ready_at(self) -> None:
        assert self.queue.next_ready_at(self.now) == self.model.next_ready_at(self.now)

    @rule(limit=st.integers(0, 3))
    def release(self, limit: int) -> None:
        before = len(self.queue._ready)

        known = self.queue.release(self.now, limit)

        assert known == min(before + limit, len(self.model.ready(self.now)))

    @invariant()
    def says_what_the_model_says(self) -> None:
        assert self.queue.ready_count(self.now) == len(self.model.ready(self.now))
        assert self.queue.running_since() == list(self.model.running.values())
        assert self.queue.closed == self.model.closed

    @invariant()
    def a_key_is_in_one_place(self) -> None:
        places = [*self.queue._ready, *self.queue._waiting, *self.queue._running]

        assert len(places) == len(set(places))
        assert self.queue._owed.keys() <= self.queue._running.keys()

    def teardown(self) -> None:
        """Whatever was done, time and workers bring out all that is owed, and then nothing."""
        for _ in range(4 * len("abcd")):
            self.now += 100.0
            self.pop()
            for key in sorted(self.model.running):
                self.queue.done(key, self.now)
                self.model.end(key, self.now)
        assert self.unserved == set()
        assert self.queue.next_ready_at(self.now) is None
        assert self.queue.running_since() == []

    def _owe(self, key: str) -> None:
        if not self.model.closed:
            self.unserved.add(key)


KernelMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestKernel = KernelMachine.TestCase


@dataclass(frozen=True)
class Step:
    """Wait, then wake a key after a delay, or replace a worker where there is no key."""

    pause: float
    key: str | None
    delay: float


@dataclass(frozen=True)
class Wake:
    key: str
    told: int
    due: float


@dataclass(frozen=True)
class Run:
    key: str
    told: int
    start: float
    end: float


SCRIPTS = st.lists(
    st.builds(
        Step,
        pause=st.sampled_from([0.0, 0.0, 0.125, 0.25, 1.0]),
        key=st.one_of(KEYS, KEYS, KEYS, st.none()),
        delay=DELAYS,
    ),
    max_size=40,
)
DURATIONS = st.lists(st.sampled_from([0.0, 0.0, 0.125, 0.5, 3.0]), min_size=1, max_size=8)


class Recording:
    """A queue, its workers, and a numbered record of every wake and run."""

    def __init__(self, durations: list[float]) -> None:
        self.clock = LoopClock()
        backoff: ItemBackoff[str] = ItemBackoff(ExponentialBackoff(), seeded_random(1))
        self.queue = WorkQueue("recorded", clock=self.clock, backoff=backoff)
        self.durations = durations
        self.events = 0
        self.wakes: list[Wake] = []
        self.runs: list[Run] = []

    def number(self) -> int:
        self.events += 1
        return self.events

    def wake(self, key: str, delay: float) -> None:
        due = self.clock.monotonic() + max(0.0, delay)
        self.wakes.append(Wake(key, self.number(), due))
        self.queue.add_after(key, timedelta(seconds=delay))

    async def work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDown:
                return
            told, start = self.number(), self.clock.monotonic()
            try:
                duration = self.durations[told % len(self.durations)]
                if duration:
                    await self.clock.sleep(timedelta(seconds=duration))
            finally:
                self.runs.append(Run(key, told, start, self.clock.monotonic()))
                self.queue.done(key)

    async def play(self, script: list[Step], workers: int) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.work()) for _ in range(workers)]
            for step in script:
                if step.pause:
                    await self.clock.sleep(timedelta(seconds=step.pause))
                if step.key is not None:
                    self.wake(step.key, step.delay)
                else:
                    tasks.pop(0).cancel()
                    tasks.append(group.create_task(self.work()))
            await self.clock.sleep(timedelta(hours=1))
            assert len(self.queue) == 0
            assert self.queue.running_seconds() == []
            self.queue.shut_down()


@given(script=SCRIPTS, durations=DURATIONS, workers=st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_every_wake_is_served_once_in_time_and_alone(
    script: list[Step], durations: list[float], workers: int
) -> None:
    """What a key was woken for since its last run began leads to exactly one run.

    It starts not before the earliest of the moments asked for, not while the key runs, and at
    once when there is a free worker.
    """
    recording = Recording(durations)

    run_virtual(recording.play(script, workers))

    for key in "abcd":
        wakes = [wake for wake in recording.wakes if wake.key == key]
        last_told, last_end = 0, -math.inf
        for run in sorted((r for r in recording.runs if r.key == key), key=lambda r: r.told):
            causes = [wake.due for wake in wakes if last_told < wake.told < run.told]
            assert causes, "a run that nobody asked for"
            earliest_start = max(min(causes), last_end)
            assert run.start >= earliest_start
            if workers > len("abcd"):
                assert run.start == earliest_start
            last_told, last_end = run.told, run.end
        assert all(wake.told < last_told for wake in wakes), "a wake was lost"
