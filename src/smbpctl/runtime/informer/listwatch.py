"""The list/watch protocol as a state machine: what to ask the server next, given what it said.

Synchronous and without clock: `ListWatch` is told how a step ended and returns the next one.

    List --complete--> Watch --ended well--> Watch (resumed where it ended)
      ^                  |
      +----- 410 --------+      anything else: Pause, then one of the two

A list is one stream (KEP-3157, "WatchList"): the server tells every object as ADDED, marks the end
with a bookmark, and goes on with the changes. Where that is refused or never ends, it is made in
pages, and a watch follows.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TypeAlias, final

from smbpctl.runtime.errors import (
    ApiStatusError,
    BadRequest,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    NoKindMatch,
    NotFound,
    TooManyRequests,
    TransportError,
    Unauthorized,
)

# A watch that ends sooner, having told nothing, is a server or a proxy that cannot watch.
_VERY_SHORT = timedelta(seconds=1)

# After so many failures in a row the resourceVersion itself may be what the server dislikes.
_FAILURES_BEFORE_RELIST = 3

# A proxy's Retry-After must not blind the informer for hours.
_LONGEST_PAUSE = timedelta(minutes=5)


class InformerState(Enum):
    """What an informer is doing, as shown by readiness."""

    INIT = "init"
    ABSENT = "absent"
    LISTING = "listing"
    STREAMING = "streaming"
    DEGRADED = "degraded"
    FORBIDDEN = "forbidden"


class ReadVerb(Enum):
    """What an informer asks of the server, as permissions name it."""

    LIST = "list"
    WATCH = "watch"


class ListReason(Enum):
    """Why a complete list is made."""

    FIRST = "first"
    EXPIRED = "expired"
    INCONSISTENT = "inconsistent"
    MALFORMED = "malformed"
    FAILED = "failed"
    SILENT = "silent"


class InconsistentListError(Exception):
    """The pages of a list come from different moments and do not add up to one state."""


class SilentStreamError(Exception):
    """Nothing was heard for too long: neither events nor bookmarks."""


class UnmarkedStreamError(Exception):
    """The server does not say where the initial events of a stream end: it cannot list so."""


@final
@dataclass(frozen=True, slots=True)
class List:
    """Ask for everything, with a consistent read: never from an arbitrarily old replica.

    As a stream that goes on with the changes, or `paged`.
    """

    reason: ListReason
    paged: bool = False


@final
@dataclass(frozen=True, slots=True)
class Watch:
    """Ask for all changes after this resourceVersion."""

    resource_version: str


@final
@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a growing delay, at least `at_least`, then go on; meanwhile say why.

    `verb` is what did not work: the missing one where the state is FORBIDDEN.
    """

    then: List | Watch
    state: InformerState
    reason: str
    verb: ReadVerb
    at_least: timedelta = timedelta(0)


Step: TypeAlias = List | Watch | Pause


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """A paged list was complete and the store holds it."""

    resource_version: str


@final
@dataclass(frozen=True, slots=True)
class ListFailed:
    """A list was not complete; the store is as it was. `paged` is how it was asked for."""

    error: Exception
    paged: bool = True


@final
@dataclass(frozen=True, slots=True)
class WatchEnded:
    """A watch ended: orderly when there is no `error`.

    `resource_version` is where to resume, `lasted` how long the stream was open, `progressed`
    whether it told anything: an event or a bookmark.
    """

    resource_version: str
    lasted: timedelta
    progressed: bool
    error: Exception | None = None


@final
@dataclass(frozen=True, slots=True)
class Streamed:
    """The store holds a list that came as a stream, and that stream has ended since."""

    end: WatchEnded


Outcome: TypeAlias = Listed | ListFailed | Streamed | WatchEnded


@final
class ListWatch:
    """Decides the next step of one informer.

    Remembers what went wrong in a row, and that the server does not list as a stream: until
    `stream_again`, which is called when there is reason to think that it does now.
    """

    __slots__ = ("_expired", "_failures", "_reason", "paged")

    def __init__(self, *, paged: bool = False) -> None:
        self.paged: bool = paged
        self._expired = False
        self._failures = 0
        self._reason = ListReason.FIRST

    def start(self) -> Step:
        """Return the first step."""
        return self._list(ListReason.FIRST)

    def stream_again(self) -> None:
        """Ask for streams again: a refusal of the past may not hold any more."""
        self.paged = False

    def after(self, outcome: Outcome) -> Step:
        """Return the step that follows `outcome`."""
        match outcome:
            case Listed(resource_version):
                self._failures = 0
                return Watch(resource_version)
            case ListFailed(error, paged=True):
                return self._after_failed_list(error, ReadVerb.LIST)
            case ListFailed(error):
                return self._after_failed_stream(error)
            case Streamed(end):
                self._failures = 0
                return self._after_watch(end)
            case WatchEnded():
                return self._after_watch(outcome)

    def _after_failed_stream(self, error: Exception) -> Step:
        match error:
            case BadRequest() | Invalid() | MethodNotAllowed() | UnmarkedStreamError():
                self.paged = True
                return List(self._reason, paged=True)
            case Gone() | Forbidden() | Unauthorized() | TooManyRequests() | NotFound():
                return self._after_failed_list(error, ReadVerb.WATCH)
            case _:
                # Something on the way may cut long streams and let pages through.
                self._failures += 1
                paged = self.paged or self._failures >= _FAILURES_BEFORE_RELIST
                return _pause(List(ListReason.FAILED, paged), ReadVerb.WATCH, error)

    def _after_failed_list(self, error: Exception, verb: ReadVerb) -> Step:
        if isinstance(error, Gone):
            return self._list_once_more(ListReason.EXPIRED, error)
        if isinstance(error, InconsistentListError):
            return self._list_once_more(ListReason.INCONSISTENT, error)
        return _pause(self._list(ListReason.FAILED), verb, error)

    def _after_watch(self, ended: WatchEnded) -> Step:
        lasted = ended.lasted >= _VERY_SHORT
        if lasted and (ended.progressed or ended.error is None):
            self._expired = False
        if ended.progressed:
            self._failures = 0
        resume = Watch(ended.resource_version)
        if ended.error is None and (ended.progressed or lasted):
            return resume
        return self._after_failed_watch(resume, ended.error)

    def _after_failed_watch(self, resume: Watch, error: Exception | None) -> Step:
        match error:
            case Gone():
                return self._list_once_more(ListReason.EXPIRED, error)
            case SilentStreamError():
                # No delay: it took long enough to notice.
                return self._resume_or_list(resume, ListReason.SILENT)
            case ValueError():
                return _pause(self._list(ListReason.MALFORMED), ReadVerb.WATCH, error)
            case BadRequest() | Invalid() | NotFound() | MethodNotAllowed() | NoKindMatch():
                return _pause(self._list(ListReason.FAILED), ReadVerb.WATCH, error)
            case Forbidden() | Unauthorized() | TooManyRequests() | TransportError():
                # While a server restarts or suffers, its clients must not all list everything:
                # if the resourceVersion is too old by then, the server will say so.
                return _pause(resume, ReadVerb.WATCH, error)
            case None:
                then = self._resume_or_list(resume, ListReason.FAILED)
                return _pause(then, ReadVerb.WATCH, "the server closed the stream at once")
            case _:
                then = self._resume_or_list(resume, ListReason.FAILED)
                return _pause(then, ReadVerb.WATCH, error)

    def _resume_or_list(self, resume: Watch, reason: ListReason) -> List | Watch:
        self._failures += 1
        return self._list(reason) if self._failures >= _FAILURES_BEFORE_RELIST else resume

    def _list_once_more(self, reason: ListReason, error: Exception) -> Step:
        """List at once the first time, after a pause while it does not help."""
        if self._expired:
            return _pause(self._list(reason), ReadVerb.LIST, error)
        self._expired = True
        return self._list(reason)

    def _list(self, reason: ListReason) -> List:
        self._reason = reason
        return List(reason, self.paged)


def _pause(then: List | Watch, verb: ReadVerb, error: Exception | str) -> Pause:
    refused = isinstance(error, (Forbidden, Unauthorized))
    asked = error.retry_after if isinstance(error, ApiStatusError) else None
    return Pause(
        then,
        InformerState.FORBIDDEN if refused else InformerState.DEGRADED,
        f"{verb.value}: {str(error) or type(error).__name__}",
        verb,
        min(asked or timedelta(0), _LONGEST_PAUSE),
    )
