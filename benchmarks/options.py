"""What the command line asks of the benchmarks."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from benchmarks.programs import ALL_PEERS, Kind

_FULL_OBJECTS: Final = 20_000


@final
@dataclass(frozen=True, slots=True)
class Options:
    """How large everything is, how often it is measured, beside whom, and on which cluster.

    `objects` is how many `sync` lists; all other sizes keep their proportion to it. Without
    `kubeconfig`, a control plane is started and thrown away afterwards.
    """

    objects: int = _FULL_OBJECTS
    rounds: int = 5
    kubeconfig: Path | None = None
    peers: Collection[Kind] = ALL_PEERS

    @property
    def full(self) -> bool:
        """Tell whether figures are wanted, and not only a proof that everything runs."""
        return self.objects >= _FULL_OBJECTS

    def scaled(self, full: int) -> int:
        """Return a size in proportion, at least 50: enough to see a mistake, too few to time."""
        return max(50, full * self.objects // _FULL_OBJECTS)

    def some_rounds(self, most: int) -> int:
        """Return the number of rounds, at most so many, for what takes long."""
        return min(self.rounds, most)
