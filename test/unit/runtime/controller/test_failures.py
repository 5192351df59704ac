"""What is behind a group of errors, and a cancellation that nobody asked for."""

import asyncio

from smbpctl.runtime.controller import cancelled_by_nobody, single_cause
from smbpctl.runtime.errors import Conflict
from test.support.controllers import status


class TestSingleCause:
    """Groups of one."""

    def test_a_group_of_one_stands_for_its_only_error(self) -> None:
        """A conflict inside a reconciler's own TaskGroup stays a conflict; several do not."""
        conflict = status(Conflict)
        nested = ExceptionGroup("outer", [ExceptionGroup("inner", [conflict])])
        several = ExceptionGroup("outer", [conflict, ValueError("and")])

        assert single_cause(nested) is conflict
        assert single_cause(several) is several


class TestCancelledByNobody:
    """Whose cancellation it is."""

    async def test_only_a_task_that_was_asked_to_end_was_cancelled(self) -> None:
        """What was awaited may have been cancelled by itself."""
        seen: list[bool] = []

        async def wait(future: asyncio.Future[None]) -> None:
            try:
                await future
            except asyncio.CancelledError:
                seen.append(cancelled_by_nobody())

        loop = asyncio.get_running_loop()
        stray: asyncio.Future[None] = loop.create_future()
        stray.cancel()
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(stray))
            asked = group.create_task(wait(loop.create_future()))
            loop.call_soon(asked.cancel)

        assert seen == [True, False]
