"""How a controller works: how many keys at once, for how long, and when that is too long."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import final

from smbpctl.runtime.controller.hotloop import HotLoopPolicy
from smbpctl.runtime.controller.watchdog import StuckPolicy


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """How a controller works.

    `workers` keys run at once. A run that lasts longer than `reconcile_timeout` is cancelled and
    retried; None lets it run for ever. `cache_sync_timeout` bounds the wait for the first lists.
    `stuck` says which runs are told of as stuck, and `hot_loops` which keys are slowed down
    because they repeat their own work; None switches either off. Raise ValueError when the
    numbers make no sense.
    """

    workers: int = 10
    reconcile_timeout: timedelta | None = None
    cache_sync_timeout: timedelta = timedelta(minutes=2)
    stuck: StuckPolicy | None = field(default_factory=StuckPolicy)
    hot_loops: HotLoopPolicy | None = field(default_factory=HotLoopPolicy)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"a controller needs at least one worker, not {self.workers}")
        if self.reconcile_timeout is not None and self.reconcile_timeout <= timedelta(0):
            raise ValueError(f"reconcile_timeout must be positive, not {self.reconcile_timeout}")
        if self.cache_sync_timeout <= timedelta(0):
            raise ValueError(f"cache_sync_timeout must be positive, not {self.cache_sync_timeout}")
