"""What a subject is given, and what it says it did."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from benchmarks.access import Access


@final
@dataclass(frozen=True, slots=True)
class Task:
    """How much to do, and where the API server is, for those that need one."""

    amount: int
    access: Access | None = None

    def reach(self) -> Access:
        """Return how the API server is reached; raise ValueError when none was given."""
        if self.access is None:
            raise ValueError("this subject needs an API server")
        return self.access


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How much was done, and a digest of what came out, equal for equal results."""

    amount: int
    digest: str = ""


def outcome(seen: Iterable[tuple[str, str]]) -> Outcome:
    """Return the outcome of a subject that has seen objects of these names and versions."""
    lines = sorted(f"{name} {version}" for name, version in seen)
    return Outcome(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
