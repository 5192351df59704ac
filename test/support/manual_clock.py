"""A `Clock` that stands still until the test moves it, for code that never waits on it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from smbpctl.runtime.clock import TimerHandle

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Satisfies `Clock`; waiting on it is an error, since nothing would end the wait."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = timedelta(0)

    def advance(self, delay: timedelta) -> None:
        """Let time pass, on both of its faces."""
        self._passed += delay

    def monotonic(self) -> float:
        return 1000.0 + self._passed.total_seconds()

    def now(self) -> datetime:
        return self._start + self._passed

    async def sleep(self, delay: timedelta) -> None:
        raise AssertionError(f"sleep({delay}) on a clock that only the test moves")

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> TimerHandle:
        raise AssertionError(f"call_later({delay}) on a clock that only the test moves")
