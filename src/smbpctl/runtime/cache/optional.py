"""An informer for a kind that the cluster may lack: runs while the kind is served."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import ApiStatusError, TransportError
from smbpctl.runtime.informer import (
    AnyInformer,
    Form,
    Handler,
    HandlerRegistration,
    InformerState,
    Standing,
)
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.store import IndexFunction

_POLL = timedelta(seconds=10)

# A CRD that is deleted and made again, as upgrades do, is back within seconds.
_POLL_AFTER_LOSS = timedelta(seconds=1)
_POLL_GROWTH = 1.5


class ServedKinds(Protocol):
    """What tells whether a kind is served."""

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Return the preferred version that is served now, or None."""
        ...

    def changes(self) -> int:
        """Return how often what is served was seen to change."""
        ...


MakeInformer = Callable[[GroupVersionKind, Form], AnyInformer]


@final
class OptionalInformer:
    """Starts an informer when discovery shows the kind and ends it when the kind vanishes.

    Handlers and indexes outlive both: they are told of the kind's objects as created when it
    appears, and of each as deleted (final state unknown) when it vanishes or when another
    version takes over.

    Discovery alone does not end a running informer: its documents can be incomplete for a
    moment while the kind is served. It takes a stream that is down as well, or a second look.

    It looks every ten seconds; at once when its informer gets into trouble or `poke` is called;
    and more often for a while after the kind has vanished.
    """

    def __init__(
        self, kind: OptionalKind, kinds: ServedKinds, make: MakeInformer, *, clock: Clock
    ) -> None:
        self.kind = kind
        self._kinds = kinds
        self._make = make
        self._clock = clock
        self._form = Form.METADATA
        self._handlers: list[Handler] = []
        self._indexes: dict[str, IndexFunction] = {}
        self._informer: AnyInformer | None = None
        self._life: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._absent = False
        self._since: datetime | None = None
        self._look = asyncio.Event()
        self._pause = _POLL
        self._missed = 0
        self._reason = ""
        self._log = structlog.get_logger().bind(kind=str(kind.group_kind))

    @property
    def informer(self) -> AnyInformer | None:
        """Return the informer of the version that is served, synced or not."""
        return self._informer

    @property
    def gvk(self) -> GroupVersionKind | None:
        """Return the version that can be read from the cache now; None while there is none."""
        informer = self._informer
        return informer.gvk if informer is not None and informer.synced else None

    @property
    def standing(self) -> Standing:
        """Return how the informer stands; ABSENT when discovery does not show the kind."""
        if self._informer is not None:
            return self._informer.standing
        state = InformerState.ABSENT if self._absent else InformerState.INIT
        return Standing(state, self._reason, since=self._since)

    @property
    def state(self) -> InformerState:
        """Return the informer's state, or ABSENT when discovery does not show the kind."""
        return self.standing.state

    @property
    def reason(self) -> str:
        """Return what last went wrong; empty while all is well."""
        return self.standing.reason

    @property
    def synced(self) -> bool:
        """Tell whether the kind was found absent or its first list was complete.

        Stays true when the kind appears later: a CRD that is installed makes nobody unready.
        """
        return self._settled.is_set()

    async def wait_synced(self) -> None:
        """Return when synced; needs `run` to be running."""
        await self._settled.wait()

    def object_count(self) -> int:
        """Return how many objects are known."""
        return 0 if self._informer is None else self._informer.object_count()

    def add_handler(self, fn: Handler) -> HandlerRegistration:
        """Call `fn` for every event from now on, and with `Created` for all that is known."""
        self._handlers.append(fn)
        if self._informer is None:
            return HandlerRegistration(self)
        return HandlerRegistration(self, self._informer.add_handler(fn))

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add or replace an index over all objects of the kind, whenever it is served."""
        self._indexes[name] = function
        if self._informer is not None:
            self._informer.add_index(name, function)

    def raise_form(self, form: Form) -> None:
        """Keep at least `form` of each object, from now on or as soon as it is there."""
        if form is Form.FULL:
            self._form = form
            if self._informer is not None:
                self._informer.raise_form(form)

    def poke(self) -> None:
        """Look now, and often for a while: something hints that what is served has changed."""
        self._pause = _POLL_AFTER_LOSS
        self._look.set()

    async def run(self) -> None:
        """Follow what is served until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    served = await self._kinds.served(self.kind)
                except (ApiStatusError, TransportError) as error:
                    self._reason = f"discovery: {error}"
                else:
                    self._reason = ""
                    await self._follow(served, tasks)
                await self._until_next_look()

    async def _until_next_look(self) -> None:
        timer = self._clock.call_later(self._pause, self._look.set)
        self._pause = min(_POLL, self._pause * _POLL_GROWTH)
        try:
            await self._look.wait()
        finally:
            timer.cancel()
        self._look.clear()

    def _noticed(self, standing: Standing) -> None:
        if standing.state is InformerState.DEGRADED:
            self._look.set()

    async def _follow(self, served: GroupVersionKind | None, tasks: asyncio.TaskGroup) -> None:
        informer = self._informer
        if informer is not None and not self._outlived(informer, served):
            return
        if informer is not None:
            await self._end(informer)
        if self._absent is not (served is None):
            self._since = self._clock.now()
        self._absent = served is None
        if served is None:
            self._settled.set()
        else:
            self._begin(served, tasks)

    def _outlived(self, informer: AnyInformer, served: GroupVersionKind | None) -> bool:
        self._missed = self._missed + 1 if served is None else 0
        if served is None:
            return self._missed >= 2 or informer.state is not InformerState.STREAMING
        return served != informer.gvk

    def _begin(self, gvk: GroupVersionKind, tasks: asyncio.TaskGroup) -> None:
        self._log.info("optional kind appeared", version=gvk.version)
        informer = self._make(gvk, self._form)
        informer.on_standing(self._noticed)
        for name, function in self._indexes.items():
            informer.add_index(name, function)
        for handler in self._handlers:
            informer.add_handler(handler)
        self._informer = informer
        self._life = tasks.create_task(self._live(informer))

    async def _live(self, informer: AnyInformer) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informer.run())
            await informer.wait_synced()
            self._settled.set()

    async def _end(self, informer: AnyInformer) -> None:
        self._log.info("optional kind vanished", version=informer.gvk.version)
        life, self._life, self._informer = self._life, None, None
        self._missed = 0
        self._pause = _POLL_AFTER_LOSS
        if life is not None:
            life.cancel()
            await asyncio.wait([life])
        await informer.forget()
