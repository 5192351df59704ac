"""A fake operand: pods of the components answer HTTP as the contract says, or misbehave."""

import errno
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from ipaddress import IPv4Network
from typing import Final, Protocol, final

from aiohttp import web

from smbpctl.operand import contract
from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.runtime.clock import Random, system_random
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of, uid_of
from smbpctl.runtime.simulation.agents import Health, IdleWorkload, Workload
from smbpctl.runtime.simulation.agents.sections import section
from smbpctl.sandbox.answers import Answers, report_of
from smbpctl.sandbox.behaviour import Behaviour
from smbpctl.sandbox.identity import identity_of

__all__ = [
    "Behaviour",
    "FakeOperand",
    "TopologyReader",
    "component_of",
    "report_of",
    "topology_of",
]

CONFIG_MAP: Final = GroupVersionKind("", "v1", "ConfigMap")
CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")

_COMPONENT_LABEL: Final = "app.kubernetes.io/component"
LOOPBACK: Final = IPv4Network("127.64.0.0/10")
"""Where pods get their addresses from."""

# So many addresses in a row can only be taken when somebody listens on all of them.
_ATTEMPTS: Final = 64
# How long an answer may still take when its pod stops; what hangs is cut off then.
_SHUTDOWN_SECONDS: Final = 0.1


class TopologyReader(Protocol):
    """Where the mounted topology comes from: satisfied by `client.Client` and `cache.Cache`."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return an object, None when there is none."""
        ...


@final
@dataclass(frozen=True, slots=True)
class _Member:
    """Satisfies `answers.Member` from a pod of a control plane, and from what all pods share."""

    name: str
    component: Component
    server_id: str
    log: Callable[[], int]
    told: Callable[[], Behaviour]
    topology: Callable[[], Awaitable[str]]
    version: str = ""

    @property
    def log_head(self) -> int:
        """Return how far the one log of all members is."""
        return self.log()

    @property
    def behaviour(self) -> Behaviour:
        """Return how the pod was told to behave."""
        return self.told()

    async def unready(self) -> str:
        """Return nothing: what the node agent takes for ready depends on the behaviour alone."""
        return ""


@final
@dataclass(slots=True)
class _Process:
    """A started pod of the operand, and where it listens."""

    pod: Manifest
    component: Component
    address: str
    runner: web.AppRunner
    answers: Answers


@final
class FakeOperand:
    """The workload of the operand's pods: each listens on a loopback address of its own.

    A pod belongs to the operand when its component label and a container name are those of the
    contract; any other pod is left to `others`. Members answer `/health/live`, `/health/ready`,
    `/metrics` and `/cluster_version`; the topology is read through the API at each answer, from
    the ConfigMap that the pod mounts. All members share one transaction log and are as far as
    it is, unless told otherwise. `serverId` follows the claim: a fresh volume is a new server.

    Linux only: it needs all of 127.0.0.0/8 on the loopback device.
    """

    def __init__(
        self,
        topologies: TopologyReader,
        *,
        others: Workload | None = None,
        random: Random | None = None,
        network: IPv4Network = LOOPBACK,
    ) -> None:
        self.log_head = 0
        """The offset of the newest transaction."""
        self._topologies = topologies
        self._others = others or IdleWorkload()
        self._random = random or system_random()
        self._network = network
        self._processes: dict[str, _Process] = {}
        self._behaviours: list[tuple[str, Behaviour]] = []

    @property
    def hanging(self) -> int:
        """Return how many requests wait for an answer that never comes."""
        return sum(process.answers.hanging for process in self._processes.values())

    def behave(self, pods: str, behaviour: Behaviour) -> None:
        """Have the pods whose `namespace/name` matches the shell pattern behave like that.

        Of several patterns that match a pod, the one told last counts.
        """
        self._behaviours.append((pods, behaviour))

    def behave_well(self) -> None:
        """Have every pod be healthy and truthful again."""
        self._behaviours.clear()

    def commit(self, transactions: int = 1) -> None:
        """Write to the transaction log; members that are not held back follow at once."""
        self.log_head += transactions

    def endpoints(self) -> Mapping[ObjectKey, str]:
        """Return `address:port` of every pod of the operand that runs."""
        return {
            key_of(process.pod): f"{process.address}:{COMPONENTS[process.component].port}"
            for process in self._processes.values()
        }

    async def start(self, pod: Manifest) -> str:
        """Start to listen and return the address; raise OSError when nothing is free."""
        component = component_of(pod)
        if component is None:
            return await self._others.start(pod)
        await self.stop(pod)
        answers = Answers(await self._member(pod, component))
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answers.handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        address = await self._listen(runner, COMPONENTS[component].port)
        self._processes[uid_of(pod)] = _Process(pod, component, address, runner, answers)
        return address

    async def health(self, pod: Manifest) -> Health:
        """Say what the probes of the contract would find."""
        if component_of(pod) is None:
            return await self._others.health(pod)
        behaviour = self._behaviour(pod)
        if uid_of(pod) not in self._processes or behaviour.crashes:
            return Health.EXITED
        return Health.READY if behaviour.ready and not behaviour.hangs else Health.UNREADY

    async def stop(self, pod: Manifest) -> None:
        """Stop listening and break what still hangs."""
        if component_of(pod) is None:
            await self._others.stop(pod)
            return
        process = self._processes.pop(uid_of(pod), None)
        if process is not None:
            await process.runner.cleanup()

    async def close(self) -> None:
        """Stop every pod of the operand; harmless when repeated."""
        for process in list(self._processes.values()):
            await self.stop(process.pod)

    async def _listen(self, runner: web.AppRunner, port: int) -> str:
        last: OSError | None = None
        for _, address in zip(range(_ATTEMPTS), self._addresses(), strict=False):
            try:
                await web.TCPSite(runner, address, port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                last = error
            else:
                return address
        raise OSError(errno.EADDRINUSE, f"no loopback address has port {port} free") from last

    def _addresses(self) -> Iterator[str]:
        # From anywhere: sandboxes that run side by side should not try the same ones.
        while True:
            host = 1 + self._random.getrandbits(32) % (self._network.num_addresses - 2)
            yield str(self._network[host])

    async def _member(self, pod: Manifest, component: Component) -> _Member:
        return _Member(
            key_of(pod).name,
            component,
            await self._server_id(pod),
            log=lambda: self.log_head,
            told=partial(self._behaviour, pod),
            topology=partial(self._topology, pod),
        )

    async def _server_id(self, pod: Manifest) -> str:
        """Return the identity of the pod's data: of its claim, or of the pod that has none."""
        for volume in pod["spec"].get("volumes") or ():
            if "persistentVolumeClaim" in volume:
                name = str(volume["persistentVolumeClaim"]["claimName"])
                claim = await self._topologies.get(CLAIM, ObjectKey(key_of(pod).namespace, name))
                return identity_of(uid_of(claim or pod))
        return identity_of(uid_of(pod))

    async def _topology(self, pod: Manifest) -> str:
        name = topology_of(pod)
        config_map = await self._topologies.get(CONFIG_MAP, ObjectKey(key_of(pod).namespace, name))
        if config_map is None:
            raise LookupError(f"ConfigMap {name} does not exist")
        return str(section(config_map, "data").get(contract.TOPOLOGY_FILE))

    def _behaviour(self, pod: Manifest) -> Behaviour:
        key = str(key_of(pod))
        matching = (each for pods, each in reversed(self._behaviours) if fnmatchcase(key, pods))
        return next(matching, Behaviour())


def component_of(pod: Manifest) -> Component | None:
    """Return the component that a pod is one of, None when it is not of the operand."""
    label = section(pod, "metadata", "labels").get(_COMPONENT_LABEL)
    names = {container["name"] for container in pod["spec"]["containers"]}
    for component, operand in COMPONENTS.items():
        if component.value == label and operand.container in names:
            return component
    return None


def topology_of(pod: Manifest) -> str:
    """Return the ConfigMap that the pod mounts as its topology; raise LookupError without one."""
    mounts = {
        mount["name"]
        for container in pod["spec"]["containers"]
        for mount in container.get("volumeMounts") or ()
        if mount["mountPath"] == contract.DIR_TOPOLOGY
    }
    for volume in pod["spec"].get("volumes") or ():
        if volume["name"] in mounts and "configMap" in volume:
            return str(volume["configMap"]["name"])
    raise LookupError(f"nothing is mounted at {contract.DIR_TOPOLOGY}")
