"""Fills a second store beside the one that is read, and tells when it has caught up."""

from collections.abc import Callable
from typing import Any, final

from smbpctl.runtime.event import Event
from smbpctl.runtime.informer.listwatch import InformerState, ListReason, Pause
from smbpctl.runtime.store import Store


@final
class Raising:
    """Satisfies `Watcher`: tells nobody of events, and calls `done` once, when it is time.

    It is when the second store holds a complete list and knows every change that the first one
    does: who reads on in it never goes back in time.
    """

    def __init__(self, store: Store, first: Callable[[], Store], log: Any) -> None:
        self.done: Callable[[], None] = lambda: None
        self._store = store
        self._first = first
        self._log = log
        self._listed = False

    def entered(self, step: Pause | InformerState) -> None:
        """Log what goes wrong: the state that is shown is that of the store that is read."""
        if isinstance(step, Pause):
            self._log.warning("raising the form failed", reason=step.reason, verb=step.verb.value)

    def heard(self) -> None:
        """Do nothing: the age shown is that of the store that is read."""

    def listing(self, reason: ListReason) -> None:
        """Log that everything is asked for once more, in the stronger form."""
        self._log.info("raising the form", reason=reason.value)

    def listed(self) -> None:
        """Note that the list is complete."""
        self._listed = True
        self.tell([])

    def progressed(self) -> None:
        """Do nothing: nobody reads this store yet."""

    def tell(self, events: list[Event]) -> None:
        """See whether the store has caught up."""
        if self._listed and not self._store.behind(self._first()):
            self._listed = False
            self.done()
