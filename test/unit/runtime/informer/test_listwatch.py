"""The list/watch state machine: what follows from each way in which a step can end."""

from datetime import timedelta

import pytest

from smbpctl.runtime.errors import (
    BadRequest,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    NoKindMatch,
    NotFound,
    ServerError,
    ServerTimeout,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from smbpctl.runtime.informer.listwatch import (
    InconsistentListError,
    InformerState,
    List,
    Listed,
    ListFailed,
    ListReason,
    ListWatch,
    Pause,
    ReadVerb,
    SilentStreamError,
    Step,
    Streamed,
    UnmarkedStreamError,
    Watch,
    WatchEnded,
)

GONE = Gone("too old", code=410)
BROKEN = ServerError("etcd is away", code=500)
LONG = timedelta(minutes=7)
SHORT = timedelta(milliseconds=300)


def ended(
    error: Exception | None = None, *, lasted: timedelta = timedelta(0), progressed: bool = False
) -> WatchEnded:
    """Return the end of a watch that resumes at version 7."""
    return WatchEnded("7", lasted, progressed, error)


def streaming() -> ListWatch:
    """Return a machine that has listed once."""
    protocol = ListWatch()
    assert protocol.start() == List(ListReason.FIRST)
    assert protocol.after(Listed("5")) == Watch("5")
    return protocol


def then(step: Step) -> List | Watch:
    """Return what follows the pause that `step` must be."""
    assert isinstance(step, Pause)
    return step.then


def test_a_watch_that_ends_well_is_resumed_at_once() -> None:
    """Servers end watches after some minutes, and at any other time as they like."""
    protocol = streaming()

    assert protocol.after(ended(lasted=LONG)) == Watch("7")
    assert protocol.after(ended(lasted=SHORT, progressed=True)) == Watch("7")


def test_very_short_watches_back_off_and_lead_to_a_list() -> None:
    """A proxy that closes streams at once must not be asked in a tight loop."""
    protocol = streaming()

    steps = [protocol.after(ended(lasted=SHORT)) for _ in range(3)]

    assert [then(step) for step in steps] == [Watch("7"), Watch("7"), List(ListReason.FAILED)]


def test_an_expired_version_lists_once_at_once() -> None:
    """Everything that was missed is in the list, and there is nothing to wait for."""
    assert streaming().after(ended(GONE)) == List(ListReason.EXPIRED)


def test_a_version_that_expires_again_lists_after_a_pause() -> None:
    """Lists that do not help must not follow each other in a tight loop."""
    protocol = streaming()
    protocol.after(ended(GONE))
    protocol.after(Listed("9"))

    assert then(protocol.after(ended(GONE))) == List(ListReason.EXPIRED)


def test_a_good_watch_in_between_makes_the_next_list_immediate_again() -> None:
    """An expiry next month is not related to one of today."""
    protocol = streaming()
    protocol.after(ended(GONE))
    protocol.after(Listed("9"))
    protocol.after(ended(lasted=LONG))

    assert protocol.after(ended(GONE)) == List(ListReason.EXPIRED)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(GONE, ListReason.EXPIRED), (InconsistentListError("x"), ListReason.INCONSISTENT)],
)
def test_a_list_that_fell_apart_is_made_again_at_once_then_after_a_pause(
    error: Exception, reason: ListReason
) -> None:
    """A continue token that expired, or pages of different moments."""
    protocol = ListWatch()

    assert protocol.after(ListFailed(error)) == List(reason)
    assert then(protocol.after(ListFailed(error))) == List(reason)


@pytest.mark.parametrize(
    "error", [BROKEN, TransportError("reset", sent=True), NoKindMatch("no"), ValueError("html")]
)
def test_a_failed_list_is_repeated_after_a_pause(error: Exception) -> None:
    """Without a list there is nothing to watch from."""
    step = ListWatch().after(ListFailed(error))

    assert step == Pause(
        List(ListReason.FAILED), InformerState.DEGRADED, f"list: {error}", ReadVerb.LIST
    )


@pytest.mark.parametrize("error", [Forbidden("no", code=403), Unauthorized("who?", code=401)])
def test_missing_permission_has_a_state_of_its_own(error: Exception) -> None:
    """And the verb that is missing is data; the reason carries the server's words."""
    refused = ListWatch().after(ListFailed(error))
    unwatched = streaming().after(ended(error))

    state = InformerState.FORBIDDEN
    assert refused == Pause(List(ListReason.FAILED), state, f"list: {error}", ReadVerb.LIST)
    assert unwatched == Pause(Watch("7"), state, f"watch: {error}", ReadVerb.WATCH)


@pytest.mark.parametrize(
    "error", [TransportError("refused", sent=False), TooManyRequests("slow", code=429)]
)
def test_an_unreachable_or_busy_server_is_not_asked_for_everything(error: Exception) -> None:
    """After a restart of the server, thousands of clients resume instead of listing."""
    protocol = streaming()

    assert [then(protocol.after(ended(error))) for _ in range(9)] == [Watch("7")] * 9


@pytest.mark.parametrize(
    "error", [BROKEN, ServerTimeout("Too large resource version", code=504), RuntimeError("bug")]
)
def test_a_watch_that_keeps_failing_leads_to_a_list(error: Exception) -> None:
    """The version itself may be the trouble: after a restore the server never reaches it."""
    protocol = streaming()

    steps = [then(protocol.after(ended(error))) for _ in range(3)]

    assert steps == [Watch("7"), Watch("7"), List(ListReason.FAILED)]


def test_progress_forgives_earlier_failures() -> None:
    """Only failures in a row count."""
    protocol = streaming()
    protocol.after(ended(BROKEN))
    protocol.after(ended(BROKEN))

    assert then(protocol.after(ended(BROKEN, progressed=True))) == Watch("7")


def test_a_list_forgives_earlier_failures() -> None:
    """The version is a new one, and gets as many attempts."""
    protocol = streaming()
    for _ in range(3):
        protocol.after(ended(BROKEN))
    protocol.after(Listed("9"))

    assert then(protocol.after(ended(BROKEN))) == Watch("7")


@pytest.mark.parametrize(
    "error",
    [NotFound("no such kind", code=404), NoKindMatch("gone"), BadRequest("bad version", code=400)],
)
def test_a_watch_that_cannot_be_resumed_leads_to_a_list(error: Exception) -> None:
    """Repeating the same request would give the same answer."""
    assert then(streaming().after(ended(error, lasted=LONG))) == List(ListReason.FAILED)


def test_a_malformed_line_leads_to_a_list() -> None:
    """What was in it is not known; a list tells."""
    assert then(streaming().after(ended(ValueError("bad line"), progressed=True))) == List(
        ListReason.MALFORMED
    )


def test_a_silent_stream_is_opened_anew_and_then_doubted() -> None:
    """Silence took minutes to notice, so there is no further delay."""
    protocol = streaming()
    silent = SilentStreamError("nothing heard")

    steps = [protocol.after(ended(silent, lasted=LONG)) for _ in range(3)]

    assert steps == [Watch("7"), Watch("7"), List(ListReason.SILENT)]


def test_the_server_may_ask_for_a_longer_pause_within_reason() -> None:
    """Retry-After counts, but not for hours."""
    asked = [
        streaming().after(ended(TooManyRequests("slow", code=429, retry_after=delay)))
        for delay in (timedelta(seconds=9), timedelta(days=1))
    ]

    assert [step.at_least for step in asked if isinstance(step, Pause)] == [
        timedelta(seconds=9),
        timedelta(minutes=5),
    ]


def test_an_error_without_words_is_named_by_its_type() -> None:
    """An empty reason would read as "all is well"."""
    step = ListWatch().after(ListFailed(RuntimeError()))

    assert isinstance(step, Pause)
    assert step.reason == "list: RuntimeError"


UNSTREAMED = [
    BadRequest("unknown parameter", code=400),
    Invalid("the feature gate is off", code=422),
    MethodNotAllowed("no", code=405),
    UnmarkedStreamError("no end"),
]


@pytest.mark.parametrize("error", UNSTREAMED)
def test_a_server_that_cannot_list_as_a_stream_is_asked_for_pages_from_then_on(
    error: Exception,
) -> None:
    """At once, for the same reason; and for every list until there is reason to try again."""
    protocol = ListWatch()

    assert protocol.start() == List(ListReason.FIRST, paged=False)
    assert protocol.after(ListFailed(error, paged=False)) == List(ListReason.FIRST, paged=True)
    assert protocol.after(Listed("5")) == Watch("5")
    assert protocol.after(ended(GONE)) == List(ListReason.EXPIRED, paged=True)
    protocol.stream_again()
    protocol.after(Listed("9"))
    assert then(protocol.after(ended(GONE))) == List(ListReason.EXPIRED, paged=False)


def test_a_stream_that_ends_after_its_list_is_a_watch_that_ended() -> None:
    """It resumes where it was, relists once it is too old, and has made up for failures."""
    protocol = ListWatch()
    for _ in range(2):
        protocol.after(ListFailed(BROKEN, paged=False))

    assert protocol.after(Streamed(ended(progressed=True))) == Watch("7")
    assert protocol.after(Streamed(ended(GONE))) == List(ListReason.EXPIRED)
    assert then(protocol.after(ListFailed(BROKEN, paged=False))) == List(ListReason.FAILED)


def test_streams_that_break_are_made_in_pages_the_third_time_only() -> None:
    """Something on the way may cut long answers; that is no reason to give streams up."""
    protocol = ListWatch()
    broken = ListFailed(TransportError("reset", sent=True), paged=False)

    steps = [then(protocol.after(broken)) for _ in range(3)]

    assert steps == [List(ListReason.FAILED)] * 2 + [List(ListReason.FAILED, paged=True)]
    protocol.after(Listed("5"))
    assert protocol.after(ended(GONE)) == List(ListReason.EXPIRED, paged=False)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Forbidden("no", code=403), InformerState.FORBIDDEN),
        (Unauthorized("who?", code=401), InformerState.FORBIDDEN),
        (TooManyRequests("slow", code=429), InformerState.DEGRADED),
        (NotFound("no such kind", code=404), InformerState.DEGRADED),
    ],
)
def test_a_stream_that_is_refused_for_another_reason_stays_a_stream(
    error: Exception, state: InformerState
) -> None:
    """However often: pages would be refused as well. What is missing is the verb watch."""
    protocol = ListWatch()

    for _ in range(5):
        step = protocol.after(ListFailed(error, paged=False))
        assert step == Pause(List(ListReason.FAILED), state, f"watch: {error}", ReadVerb.WATCH)


def test_an_expired_stream_is_begun_again_once_at_once() -> None:
    """A consistent read cannot expire, but servers and what is before them are many."""
    protocol = ListWatch()

    assert protocol.after(ListFailed(GONE, paged=False)) == List(ListReason.EXPIRED)
    assert then(protocol.after(ListFailed(GONE, paged=False))) == List(ListReason.EXPIRED)


def test_always_paged_is_paged_from_the_start() -> None:
    """For servers that are known not to know it."""
    assert ListWatch(paged=True).start() == List(ListReason.FIRST, paged=True)
