"""The outcome table, without a queue."""

import logging

import pytest

from smbpctl.runtime.controller import (
    FORBIDDEN_RETRY,
    QUIET_CONFLICTS,
    ReconcileTimedOut,
    Verdict,
    judge_error,
    judge_result,
)
from smbpctl.runtime.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KindNotWatched,
    LeadershipLost,
    NotFound,
    RequestTooLarge,
    ServerError,
    ServerTimeout,
    TerminalError,
    TooManyRequests,
    TransportError,
    UnsupportedMediaType,
)
from smbpctl.runtime.metrics import ErrorClass, Outcome
from smbpctl.runtime.reconcile import DONE, Result
from test.support.controllers import seconds, status

ERROR, PANIC, TERMINAL = Outcome.ERROR, Outcome.PANIC, Outcome.TERMINAL
CONFLICT, THROTTLED = ErrorClass.CONFLICT, ErrorClass.THROTTLED
UNKNOWN, OTHER = ErrorClass.UNKNOWN_OUTCOME, ErrorClass.ERROR
FORBIDDEN = ErrorClass.FORBIDDEN
DEBUG, WARNING = logging.DEBUG, logging.WARNING


def grows(outcome: Outcome, error_class: ErrorClass, level: int, *, trace: bool) -> Verdict:
    """Return the verdict that retries with growing delay."""
    return Verdict(outcome, error_class, rate_limited=True, level=level, trace=trace)


class TestVerdicts:
    """Every family of errors has its requeue, its count and its log line."""

    def test_a_result_forgets_failures_and_comes_back_as_it_says(self) -> None:
        """A run that came to its end starts the key's failures afresh."""
        done = judge_result(DONE)
        later = judge_result(Result(seconds(7), priority=3))

        assert done == Verdict(Outcome.SUCCESS, forget=True, level=DEBUG)
        assert later == Verdict(
            Outcome.REQUEUE_AFTER, forget=True, delay=seconds(7), priority=3, level=DEBUG
        )

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (
                TerminalError("Bad", "spec"),
                Verdict(TERMINAL, ErrorClass.TERMINAL, forget=True),
            ),
            (status(Invalid), Verdict(TERMINAL, ErrorClass.INVALID, forget=True)),
            (status(RequestTooLarge), Verdict(TERMINAL, ErrorClass.INVALID, forget=True)),
            (status(UnsupportedMediaType), Verdict(TERMINAL, ErrorClass.INVALID, forget=True)),
            (status(Forbidden), Verdict(ERROR, FORBIDDEN, delay=FORBIDDEN_RETRY)),
            (status(Forbidden, 1), Verdict(ERROR, FORBIDDEN, delay=FORBIDDEN_RETRY)),
            (status(Forbidden, 300), Verdict(ERROR, FORBIDDEN, delay=seconds(300))),
            (status(Conflict), grows(Outcome.REQUEUE, CONFLICT, DEBUG, trace=False)),
            (status(AlreadyExists), grows(Outcome.REQUEUE, CONFLICT, DEBUG, trace=False)),
            (status(TooManyRequests), grows(ERROR, THROTTLED, WARNING, trace=False)),
            (
                status(ServerError, 4, code=503),
                Verdict(ERROR, THROTTLED, delay=seconds(4), level=WARNING),
            ),
            (status(ServerError, code=503), grows(ERROR, OTHER, logging.ERROR, trace=True)),
            (status(ServerError), grows(ERROR, UNKNOWN, logging.ERROR, trace=False)),
            (status(ServerTimeout), grows(ERROR, UNKNOWN, logging.ERROR, trace=False)),
            (status(NotFound), grows(ERROR, OTHER, logging.ERROR, trace=True)),
            (
                TransportError("cut", sent=True),
                grows(ERROR, UNKNOWN, logging.ERROR, trace=False),
            ),
            (
                TransportError("refused", sent=False),
                grows(ERROR, OTHER, logging.ERROR, trace=False),
            ),
            (LeadershipLost("late"), grows(ERROR, OTHER, WARNING, trace=False)),
            (
                ReconcileTimedOut("slow"),
                grows(Outcome.TIMEOUT, ErrorClass.TIMEOUT, logging.ERROR, trace=True),
            ),
            (TimeoutError("its own"), grows(ERROR, OTHER, logging.ERROR, trace=True)),
            (KeyError("typo"), grows(PANIC, ErrorClass.PANIC, logging.ERROR, trace=True)),
            (KindNotWatched("Pod"), grows(PANIC, ErrorClass.PANIC, logging.ERROR, trace=True)),
            (ValueError("odd"), grows(ERROR, OTHER, logging.ERROR, trace=True)),
        ],
        ids=lambda value: repr(value) if isinstance(value, Exception) else "",
    )
    def test_each_error_has_its_requeue(self, error: Exception, verdict: Verdict) -> None:
        """What retrying cannot mend waits for an event; permissions come without one."""
        assert judge_error(error, conflicts=0) == verdict

    @pytest.mark.parametrize("error_type", [Conflict, TooManyRequests, ServerError, Invalid])
    def test_the_server_may_ask_for_a_delay_with_any_error(
        self, error_type: type[Conflict]
    ) -> None:
        """Retry-After counts in place of our own delay; asking for none does not switch it off."""
        asked = judge_error(status(error_type, 9), conflicts=0)
        none = judge_error(status(error_type, 0), conflicts=0)

        assert (asked.delay, asked.rate_limited) == (seconds(9), False)
        assert none == judge_error(status(error_type), conflicts=0)

    def test_conflicts_become_loud_when_they_do_not_end(self) -> None:
        """A few conflicts are normal; one after the other means another manager insists."""
        before = judge_error(status(Conflict), conflicts=QUIET_CONFLICTS - 1)
        after = judge_error(status(Conflict), conflicts=QUIET_CONFLICTS)

        assert (before.outcome, before.level) == (Outcome.REQUEUE, DEBUG)
        assert after == grows(ERROR, CONFLICT, logging.ERROR, trace=False)
