"""What the command line asks of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Options:
    """How many objects `sync` lists, how often everything is measured, and on which cluster.

    Without `kubeconfig`, a control plane is started and thrown away afterwards.
    """

    objects: int = 20_000
    rounds: int = 3
    kubeconfig: Path | None = None
