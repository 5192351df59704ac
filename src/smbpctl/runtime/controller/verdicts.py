"""What becomes of a key after one run: the outcome table of the controller."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from smbpctl.runtime.client import outcome_unknown
from smbpctl.runtime.controller.failures import ReconcileTimedOut
from smbpctl.runtime.errors import (
    AlreadyExists,
    ApiStatusError,
    Conflict,
    Forbidden,
    IndexMissing,
    Invalid,
    KindNotWatched,
    LeadershipLost,
    MetadataOnly,
    RequestTooLarge,
    TerminalError,
    TooManyRequests,
    TransportError,
    UnsupportedMediaType,
)
from smbpctl.runtime.metrics import ErrorClass, Outcome
from smbpctl.runtime.reconcile import Result

FORBIDDEN_RETRY: Final = timedelta(seconds=30)
"""How long a key waits after the server refused it: permissions are granted by people."""

QUIET_CONFLICTS: Final = 5
"""How many conflicts of one key in a row are normal; more mean that somebody else insists."""

# What Go would panic on: counted apart, because waiting does not mend code.
_PROGRAMMING_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError),
    *(IndexMissing, KindNotWatched, MetadataOnly),
)


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a key after one run.

    `forget` drops the failures counted so far. The key comes back after exactly `delay`, or with
    `rate_limited` after its own growing delay, else when an event says so; with `priority` unless
    that is None, which keeps the key's. `level` is one of `logging`: what belongs to normal work
    is told at debug level only. `trace` says that the place of the error matters: what was raised
    on purpose tells all in its message.
    """

    outcome: Outcome
    error_class: ErrorClass | None = None
    forget: bool = False
    delay: timedelta | None = None
    rate_limited: bool = False
    priority: int | None = None
    level: int = logging.ERROR
    trace: bool = False


_DONE = Verdict(Outcome.SUCCESS, forget=True, level=logging.DEBUG)


def judge_result(result: Result) -> Verdict:
    """Say what becomes of a key whose run came to its end."""
    if result.requeue_after is None:
        return _DONE
    return Verdict(
        Outcome.REQUEUE_AFTER,
        forget=True,
        delay=result.requeue_after,
        priority=result.priority,
        level=logging.DEBUG,
    )


def judge_error(error: Exception, conflicts: int) -> Verdict:
    """Say what becomes of a key whose run raised `error` after so many conflicts in a row.

    * A *conflict* is quiet and comes back almost at once; whoever holds the key until the cache
      has caught up sees to it that the next run knows more. Too many in a row are an error.
    * *throttled*: the server says when.
    * *invalid* and *terminal*: nothing but a change helps, and a change is an event.
    * *forbidden*: retried slowly, for no event tells of a permission.
    * *unknown outcome*: a write may or may not have been executed. The growing delay is the least;
      the one who holds the key waits until the write is over and has the next run read live.
    * *timeout*, *panic* and every other *error*: retried with growing delay.

    A delay that the server asked for is honoured whatever the error.
    """
    if isinstance(error, TerminalError):
        return Verdict(Outcome.TERMINAL, ErrorClass.TERMINAL, forget=True)
    if isinstance(error, ApiStatusError):
        return _judge_status(error, conflicts)
    outcome, error_class, level, trace = Outcome.ERROR, ErrorClass.ERROR, logging.ERROR, True
    match error:
        case TransportError():
            trace = False
            error_class = ErrorClass.UNKNOWN_OUTCOME if outcome_unknown(error) else error_class
        case LeadershipLost():
            # The manager tells it loudly, once; here each key would.
            level, trace = logging.WARNING, False
        case ReconcileTimedOut():
            outcome, error_class = Outcome.TIMEOUT, ErrorClass.TIMEOUT
        case _ if isinstance(error, _PROGRAMMING_ERRORS):
            outcome, error_class = Outcome.PANIC, ErrorClass.PANIC
        case _:
            pass
    return Verdict(outcome, error_class, rate_limited=True, level=level, trace=trace)


def _judge_status(error: ApiStatusError, conflicts: int) -> Verdict:
    # "Retry-After: 0" asks for no delay; it must not switch ours off.
    asked = error.retry_after or None
    outcome, error_class, level, trace = Outcome.ERROR, ErrorClass.ERROR, logging.ERROR, False
    match error:
        case Invalid() | RequestTooLarge() | UnsupportedMediaType():
            return Verdict(Outcome.TERMINAL, ErrorClass.INVALID, forget=True, delay=asked)
        case Forbidden():
            delay = max(FORBIDDEN_RETRY, asked or FORBIDDEN_RETRY)
            return Verdict(outcome, ErrorClass.FORBIDDEN, delay=delay)
        case Conflict() | AlreadyExists():
            error_class = ErrorClass.CONFLICT
            if conflicts < QUIET_CONFLICTS:
                outcome, level = Outcome.REQUEUE, logging.DEBUG
        case TooManyRequests():
            error_class, level = ErrorClass.THROTTLED, logging.WARNING
        case _ if error.code == 503 and asked is not None:
            error_class, level = ErrorClass.THROTTLED, logging.WARNING
        case _ if outcome_unknown(error):
            error_class = ErrorClass.UNKNOWN_OUTCOME
        case _:
            trace = True
    return Verdict(
        outcome, error_class, delay=asked, rate_limited=asked is None, level=level, trace=trace
    )
