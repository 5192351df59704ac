"""What a member's process is at the moment: the source of its answers, and what is told to it."""

from dataclasses import dataclass, field
from typing import Final, final

from smbpctl.operand.contract import Component
from smbpctl.operand.members import ContractViolation, Topology
from smbpctl.sandbox.behaviour import Behaviour
from smbpctl.sandbox.member.container import Container, below

_CRASHES: Final = "/tmp/smbpctl-fake-member-crashes"  # the pod's own: pods.py mounts it writable


@final
@dataclass(slots=True)
class State:
    """Satisfies `answers.Member` from a container's mounts; the log's head is the process's own."""

    container: Container
    server_id: str
    log_head: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)

    @property
    def component(self) -> Component:
        """Return the component that the container runs."""
        return self.container.component

    @property
    def name(self) -> str:
        """Return the pod's name."""
        return self.container.pod

    @property
    def version(self) -> str:
        """Return the version that the image stands for."""
        return self.container.version

    async def topology(self) -> bytes:
        """Return the mounted document; raise LookupError when it cannot be read."""
        file = self.container.topology_file
        try:
            return file.read_bytes()
        except OSError as error:
            raise LookupError(f"{file}: {error.strerror}") from error

    async def unready(self) -> str:
        """Return why the member cannot serve: it finds no topology, or itself not in it."""
        try:
            topology = Topology.from_json(await self.topology())
        except (LookupError, ContractViolation) as error:
            return f"no topology: {error}"
        return "" if self.container.listed_in(topology) else f"the topology lacks {self.name}"

    def behave(self, behaviour: Behaviour) -> None:
        """Behave like that from now on; raise OSError when a crash cannot be remembered.

        All of it ends with the process, but for crashes: they outlive it, and end with the pod.
        """
        if behaviour.crashes:
            below(self.container.root, _CRASHES).touch()
        self.behaviour = behaviour


def crashes(container: Container) -> bool:
    """Tell whether a process of this pod was told to crash as often as it is started."""
    return below(container.root, _CRASHES).exists()
