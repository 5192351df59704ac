"""Tells those who wait for a kind when its CustomResourceDefinition comes, changes or goes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.event import Event
from smbpctl.runtime.informer import AnyInformer, Form, InformerState, Standing
from smbpctl.runtime.meta import GroupVersionKind

CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")

_ASK_AGAIN = timedelta(hours=1)


@final
class CrdWatch:
    """Follows the metadata of all CRDs, and pokes by group.

    A hint, not a source of truth: what is served only discovery tells, some time after the CRD is
    there. Without permission to list and watch CRDs it gives up for an hour, and those who wait
    find out by asking discovery now and then.
    """

    def __init__(
        self, make: Callable[[GroupVersionKind, Form], AnyInformer], *, clock: Clock
    ) -> None:
        self._make = make
        self._clock = clock
        self._pokes: dict[str, list[Callable[[], None]]] = {}

    def add(self, group: str, poke: Callable[[], None]) -> None:
        """Call `poke` whenever something happens to a CRD of this API group."""
        self._pokes.setdefault(group, []).append(poke)

    async def run(self) -> None:
        """Watch until cancelled, while it is allowed."""
        while True:
            await self._until_forbidden()
            structlog.get_logger().info("custom resource definitions are not watched")
            await self._clock.sleep(_ASK_AGAIN)

    async def _until_forbidden(self) -> None:
        forbidden = asyncio.Event()

        def notice(standing: Standing) -> None:
            if standing.state is InformerState.FORBIDDEN:
                forbidden.set()

        informer = self._make(CRD, Form.METADATA)
        informer.add_handler(self._tell)
        informer.on_standing(notice)
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(informer.run())
            await forbidden.wait()
            life.cancel()

    def _tell(self, event: Event) -> None:
        # A CRD is named `<plural>.<group>`: this is enforced by the API server.
        group = event.object.meta.name.partition(".")[2]
        for poke in self._pokes.get(group, ()):
            poke()
