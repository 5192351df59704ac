"""The work queue against a model that is simple enough to be seen to be right."""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.event import Cause, Told, Trigger
from smbpctl.runtime.workqueue import LOW_PRIORITY, MOST_CAUSES, KeyQueue, QueueShutDown, WorkQueue
from test.support.virtual_time import run_virtual

KEYS = st.sampled_from("abcd")
# Few and coarse, so that equal moments are common; binary fractions, so that sums are exact.
DELAYS = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 8.0])
STEPS = st.sampled_from([0.25, 0.5, 1.0, 4.0])
PRIORITIES = st.sampled_from([0, 0, 0, LOW_PRIORITY, LOW_PRIORITY, 7])
CAUSES = st.one_of(
    st.none(),
    st.builds(
        Cause,
        st.sampled_from([Trigger.UPDATED, Trigger.DELETED]),
        namespace=st.sampled_from(["", "ns"]),
        name=st.sampled_from("xyz"),
        resource_version=st.sampled_from("123"),
    ),
)
PATIENCE = 2.0
SHARE = 3

AFTER_DELAY, AT_ONCE = 0, 1


@dataclass
class Item:
    """A key that is ready, waits, or is owed a run."""

    at: float
    """When it is ready; the position among its like once it is."""
    since: float
    priority: int
    order: tuple[int, int]
    causes: list[Told] = field(default_factory=list[Told])

    def note(self, now: float, cause: Cause | None) -> None:
        if cause is None:
            return
        same = [index for index, (_, known) in enumerate(self.causes) if known.same_as(cause)]
        if same:
            self.causes[same[0]] = (now, cause)
        else:
            self.causes = [*self.causes[: MOST_CAUSES - 1], (now, cause)]


class Model:
    """A dict of items, searched from end to end for every question."""

    def __init__(self) -> None:
        self.queued: dict[str, Item] = {}
        self.running: dict[str, tuple[Item, float]] = {}
        self.owed: dict[str, Item] = {}
        self.holds: dict[str, int] = {}
        self.passed_over = 0
        self.calls = 0
        self.closed = False

    def ask(self, key: str, at: float, now: float, priority: int, cause: Cause | None) -> None:
        if self.closed:
            return
        self.calls += 1
        fresh = Item(at, at, priority, (AFTER_DELAY if at > now else AT_ONCE, self.calls))
        if key in self.running or key in self.holds:
            item = self.owed.setdefault(key, fresh)
            item.at = min(at, item.at)
            item.priority = max(priority, item.priority)
        else:
            item = self.queued.setdefault(key, fresh)
            ready = item.at <= now
            if priority > item.priority or (not ready and at < item.at):
                fresh.priority = max(priority, item.priority)
                fresh.at = now if ready else min(at, item.at)
                fresh.since = item.since if ready else fresh.at
                fresh.order = (AFTER_DELAY if fresh.at > now else AT_ONCE, self.calls)
                fresh.causes = item.causes
                item = self.queued[key] = fresh
        item.note(now, cause)

    def ready(self, now: float) -> list[str]:
        """Return the ready keys: highest priority first, then those ready longest."""
        due = [key for key, item in self.queued.items() if item.at <= now]
        return sorted(due, key=lambda key: (-self.queued[key].priority, *self.line(key)))

    def line(self, key: str) -> tuple[float, tuple[int, int]]:
        return (self.queued[key].at, self.queued[key].order)

    def longest(self, now: float) -> list[str]:
        """Return the ready keys, those ready longest first."""
        return sorted(self.ready(now), key=lambda key: self.queued[key].at)

    def next(self, now: float) -> str | None:
        ready = self.ready(now)
        if not ready:
            return None
        oldest = self.longest(now)[0]
        # Of one priority the order of the line decides, also between equal moments.
        passes_over = self.queued[oldest].priority != self.queued[ready[0]].priority
        if passes_over and now >= self.queued[oldest].at + PATIENCE:
            self.passed_over += 1
            if self.passed_over == SHARE:
                self.passed_over = 0
                return oldest
        return ready[0]

    def start(self, key: str, now: float) -> None:
        self.running[key] = (self.queued.pop(key), now)

    def end(self, key: str, now: float) -> None:
        del self.running[key]
        self.settle(key, now)

    def hold(self, key: str) -> None:
        if self.closed:
            return
        self.holds[key] = self.holds.get(key, 0) + 1
        if key in self.queued:
            self.owed[key] = self.queued.pop(key)

    def unhold(self, key: str, now: float) -> None:
        if key in self.holds:
            self.holds[key] -= 1
            if not self.holds[key]:
                del self.holds[key]
                self.settle(key, now)

    def settle(self, key: str, now: float) -> None:
        if key in self.owed and key not in self.running and key not in self.holds:
            self.calls += 1
            item = self.owed.pop(key)
            item.at = item.since = max(item.at, now)
            item.order = (AFTER_DELAY if item.at > now else AT_ONCE, self.calls)
            self.queued[key] = item

    def shut_down(self) -> None:
        self.closed = True
        for place in (self.queued, self.owed, self.holds):
            place.clear()

    def next_ready_at(self, now: float) -> float | None:
        return min((max(now, item.at) for item in self.queued.values()), default=None)


class KernelMachine(RuleBasedStateMachine):
    """The same calls to the kernel and to the model; what they answer must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: KeyQueue[str] = KeyQueue(patience=timedelta(seconds=PATIENCE), share=SHARE)
        self.model = Model()
        self.now = 1000.0
        self.unserved: set[str] = set()
        # How many more pops may pass over a key that has been ready for too long.
        self.bounds: dict[str, tuple[tuple[float, tuple[int, int]], int]] = {}

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS, priority=PRIORITIES, cause=CAUSES)
    def add(self, key: str, priority: int, cause: Cause | None) -> None:
        self.queue.add(key, self.now, priority, cause)
        self.model.ask(key, self.now, self.now, priority, cause)
        self._owe(key)

    @rule(key=KEYS, delay=DELAYS, priority=PRIORITIES, cause=CAUSES)
    def add_after(self, key: str, delay: float, priority: int, cause: Cause | None) -> None:
        self.queue.add_after(key, delay, self.now, priority, cause)
        self.model.ask(key, self.now + max(0.0, delay), self.now, priority, cause)
        self._owe(key)

    @rule(key=KEYS, times=st.integers(10, 80))
    def add_earlier_and_earlier(self, key: str, times: int) -> None:
        """Leave many stale tickets in a heap, so that it is rebuilt."""
        for count in range(times, 0, -1):
            self.add_after(key, 0.25 * count, 0, None)

    @rule(key=KEYS, first=st.integers(1, 3), times=st.integers(10, 80))
    def add_higher_and_higher(self, key: str, first: int, times: int) -> None:
        """Leave stale tickets on many levels, so that empty ones are dropped."""
        for priority in range(first, first + times):
            self.add(key, priority, None)

    @rule(key=KEYS, times=st.integers(10, 80))
    def hold_and_unhold(self, key: str, times: int) -> None:
        """Leave many stale tickets on one level, so that its lines are made anew."""
        for _ in range(times):
            self.hold(key)
            self.unhold(key)

    @rule(key=KEYS, priority=PRIORITIES)
    def add_for_many_reasons(self, key: str, priority: int) -> None:
        """Tell more causes than are kept."""
        for number in range(MOST_CAUSES + 2):
            self.add(key, priority, Cause(Trigger.CREATED, name=str(number)))

    @rule(keys=st.permutations("abcd"), priority=PRIORITIES, delay=st.sampled_from([0.25, 1.0]))
    def add_all_after(self, keys: list[str], priority: int, delay: float) -> None:
        """Have delays end while other keys are ready, and while nobody looks."""
        for key in keys[:2]:
            self.add_after(key, delay, priority, None)
        self.now += 2 * delay
        self.add(keys[2], priority, None)

    @rule(
        urgent=st.sets(KEYS), turns=st.integers(2, 5 * SHARE), seconds=st.sampled_from([0.0, 1.0])
    )
    def serve(self, urgent: set[str], turns: int, seconds: float) -> None:
        """Let one worker go on for a while, with some keys that are woken again at once."""
        for _ in range(turns):
            for key in sorted(urgent):
                self.add(key, 7, None)
            self.now += seconds
            before = set(self.model.running)
            self.pop()
            for key in set(self.model.running) - before:
                self.end(key)

    @rule(key=KEYS)
    def hold(self, key: str) -> None:
        self.queue.hold(key)
        self.model.hold(key)

    @rule(key=KEYS)
    def unhold(self, key: str) -> None:
        self.queue.unhold(key, self.now)
        self.model.unhold(key, self.now)

    @rule()
    def pop(self) -> None:
        ready = self.model.longest(self.now)
        expected = self.model.next(self.now)
        self._expect_within_bounds(ready)

        key = self.queue.pop(self.now)

        assert key == expected
        if key is not None:
            assert key not in self.model.running, "a key ran twice at once"
            assert key not in self.model.holds, "a held key ran"
            item = self.model.queued[key]
            assert self.queue.waited(key) == self.now - item.since
            assert self.queue.priority(key) == item.priority
            assert list(self.queue.causes(key)) == item.causes
            self.model.start(key, self.now)
            self.unserved.discard(key)
            self._no_key_starves(key)

    @precondition(lambda self: self.model.running)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.model.running))))

    def end(self, key: str) -> None:
        _, started = self.model.running[key]

        seconds = self.queue.done(key, self.now)

        assert seconds == self.now - started
        self.model.end(key, self.now)

    @precondition(lambda self: len(self.model.running) >= 2)
    @rule()
    def shut_down(self) -> None:
        self.queue.shut_down()
        self.model.shut_down()
        self.unserved.clear()
        self.bounds.clear()

    # Not invariants, because both tidy up the heap: the other rules must not depend on that.
    @rule()
    def next_ready_at(self) -> None:
        assert self.queue.next_ready_at(self.now) == self.model.next_ready_at(self.now)

    @rule(limit=st.integers(0, 3))
    def release(self, limit: int) -> None:
        before = self.queue.release(self.now, 0)

        known = self.queue.release(self.now, limit)

        assert known == min(before + limit, len(self.model.ready(self.now)))

    @invariant()
    def says_what_the_model_says(self) -> None:
        ready = self.model.ready(self.now)
        priorities = [self.model.queued[key].priority for key in ready]
        assert self.queue.ready_count(self.now) == len(ready)
        assert self.queue.ready_counts(self.now) == {p: priorities.count(p) for p in priorities}
        started = sorted(started for _, started in self.model.running.values())
        assert sorted(self.queue.running_since()) == started
        assert self.queue.held_count() == len(self.model.holds)
        assert self.queue.closed == self.model.closed

    @invariant()
    def a_key_has_one_entry(self) -> None:
        known = {*self.model.queued, *self.model.running, *self.model.holds}

        assert self.queue._entries.keys() == known
        assert all(entry.key == key for key, entry in self.queue._entries.items())

    def teardown(self) -> None:
        """Whatever was done, time and workers bring out all that is owed, and then nothing."""
        for key in list(self.model.holds):
            for _ in range(self.model.holds[key]):
                self.unhold(key)
        for _ in range(4 * len("abcd")):
            self.now += 100.0
            self.pop()
            for key in sorted(self.model.running):
                self.queue.done(key, self.now)
                self.model.end(key, self.now)
        assert self.unserved == set()
        assert self.queue.next_ready_at(self.now) is None
        assert self.queue._entries == {}

    def _owe(self, key: str) -> None:
        if not self.model.closed:
            self.unserved.add(key)

    def _expect_within_bounds(self, ready: list[str]) -> None:
        """Note for each key that has been ready for too long how many pops it is away at most."""
        for ahead, key in enumerate(ready):
            position = self.model.line(key)
            known = self.bounds.get(key)
            if self.now < position[0] + PATIENCE:
                self.bounds.pop(key, None)
            elif known is None or known[0] != position:
                self.bounds[key] = (position, SHARE * (ahead + 1))

    def _no_key_starves(self, popped: str) -> None:
        self.bounds.pop(popped, None)
        for key, (position, left) in list(self.bounds.items()):
            if key not in self.model.queued or self.model.line(key) != position:
                del self.bounds[key]
            else:
                assert left > 1, f"{key} starves"
                self.bounds[key] = (position, left - 1)


KernelMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestKernel = KernelMachine.TestCase


@given(
    waiting=st.integers(1, 12),
    flood=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    priorities=st.lists(st.sampled_from([LOW_PRIORITY, -1, 0, 3]), min_size=1, max_size=6),
)
def test_no_flood_of_urgent_keys_starves_the_others(
    waiting: int, flood: list[int], priorities: list[int]
) -> None:
    """Keys of whatever priority come out within the stated bound while higher ones keep coming."""
    queue: KeyQueue[object] = KeyQueue(patience=timedelta(seconds=PATIENCE), share=SHARE)
    for number in range(waiting):
        queue.add(number, 0.0, priorities[number % len(priorities)])
    now, left, urgent = PATIENCE, set(range(waiting)), 0
    for turn in range(SHARE * waiting):
        for _ in range(flood[turn % len(flood)]):
            urgent += 1
            queue.add(f"urgent-{urgent}", now, 9)
        now += 0.125
        key = queue.pop(now)
        assert key is not None
        queue.done(key, now)
        left -= {key}

    assert left == set()


@dataclass(frozen=True)
class Step:
    """Wait, then do something with a key, or replace a worker where there is no key."""

    pause: float
    key: str | None
    delay: float
    what: str
    priority: int


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
        what=st.sampled_from(["wake", "wake", "wake", "fail", "forget", "hold"]),
        priority=PRIORITIES,
    ),
    max_size=40,
)
DURATIONS = st.lists(st.sampled_from([0.0, 0.0, 0.125, 0.5, 3.0]), min_size=1, max_size=8)


class Recording:
    """A queue, its workers, and a numbered record of every wake and run."""

    def __init__(self, durations: list[float]) -> None:
        self.clock = LoopClock()
        policy = ExponentialBackoff(base=timedelta(seconds=0.25), cap=timedelta(seconds=2))
        backoff: ItemBackoff[str] = ItemBackoff(policy, seeded_random(1))
        self.queue = WorkQueue("recorded", clock=self.clock, backoff=backoff)
        self.durations = durations
        self.events = 0
        self.wakes: list[Wake] = []
        self.runs: list[Run] = []
        self.failures: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def number(self) -> int:
        self.events += 1
        return self.events

    def do(self, key: str, step: Step) -> None:
        now, delay = self.clock.monotonic(), max(0.0, step.delay)
        match step.what:
            case "wake":
                self.wakes.append(Wake(key, self.number(), now + delay))
                self.queue.add_after(key, timedelta(seconds=step.delay), priority=step.priority)
            case "fail":
                failures = self.failures[key] = self.failures.get(key, 0) + 1
                told = self.number()
                after = self.queue.add_rate_limited(key, priority=step.priority).total_seconds()
                longest = min(2.0, 0.25 * 2.0 ** (failures - 1))
                assert 0.9 * longest <= after <= longest
                assert self.queue.failures(key) == failures
                self.wakes.append(Wake(key, told, now + after))
            case "forget":
                self.failures.pop(key, None)
                self.queue.forget(key)
            case _:
                self.held[key] = self.held.get(key, 0) + 1
                self.queue.hold(key)
                self.clock.call_later(timedelta(seconds=delay), lambda: self.let_go(key))

    def let_go(self, key: str) -> None:
        self.held[key] -= 1
        self.queue.unhold(key)

    async def work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDown:
                return
            assert not self.held.get(key), "a held key ran"
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
                    self.do(step.key, step)
                else:
                    tasks.pop(0).cancel()
                    tasks.append(group.create_task(self.work()))
            await self.clock.sleep(timedelta(hours=1))
            assert len(self.queue) == self.queue.held == 0
            assert self.queue.running_seconds() == []
            self.queue.shut_down()


@given(script=SCRIPTS, durations=DURATIONS, workers=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_every_wake_is_served_once_in_time_and_alone(
    script: list[Step], durations: list[float], workers: int
) -> None:
    """What a key was woken for since its last run began leads to exactly one run.

    It starts not before the earliest of the moments asked for, not while the key runs or is held,
    and at once when there is a free worker and nobody ever held it.
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
            # Delays after failures are no binary fractions, and timers count microseconds.
            assert run.start >= earliest_start - 1e-6
            if workers > len("abcd") and key not in recording.held:
                assert run.start <= earliest_start + 1e-6
            last_told, last_end = run.told, run.end
        assert all(wake.told < last_told for wake in wakes), "a wake was lost"
