"""How long a key waits for the caches, and what is read live when that is too long."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.client import Verb, Write
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.consistency import Gate, Run, Wait, WriteLedger
from smbpctl.runtime.errors import TransportError, status_error
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey
from test.support.own_writes import GVK, OneScope, Server, body, value_of
from test.support.virtual_time import run_virtual

A, B = ObjectKey("m", "a"), ObjectKey("m", "b")
OVER = timedelta(seconds=32)
PATIENCE = timedelta(seconds=5)


class Live:
    """Reads the model server; fails with the queued errors first."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.errors: list[Exception] = []
        self.asked: list[str] = []

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        self.asked.append(f"get {key}")
        if self.errors:
            raise self.errors.pop(0)
        truth = self.server.objects.get(key)
        return None if truth is None else json.loads(body(key, truth))

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> list[Manifest]:
        self.asked.append(f"list {namespace}")
        return [
            json.loads(body(key, truth))
            for key, truth in self.server.objects.items()
            if namespace in ("", key.namespace)
        ]


class Waits:
    """Counts waits as the metrics would."""

    def __init__(self) -> None:
        self.waited: list[tuple[str, float]] = []

    def read_your_writes_waited(self, outcome: str, seconds: float, /) -> None:
        self.waited.append((outcome, round(seconds, 1)))


class Bench:
    """A gate and a ledger over one scope, under virtual time."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.server, self.scope, self.metrics = Server(), OneScope(), Waits()
        self.live = Live(self.server)
        self.ledger = WriteLedger(clock=self.clock)
        self.ledger.bind(self.scope)
        self.gate = Gate(
            clock=self.clock,
            random=seeded_random(1),
            live=self.live,
            patience=PATIENCE,
            metrics=self.metrics,
        )
        self.over: list[float] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.gate.serve())
            await self.clock.sleep(timedelta(0))
            try:
                yield
            finally:
                task.cancel()

    def hear(self) -> None:
        self.server.tell(self.scope.store, len(self.server.untold))
        self.gate.progressed(self.scope)

    def wrote(self, value: int = 1, key: ObjectKey = A) -> Run:
        write = Write(Verb.APPLY, GVK, key)
        with Run() as run:
            self.ledger.began(write, OVER)
            self.ledger.answered(write, self.server.put(key, value))
        return run

    def lost(self, key: ObjectKey = A) -> Run:
        write = Write(Verb.APPLY, GVK, key)
        with Run() as run:
            self.ledger.began(write, OVER)
            self.ledger.failed(write, TransportError("lost", sent=True))
        return run

    def wait(self, run: Run) -> Wait | None:
        wait = self.gate.wait(run)
        if wait is not None:
            began = self.clock.monotonic()
            wait.when_over(lambda: self.over.append(round(self.clock.monotonic() - began, 1)))
        return wait

    async def let_pass(self, seconds: float) -> None:
        await self.clock.sleep(timedelta(seconds=seconds))


def virtually(story: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a story on a fresh bench that serves live reads."""

    async def main() -> None:
        bench = Bench()
        async with bench.serving():
            await story(bench)

    run_virtual(main())


class TestWaits:
    def test_a_run_that_wrote_nothing_waits_for_nothing(self) -> None:
        """The common case costs nothing."""

        async def story(bench: Bench) -> None:
            assert bench.gate.wait(Run()) is None

        virtually(story)

    def test_it_ends_when_the_cache_has_the_write(self) -> None:
        """No request is made for that."""

        async def story(bench: Bench) -> None:
            bench.wait(bench.wrote())
            await bench.let_pass(2)
            before = list(bench.over)
            bench.hear()

            assert before == []
            assert bench.over == [2.0]
            assert bench.live.asked == []
            assert bench.metrics.waited == [("seen", 2.0)]

        virtually(story)

    def test_it_ends_only_with_the_last_of_several(self) -> None:
        """All that the run wrote counts."""

        async def story(bench: Bench) -> None:
            run, other = bench.wrote(), bench.wrote(key=B)
            run.needs += other.needs
            bench.wait(run)

            bench.server.tell(bench.scope.store, 1)
            bench.gate.progressed(bench.scope)
            after_one = list(bench.over)
            bench.hear()

            assert after_one == []
            assert bench.over == [0.0]

        virtually(story)

    def test_a_cache_that_is_behind_too_long_is_read_past(self) -> None:
        """The next run sees its own writes all the same."""

        async def story(bench: Bench) -> None:
            bench.wait(bench.wrote(value=1))
            bench.server.put(A, 2)

            await bench.let_pass(6)

            read = bench.scope.read(A)
            assert bench.over == [5.0]
            assert bench.live.asked == ["get m/a"]
            assert read is not None
            assert value_of(read) == 2
            assert bench.metrics.waited == [("read", 5.0)]

        virtually(story)

    def test_what_is_gone_by_then_is_absent(self) -> None:
        """A live 404 is what makes an object absent."""

        async def story(bench: Bench) -> None:
            bench.wait(bench.wrote())
            bench.server.remove(A)

            await bench.let_pass(6)

            assert bench.over == [5.0]
            assert bench.scope.read(A) is None

        virtually(story)

    def test_when_over_calls_at_once_when_it_is(self) -> None:
        """Whoever comes late is not forgotten."""

        async def story(bench: Bench) -> None:
            wait = bench.wait(bench.wrote())
            bench.hear()
            called: list[bool] = []

            assert wait is not None
            wait.when_over(lambda: called.append(True))

            assert called == [True]

        virtually(story)


class TestUnknownOutcomes:
    def test_the_key_waits_until_the_write_is_over_and_is_read(self) -> None:
        """Before that, a live read would say nothing."""

        async def story(bench: Bench) -> None:
            bench.wait(bench.lost())
            await bench.let_pass(10)
            bench.server.put(A, 7)  # executed late
            bench.hear()
            before = list(bench.over)
            await bench.let_pass(30)

            read = bench.scope.read(A)
            assert before == []
            assert bench.over == [32.0]
            assert bench.live.asked == ["get m/a"]
            assert read is not None
            assert value_of(read) == 7

        virtually(story)

    def test_a_kind_that_nobody_watches_is_only_waited_out(self) -> None:
        """There is no cache to correct: whoever wrote it reads it live anyway."""

        async def story(bench: Bench) -> None:
            other = Write(Verb.APPLY, GroupVersionKind("", "v1", "Secret"), A)
            with Run() as run:
                bench.ledger.began(other, OVER)
                bench.ledger.failed(other, TransportError("lost", sent=True))
            bench.wait(run)

            await bench.let_pass(33)

            assert bench.over == [32.0]
            assert bench.live.asked == []

        virtually(story)

    def test_a_collection_is_listed_live(self) -> None:
        """What is not in the list is gone, what is in it is as listed."""

        async def story(bench: Bench) -> None:
            bench.server.put(A, 1)
            bench.server.put(B, 1)
            bench.hear()
            bench.server.remove(A)
            bench.server.put(B, 2)
            write = Write(Verb.DELETE_COLLECTION, GVK, ObjectKey("m", ""))
            with Run() as run:
                bench.ledger.began(write, OVER)
                bench.ledger.answered(write, b'{"kind":"Status"}')

            bench.wait(run)
            await bench.let_pass(1)

            read = bench.scope.read(B)
            assert bench.over == [0.0]
            assert bench.live.asked == ["list m"]
            assert bench.scope.read(A) is None
            assert read is not None
            assert value_of(read) == 2

        virtually(story)


class TestLiveReads:
    def test_a_failing_server_is_asked_again(self) -> None:
        """A key does not run blind because one request failed."""

        async def story(bench: Bench) -> None:
            bench.live.errors = [TransportError("down", sent=False), status_error({}, code=503)]
            bench.wait(bench.wrote())

            await bench.let_pass(10)

            assert bench.live.asked == ["get m/a"] * 3
            assert len(bench.over) == 1
            assert 5.0 < bench.over[0] < 6.0

        virtually(story)

    @pytest.mark.parametrize("failures", [100])
    def test_a_server_that_stays_away_does_not_hold_keys_for_ever(self, failures: int) -> None:
        """The reconcile will fail and be retried like any other."""

        async def story(bench: Bench) -> None:
            bench.live.errors = [TransportError("down", sent=False) for _ in range(failures)]
            bench.wait(bench.wrote())

            await bench.let_pass(60)

            assert len(bench.over) == 1
            assert bench.over[0] < 20.0

        virtually(story)

    def test_a_refused_read_is_not_repeated(self) -> None:
        """Permissions are granted by people; the cache is all there is then."""

        async def story(bench: Bench) -> None:
            bench.live.errors = [status_error({}, code=403)]
            bench.wait(bench.wrote())

            await bench.let_pass(6)

            assert bench.live.asked == ["get m/a"]
            assert bench.over == [5.0]
            assert len(bench.scope.overlay) == 0

        virtually(story)


class TestServing:
    def test_without_it_nothing_is_read_and_nothing_waits_for_ever(self) -> None:
        """A controller may run without a cache that is run."""

        async def main() -> None:
            bench = Bench()
            bench.wait(bench.wrote())

            await bench.let_pass(6)

            assert bench.over == [5.0]
            assert bench.live.asked == []

        run_virtual(main())

    def test_its_end_ends_every_wait(self) -> None:
        """At a stop no key is held."""

        async def main() -> None:
            bench = Bench()
            async with bench.serving():
                bench.wait(bench.wrote())
                await bench.let_pass(1)

            assert bench.over == [1.0]

        run_virtual(main())
