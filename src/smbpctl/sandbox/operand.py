"""A fake operand: pods of the components answer HTTP as the contract says, or misbehave."""

import asyncio
import errno
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network
from typing import Final, Protocol, final

from aiohttp import web

from smbpctl.operand import contract
from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.operand.members import Backfill, ContractViolation, Topology
from smbpctl.runtime.clock import Random, system_random
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of, uid_of
from smbpctl.runtime.simulation.agents import Health, IdleWorkload, Workload
from smbpctl.runtime.simulation.agents.sections import section

CONFIG_MAP: Final = GroupVersionKind("", "v1", "ConfigMap")
CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")

_COMPONENT_LABEL: Final = "app.kubernetes.io/component"
LOOPBACK: Final = IPv4Network("127.64.0.0/10")
"""Where pods get their addresses from."""

# So many addresses in a row can only be taken when somebody listens on all of them.
_ATTEMPTS: Final = 64
# How long an answer may still take when its pod stops; what hangs is cut off then.
_SHUTDOWN_SECONDS: Final = 0.1


@final
@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a member differs from a healthy one; None means that it does not.

    `ready` fails the readiness probe, `hangs` answers nothing at all, `crashes` ends the process
    as often as it is started. The rest is what `/cluster_version` answers instead of the truth:
    a `ust` that stays where it is, a `backfill` that runs for ever or fails, wrong ids, or a
    `body` that is no report.
    """

    ready: bool = True
    hangs: bool = False
    crashes: bool = False
    ust: int | None = None
    backfill: Backfill | None = None
    server_id: str | None = None
    config_id: int | None = None
    next_config_id: int | None = None
    routing_config_id: int | None = None
    body: bytes | None = None


class TopologyReader(Protocol):
    """Where the mounted topology comes from: satisfied by `client.Client` and `cache.Cache`."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return an object, None when there is none."""
        ...


@final
@dataclass(slots=True)
class _Process:
    """A started pod of the operand, and where it listens."""

    pod: Manifest
    component: Component
    address: str
    runner: web.AppRunner
    server_id: str


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
        self.hanging = 0
        """How many requests wait for an answer that never comes."""
        self._topologies = topologies
        self._others = others or IdleWorkload()
        self._random = random or system_random()
        self._network = network
        self._processes: dict[str, _Process] = {}
        self._behaviours: list[tuple[str, Behaviour]] = []

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
        runner = web.AppRunner(
            self._application(uid_of(pod)), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await runner.setup()
        address = await self._listen(runner, COMPONENTS[component].port)
        server_id = await self._server_id(pod)
        self._processes[uid_of(pod)] = _Process(pod, component, address, runner, server_id)
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

    def _application(self, uid: str) -> web.Application:
        async def answer(request: web.Request) -> web.StreamResponse:
            process = self._processes.get(uid)
            if process is None:
                raise web.HTTPServiceUnavailable(text="not started")
            behaviour = self._behaviour(process.pod)
            if behaviour.hangs:
                await self._hang()
            return await self._answer(request.path, process, behaviour)

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        return application

    async def _hang(self) -> None:
        self.hanging += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1

    async def _answer(
        self, path: str, process: _Process, behaviour: Behaviour
    ) -> web.StreamResponse:
        match path:
            case contract.PATH_LIVE:
                return web.Response(text="ok")
            case contract.PATH_READY:
                if behaviour.ready:
                    return web.Response(text="ok")
                return web.Response(status=503, text="not ready")
            case contract.PATH_METRICS:
                return web.Response(text=self._metrics(process, behaviour))
            case contract.PATH_CLUSTER_VERSION:
                return await self._report(process, behaviour)
            case _:
                raise web.HTTPNotFound

    def _metrics(self, process: _Process, behaviour: Behaviour) -> str:
        lag = self.log_head - self._ust(behaviour)
        component = process.component.value.replace("-", "_")
        return (
            f"# TYPE hydra_{component}_up gauge\n"
            f"hydra_{component}_up 1\n"
            "# TYPE hydra_kafka_consumer_lag gauge\n"
            f'hydra_kafka_consumer_lag{{topic="transaction.log"}} {lag}\n'
        )

    async def _report(self, process: _Process, behaviour: Behaviour) -> web.StreamResponse:
        if behaviour.body is not None:
            return web.Response(body=behaviour.body, content_type="application/json")
        try:
            topology = await self._topology(process.pod)
        except (LookupError, ContractViolation) as error:
            return web.Response(status=503, text=f"no topology: {error}")
        answer = report_of(
            topology, behaviour, server_id=process.server_id, ust=self._ust(behaviour)
        )
        return web.json_response(answer)

    async def _server_id(self, pod: Manifest) -> str:
        """Return the identity of the pod's data: of its claim, or of the pod that has none."""
        for volume in pod["spec"].get("volumes") or ():
            if "persistentVolumeClaim" in volume:
                name = str(volume["persistentVolumeClaim"]["claimName"])
                claim = await self._topologies.get(CLAIM, ObjectKey(key_of(pod).namespace, name))
                return _identity(uid_of(claim or pod))
        return _identity(uid_of(pod))

    async def _topology(self, pod: Manifest) -> Topology:
        name = topology_of(pod)
        config_map = await self._topologies.get(CONFIG_MAP, ObjectKey(key_of(pod).namespace, name))
        if config_map is None:
            raise LookupError(f"ConfigMap {name} does not exist")
        return Topology.from_json(str(section(config_map, "data").get(contract.TOPOLOGY_FILE)))

    def _ust(self, behaviour: Behaviour) -> int:
        return self.log_head if behaviour.ust is None else behaviour.ust

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


def _identity(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


def report_of(
    topology: Topology, behaviour: Behaviour, *, server_id: str, ust: int
) -> dict[str, str | int | None]:
    """Return what a member with this topology answers: a healthy one routes with next at once."""
    following = topology.next
    backfill = behaviour.backfill or (Backfill.NONE if following is None else Backfill.DONE)
    complete = backfill in (Backfill.NONE, Backfill.DONE) and behaviour.ust is None
    routing = topology.current.id if following is None or not complete else following.id
    told = {
        "serverId": behaviour.server_id,
        "configId": behaviour.config_id,
        "nextConfigId": behaviour.next_config_id,
        "routingConfigId": behaviour.routing_config_id,
    }
    truth: dict[str, str | int | None] = {
        "serverId": server_id,
        "configId": topology.current.id,
        "nextConfigId": None if following is None else following.id,
        "routingConfigId": routing,
        "ust": ust,
        "backfill": backfill.value,
    }
    return truth | {name: value for name, value in told.items() if value is not None}
