"""What a subject is given, and what it says it did."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import final

from benchmarks.access import Access


@final
@dataclass(frozen=True, slots=True)
class Task:
    """What to do, in the terms that all programs understand, whatever their language.

    `amount` is how many operations to do, or how many objects there are. With `events`, these
    are waited for and measured once all objects are known; the object named `last` changes last.
    `stamped` events carry the moment they were sent at, which is compared with when they are
    reconciled. With `seconds`, doing nothing is measured for so long. `access` is where the API
    server is, for those that need one.
    """

    amount: int
    access: Access | None = None
    events: int = 0
    last: str = ""
    stamped: bool = False
    seconds: float = 0

    def reach(self) -> Access:
        """Return how the API server is reached; raise ValueError when none was given."""
        if self.access is None:
            raise ValueError("this subject needs an API server")
        return self.access

    def arguments(self) -> Iterator[str]:
        """Yield the task as options of a command line; those that say nothing are left out."""
        yield f"--amount={self.amount}"
        if self.access is not None:
            yield f"--server={self.access.server}"
            if self.access.folder is not None:
                yield f"--credentials={self.access.folder}"
        if self.events:
            yield f"--events={self.events}"
            yield f"--last={self.last}"
        if self.stamped:
            yield "--stamped=1"
        if self.seconds:
            yield f"--seconds={self.seconds}"


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How much was done, a digest of what came out, equal for equal results, and other figures."""

    amount: int
    digest: str = ""
    extras: Mapping[str, float] = field(default_factory=dict[str, float])


def outcome(seen: Iterable[tuple[str, str]]) -> Outcome:
    """Return the outcome of a subject that has seen objects of these names and versions."""
    lines = sorted(f"{name} {version}" for name, version in seen)
    return Outcome(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
