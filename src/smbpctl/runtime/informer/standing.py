"""How an informer stands with its server, as data: for health, metrics and conditions."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from smbpctl.runtime.informer.listwatch import InformerState, Pause, ReadVerb


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """What an informer is doing, and what last went wrong.

    `reason` and `verb` stay until streaming shows that all is well again; where the state is
    FORBIDDEN, `verb` is the permission that is missing. `since` is when the trouble began, or,
    without trouble, when the state did; None before the start.
    """

    state: InformerState = InformerState.INIT
    reason: str = ""
    verb: ReadVerb | None = None
    since: datetime | None = None

    def after(self, step: Pause | InformerState, now: datetime) -> "Standing":
        """Return how it stands once `step` is entered."""
        if isinstance(step, Pause):
            since = self.since if self.reason else now
            return Standing(step.state, step.reason, step.verb, since)
        if step is self.state:
            return self
        if self.reason and step is not InformerState.STREAMING:
            return Standing(step, self.reason, self.verb, self.since)
        return Standing(step, since=now)

    def __str__(self) -> str:
        state = self.state.value
        if self.state is InformerState.FORBIDDEN and self.verb is not None:
            state = f"{state} to {self.verb.value}"
        return f"{state} ({self.reason})" if self.reason else state
