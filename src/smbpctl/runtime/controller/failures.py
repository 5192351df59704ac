"""Ends of a run that nobody raised on purpose, and what is behind a group of errors."""

import asyncio
from typing import cast


class ReconcileTimedOut(Exception):
    """A run did not end within the controller's `reconcile_timeout`; the cause shows where."""


class StrayCancellation(Exception):
    """Something the reconciler awaited was cancelled, though nobody cancelled the reconciler."""


def single_cause(error: Exception) -> Exception:
    """Return the one error inside nested groups of one, or `error` itself.

    A reconciler that uses a TaskGroup raises its `Conflict` wrapped; it stays a conflict.
    """
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return single_cause(group.exceptions[0]) if len(group.exceptions) == 1 else group


def cancelled_by_nobody() -> bool:
    """Tell, on a CancelledError, that nobody asked the current task to end.

    It then comes from something cancelled that was awaited. Let through, it would end the task
    without a word: a TaskGroup takes a cancelled child for one that was meant to be.
    """
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
