"""What a client asks before a write and tells after it: the fence, and the observer of writes."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol, final

from smbpctl.runtime.errors import ApiStatusError, TransportError
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey


class Verb(Enum):
    """What a write does."""

    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    APPLY = "apply"
    DELETE = "delete"
    DELETE_COLLECTION = "deletecollection"
    EVICT = "evict"


@final
@dataclass(frozen=True, slots=True)
class Write:
    """One mutating call on objects of a kind.

    `key` has no name where the server chooses it (`generateName`) or where a collection is
    deleted. `body` is what is sent; empty where nothing is.
    """

    verb: Verb
    gvk: GroupVersionKind
    key: ObjectKey
    subresource: str = ""
    body: bytes = b""

    def __str__(self) -> str:
        kind = f"{self.gvk.kind}/{self.subresource}" if self.subresource else self.gvk.kind
        return f"{self.verb.value} {kind} {self.key}"


class Fence(Protocol):
    """Tells whether this process may (still) write: satisfied by the leader elector."""

    def check(self) -> None:
        """Raise LeadershipLost when no write may begin now.

        Called with the connection in hand, directly before the first byte is sent.
        """

    def allowance(self) -> timedelta | None:
        """Return how long a write that begins now may last; None means: as long as it likes.

        Zero or less means that none may begin.
        """
        ...


class WriteObserver(Protocol):
    """Learns of every write of a client that is no dry run: satisfied by read-your-writes.

    Each write is told as `began` and then as exactly one of `answered` and `failed`, all in the
    task that made the call; `failed` also when that task was cancelled.
    """

    def began(self, write: Write, over_within: timedelta) -> None:
        """Take note of a write about to be sent, which is over after `over_within` at the latest.

        Whatever the answer, the server does not execute it later than that.
        """

    def answered(self, write: Write, body: bytes) -> None:
        """Take note of a success and of what the server answered."""

    def failed(self, write: Write, error: BaseException) -> None:
        """Take note of a failure; `outcome_unknown` tells what it says of the write."""


def outcome_unknown(error: BaseException) -> bool:
    """Tell whether a write that failed with `error` may have been executed all the same.

    That is so when the answer was lost, when the server failed or gave up in the middle (500 and
    504; a proxy's 502), and when the caller was cancelled while it waited.
    """
    match error:
        case TransportError():
            return error.sent
        case ApiStatusError():
            return error.code in {500, 502, 504}
        case asyncio.CancelledError():
            return True
        case _:
            return False
