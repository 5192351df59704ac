"""A thread of its own behaves like a task: its result, its error, its cancellation."""

import asyncio
import threading
from datetime import timedelta

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.leader.thread import LoopThread


class TestRun:
    async def test_it_is_another_thread_and_another_loop(self) -> None:
        """What hangs here does not hang there."""
        seen: list[object] = []

        async def main() -> None:
            seen.extend((threading.current_thread().name, asyncio.get_running_loop()))

        await LoopThread("elsewhere").run(main)

        assert seen[0] == "elsewhere"
        assert seen[1] is not asyncio.get_running_loop()

    async def test_an_error_passes(self) -> None:
        """As from a task that is awaited."""

        async def main() -> None:
            raise LookupError("there")

        with pytest.raises(LookupError, match="there"):
            await LoopThread("elsewhere").run(main)

    async def test_a_cancellation_is_passed_on_and_waited_for(self) -> None:
        """What is cleaned up there is clean when it returns here."""
        began, cleaned = threading.Event(), threading.Event()

        async def main() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(LoopThread("elsewhere").run(main))
            await asyncio.to_thread(began.wait)
            task.cancel()

        assert task.cancelled()
        assert cleaned.is_set()

    async def test_cancelled_before_it_began(self) -> None:
        """Nothing is begun then, or it ends at once; in no case it is waited for in vain."""

        async def main() -> None:
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(LoopThread("elsewhere").run(main))
            await LoopClock().sleep(timedelta(0))
            task.cancel()

        assert task.cancelled()

    async def test_it_can_run_again(self) -> None:
        """After an end, and after a cancellation."""
        runs: list[int] = []
        thread = LoopThread("elsewhere")

        async def main() -> None:
            runs.append(1)

        await thread.run(main)
        thread.cancel()
        await thread.run(main)

        assert runs == [1, 1]


class TestPost:
    async def test_a_call_is_made_in_the_other_loop(self) -> None:
        """From any thread."""
        seen: list[str] = []
        began = threading.Event()
        thread = LoopThread("elsewhere")

        async def main() -> None:
            told = asyncio.Event()

            def call() -> None:
                seen.append(threading.current_thread().name)
                told.set()

            calls.append(call)
            began.set()
            await told.wait()

        calls: list[object] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(thread.run(main))
            await asyncio.to_thread(began.wait)
            call = calls[0]
            assert callable(call)
            posted = thread.post(call)

        assert (posted, seen) == (True, ["elsewhere"])

    async def test_without_a_loop_nothing_is_posted(self) -> None:
        """Neither before nor after."""
        thread = LoopThread("elsewhere")

        async def main() -> None:
            return

        before = thread.post(lambda: None)
        await thread.run(main)

        assert (before, thread.post(lambda: None)) == (False, False)
