"""What runs inside a pod: the seam where a program of the embedder's plugs into the node agent."""

from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Network
from typing import Final, Protocol, final

from smbpctl.runtime.meta import Manifest, uid_of

_ADDRESSES: Final = IPv4Network("10.244.0.0/16")


class Health(Enum):
    """What a probe of a started pod finds."""

    READY = "ready"
    UNREADY = "unready"
    EXITED = "exited"


class Workload(Protocol):
    """The programs of all pods. Pods are told apart by UID; calls for one pod never overlap."""

    async def start(self, pod: Manifest) -> str:
        """Start the pod's containers and return the IP address that the pod gets.

        Called again for the same pod after its containers exited. An error is told as a crash.
        """
        ...

    async def health(self, pod: Manifest) -> Health:
        """Say how a started pod is; asked once per probe period. `EXITED` leads to a restart."""
        ...

    async def stop(self, pod: Manifest) -> None:
        """End the pod's containers and free what they hold; harmless when nothing runs.

        Cancelled when the pod's grace period is over: what SIGKILL is to a process.
        """


@final
class IdleWorkload:
    """Pods that do nothing: ready as soon as they are started, with an address nobody answers."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._free: list[str] = []
        self._fresh: Iterator[str] = (str(address) for address in _ADDRESSES.hosts())

    async def start(self, pod: Manifest) -> str:
        """Give the pod an address of its own, the same one when it is started again."""
        uid = uid_of(pod)
        if uid not in self._addresses:
            self._addresses[uid] = self._free.pop() if self._free else next(self._fresh)
        return self._addresses[uid]

    async def health(self, pod: Manifest) -> Health:
        """Say that a started pod is ready, and one that was stopped or never started is not."""
        return Health.READY if uid_of(pod) in self._addresses else Health.EXITED

    async def stop(self, pod: Manifest) -> None:
        """Take the address back."""
        address = self._addresses.pop(uid_of(pod), None)
        if address is not None:
            self._free.append(address)
