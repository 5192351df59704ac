"""Says what a task awaits: the chain of frames from its coroutine down to the innermost await."""

import asyncio
import gc
import inspect
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, TypeGuard

_DEEPEST: Final = 50
_CHILDREN: Final = 5


def awaiting(task: asyncio.Task[Any]) -> list[str]:
    """Return where a suspended task stands, outermost first: `file:line in function`.

    Goes on into tasks that are awaited and into the children of a TaskGroup, of which up to five
    are told. `Task.get_stack` ends at the first await, which is the least interesting one.
    """
    return [line for _, line in zip(range(_DEEPEST), _chain(task.get_coro()), strict=False)]


def _chain(awaited: object) -> Iterator[str]:
    frame: FrameType | None = None
    while True:
        if inspect.iscoroutine(awaited):
            frame, awaited = awaited.cr_frame, awaited.cr_await
        elif inspect.isgenerator(awaited):
            frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
        else:
            break
        if frame is not None:
            code = frame.f_code
            yield f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
    task = _task(awaited)
    if task is not None:
        yield f"task {task.get_name()}"
        yield from _chain(task.get_coro())
    elif frame is not None:
        for child in _children(frame):
            yield f"child task {child.get_name()}"
            yield from _chain(child.get_coro())


def _task(awaited: object) -> asyncio.Task[Any] | None:
    """Return the task that is awaited: what a coroutine shows is only an iterator over it."""
    return next(filter(_is_task, (awaited, *gc.get_referents(awaited))), None)


def _is_task(found: object) -> TypeGuard[asyncio.Task[Any]]:
    return isinstance(found, asyncio.Task)


def _children(frame: FrameType) -> list[asyncio.Task[Any]]:
    """Return what a TaskGroup waits for, when the frame is one that waits for its children."""
    group: object = frame.f_locals.get("self")
    if not isinstance(group, asyncio.TaskGroup):
        return []
    tasks: set[asyncio.Task[Any]] = getattr(group, "_tasks", set[asyncio.Task[Any]]())
    return sorted((t for t in tasks if not t.done()), key=lambda t: t.get_name())[:_CHILDREN]
