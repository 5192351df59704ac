"""What a suspended task awaits, through everything that may lie between."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from smbpctl.runtime.controller.awaiting import awaiting
from test.support.controllers import CLOCK, seconds


async def innermost() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


async def through_coroutines() -> None:
    """Await one coroutine in another."""
    await innermost()


async def through_a_task() -> None:
    """Await a task."""
    async with asyncio.TaskGroup() as group:
        await group.create_task(innermost(), name="helper")


async def through_a_group() -> None:
    """Wait at the end of a group."""
    async with asyncio.TaskGroup() as group:
        group.create_task(innermost(), name="first child")
        group.create_task(asyncio.Event().wait(), name="second child")


async def through_a_timeout() -> None:
    """Wait inside of a context manager."""
    async with asyncio.timeout(1000):
        await innermost()


@types.coroutine
def _old() -> Generator[Any, Any, None]:
    yield from innermost().__await__()


async def through_a_generator() -> None:
    """Await a coroutine written as a generator."""
    await _old()


class TestAwaiting:
    """The chain of awaits."""

    @pytest.mark.parametrize(
        "outermost", [through_coroutines, through_a_task, through_a_group, through_a_timeout]
    )
    async def test_the_innermost_await_is_found(
        self, outermost: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """File, line and function, from the task's own coroutine inwards."""
        lines = await _frames(outermost())

        assert lines[0].startswith(__file__)
        assert lines[0].endswith(f"in {outermost.__name__}")
        assert any(line.endswith("in innermost") for line in lines)
        assert any(line.endswith("in Event.wait") for line in lines)

    async def test_a_task_in_between_is_named(self) -> None:
        """Its name says what it was for."""
        assert "task helper" in await _frames(through_a_task())

    async def test_all_children_of_a_group_are_told(self) -> None:
        """Any of them may be the one that hangs."""
        lines = await _frames(through_a_group())

        assert "child task first child" in lines
        assert "child task second child" in lines

    async def test_a_generator_in_between_is_no_obstacle(self) -> None:
        """Coroutines of the old kind are still found in libraries."""
        lines = await _frames(through_a_generator())

        assert lines[1].endswith("in _old")

    async def test_a_task_that_has_not_begun_or_has_ended_awaits_nothing(self) -> None:
        """There is at most its own first line."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.Event().wait())
            before = awaiting(task)
            task.cancel()
        after = awaiting(task)

        assert len(before) <= 1
        assert after == []


async def _frames(outermost: Coroutine[Any, Any, None]) -> list[str]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outermost)
        for _ in range(5):
            await CLOCK.sleep(seconds(0))
        lines = awaiting(task)
        task.cancel()
    return lines
