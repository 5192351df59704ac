"""Tells when the next run of a key sees what its last run wrote; reads live where it must."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol, final

import msgspec
import structlog

from smbpctl.runtime.backoff import ExponentialBackoff
from smbpctl.runtime.clock import Clock, Random, TimerHandle
from smbpctl.runtime.consistency.run import Need, Run
from smbpctl.runtime.consistency.scope import LiveReads, Scope
from smbpctl.runtime.errors import ServerError, ServerTimeout, TooManyRequests, TransportError
from smbpctl.runtime.meta import Manifest, key_of

PATIENCE = timedelta(seconds=5)
"""How long a cache may be behind with a write before the object is read live."""

_LIVE_ATTEMPTS = 6
_BETWEEN_ATTEMPTS = ExponentialBackoff(
    base=timedelta(milliseconds=200), cap=timedelta(seconds=5), jitter=0.3
)
_PASSING = (TransportError, ServerError, ServerTimeout, TooManyRequests)

_log = structlog.get_logger(__name__)


class GateMetrics(Protocol):
    """Where waits are counted."""

    def read_your_writes_waited(self, outcome: str, seconds: float, /) -> None:
        """Count one wait; `outcome` is `seen` by the cache, or `read` live."""


@final
class Wait:
    """What stands between one run of a key and the next."""

    __slots__ = ("_call", "began", "needs", "not_before", "over", "read_live", "timer")

    def __init__(self, needs: list[Need], not_before: float, began: float) -> None:
        self.needs: list[Need] = needs
        self.not_before: float = not_before
        self.began: float = began
        self.timer: TimerHandle | None = None
        self.over: bool = False
        self.read_live: bool = False
        self._call: Callable[[], None] | None = None

    def when_over(self, call: Callable[[], None]) -> None:
        """Call `call` once, as soon as nothing is in the way; at once when nothing is by now."""
        if self.over:
            call()
        else:
            self._call = call

    def open(self, now: float) -> bool:
        """Tell whether the next run may begin, and forget what was met."""
        self.needs = [need for need in self.needs if not need.met]
        return not self.needs and self.not_before <= now

    def end(self) -> None:
        """Let the next run begin."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
        if self._call is not None:
            self._call()


@final
class Gate:
    """Holds a key back until the caches have its own last writes; no worker waits for that.

    A wait ends when every object that the run wrote is either in its store or was read live. The
    latter happens for writes whose outcome is unknown, once they cannot be executed any more, and
    for all others after `patience`: what is read live is overlaid, so that the next run sees at
    least that. Live reads need `serve` to run; without it, a wait ends where one would begin.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        live: LiveReads,
        patience: timedelta = PATIENCE,
        metrics: GateMetrics | None = None,
    ) -> None:
        self._clock = clock
        self._random = random
        self._live = live
        self._patience = patience.total_seconds()
        self._metrics = metrics
        self._waits: set[Wait] = set()
        self._tasks: asyncio.TaskGroup | None = None

    async def serve(self) -> None:
        """Make live reads possible until cancelled; then every wait ends."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                for wait in list(self._waits):
                    self._end(wait)

    def recorded(self) -> AbstractContextManager[Run]:
        """Record what the block, and every task begun in it, reads and writes."""
        return Run()

    def wait(self, run: Run) -> Wait | None:
        """Return what the next run of the key has to wait for; None when that is nothing."""
        if not run.needs and not run.not_before:
            return None  # it wrote nothing, as most runs
        now = self._clock.monotonic()
        wait = Wait(run.needs, run.not_before, now)
        if wait.open(now):
            return None
        self._waits.add(wait)
        self._look(wait)
        return None if wait.over else wait

    def progressed(self, scope: Scope) -> None:
        """Take note that a store knows more than before; cheap when nobody wants to know."""
        if len(scope.overlay):
            scope.overlay.settle()
        if not self._waits:
            return
        for wait in [w for w in self._waits if any(need.scope is scope for need in w.needs)]:
            self._look(wait)

    def _look(self, wait: Wait) -> None:
        """End a wait that is over; else see that somebody looks again in time."""
        now = self._clock.monotonic()
        if wait.over:
            return
        for need in wait.needs:
            if not need.reading and self._readable_at(wait, need) <= now:
                self._read(wait, need)
        if wait.open(now):
            self._end(wait)
            return
        moments = [self._readable_at(wait, need) for need in wait.needs]
        self._look_again(wait, [at for at in (*moments, wait.not_before) if at > now], now)

    def _readable_at(self, wait: Wait, need: Need) -> float:
        return wait.began + self._patience if need.readable_at is None else need.readable_at

    def _look_again(self, wait: Wait, moments: list[float], now: float) -> None:
        if wait.timer is not None:
            wait.timer.cancel()
            wait.timer = None
        if moments:
            # A little later: a timer that fires early would find nothing due.
            delay = timedelta(seconds=min(moments) - now + 0.001)
            wait.timer = self._clock.call_later(delay, lambda: self._look(wait))

    def _read(self, wait: Wait, need: Need) -> None:
        need.reading = wait.read_live = True
        if self._tasks is None:
            need.read = True
        else:
            self._tasks.create_task(self._read_live(wait, need))

    async def _read_live(self, wait: Wait, need: Need) -> None:
        try:
            await self._persist(need)
        except Exception as error:
            # Without an answer the cache is all there is, as it is for kinds that nobody watches.
            _log.warning(
                "live read failed", kind=str(need.scope.gvk), key=str(need.key), error=str(error)
            )
            if need.key.name:
                need.scope.overlay.forget(need.key)
        need.read = True
        self._look(wait)

    async def _persist(self, need: Need) -> None:
        for attempt in range(1, _LIVE_ATTEMPTS):
            try:
                return await self._ask(need)
            except _PASSING:
                await self._clock.sleep(_BETWEEN_ATTEMPTS.delay(attempt, self._random))
        return await self._ask(need)

    async def _ask(self, need: Need) -> None:
        scope, key = need.scope, need.key
        if not key.name:
            await self._ask_for_all(scope, key.namespace)
            return
        known = scope.overlay.over(key, scope.store.get(key))
        live = await self._live.get(scope.gvk, key)
        if live is None:
            scope.overlay.learnt(key, None, gone=known.meta.uid if known else "")
        else:
            _learn(scope, live)

    async def _ask_for_all(self, scope: Scope, namespace: str) -> None:
        known = {stored.key: stored.meta.uid for stored in scope.store.list(namespace or None)}
        listed = await self._live.list(scope.gvk, namespace=namespace)
        for live in listed:
            known.pop(key_of(live), None)
            _learn(scope, live)
        for key, uid in known.items():
            scope.overlay.learnt(key, None, gone=uid)

    def _end(self, wait: Wait) -> None:
        self._waits.discard(wait)
        if self._metrics is not None:
            outcome = "read" if wait.read_live else "seen"
            self._metrics.read_your_writes_waited(outcome, self._clock.monotonic() - wait.began)
        wait.end()


def _learn(scope: Scope, live: Manifest) -> None:
    stored = scope.decode(msgspec.json.encode(live))
    if scope.admits(stored):
        scope.overlay.learnt(stored.key, stored)
    else:
        scope.overlay.forget(stored.key)
