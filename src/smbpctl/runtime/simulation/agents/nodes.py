"""Nodes that exist on paper: registered, Ready, and kept so by heartbeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import ApiStatusError, TransportError
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, uid_of
from smbpctl.runtime.simulation.agents.pod_status import condition, conditions_of, covers

NODE: Final = GroupVersionKind("", "v1", "Node")
FIELD_OWNER: Final = "node-agent"

_LEASES: Final = "kube-node-lease"
_PRESSURES: Final = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_RETRY: Final = timedelta(seconds=1)

_log = structlog.get_logger(__name__)


@final
@dataclass(frozen=True, slots=True)
class Machine:
    """What a node claims to be. `address` is told as its internal IP and answers to nobody."""

    name: str
    address: str
    zone: str
    cpu: str = "32"
    memory: str = "128Gi"
    pods: str = "250"
    storage: str = "500Gi"


def machines(count: int, *, prefix: str, zones: Sequence[str]) -> tuple[Machine, ...]:
    """Return `count` nodes named `<prefix>-0` and so on, spread over the zones in turn."""
    if not 1 <= count <= 250:
        raise ValueError(f"the number of nodes must be between 1 and 250, not {count}")
    return tuple(
        Machine(
            name=f"{prefix}-{index}",
            address=f"10.240.0.{index + 1}",
            zone=zones[index % len(zones)],
        )
        for index in range(count)
    )


def node_manifest(machine: Machine) -> Manifest:
    """Return the Node that a machine registers as, without its status."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": machine.name,
        "node.kubernetes.io/instance-type": "simulated",
        "topology.kubernetes.io/region": "simulated",
        "topology.kubernetes.io/zone": machine.zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": machine.name, "labels": labels},
    }


def node_status(machine: Machine, node: Manifest, now: datetime, version: str) -> Manifest:
    """Return the status of a healthy node that runs the Kubernetes `version`."""
    old = conditions_of(node)
    room = {
        "cpu": machine.cpu,
        "memory": machine.memory,
        "pods": machine.pods,
        "ephemeral-storage": machine.storage,
    }
    ready = {"reason": "KubeletReady", "message": "simulated node is ready"}
    return {
        "capacity": room,
        "allocatable": room,
        "addresses": [
            {"type": "InternalIP", "address": machine.address},
            {"type": "Hostname", "address": machine.name},
        ],
        "conditions": [
            *(
                condition(kind, False, old.get(kind), now, reason=reason, message=message)
                for kind, (reason, message) in _PRESSURES.items()
            ),
            {**condition("Ready", True, old.get("Ready"), now), **ready},
        ],
        "nodeInfo": _node_info(machine, version),
    }


def lease_manifest(machine: Machine, node: Manifest, now: datetime, lasts: timedelta) -> Manifest:
    """Return the Lease by which a node says that it lives; owned by the node, gone with it."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": machine.name,
            "namespace": _LEASES,
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "name": machine.name,
                    "uid": uid_of(node),
                }
            ],
        },
        "spec": {
            "holderIdentity": machine.name,
            "leaseDurationSeconds": int(lasts.total_seconds()),
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def _node_info(machine: Machine, version: str) -> Manifest:
    return {
        "architecture": "amd64",
        "bootID": machine.name,
        "containerRuntimeVersion": "simulated://1.0.0",
        "kernelVersion": "simulated",
        "kubeProxyVersion": version,
        "kubeletVersion": version,
        "machineID": machine.name,
        "operatingSystem": "linux",
        "osImage": "simulated",
        "systemUUID": machine.name,
    }


class NodeClient(Protocol):
    """The calls that keep nodes alive: satisfied by `client.Client`."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return an object, None when there is none."""
        ...

    async def apply(
        self, manifest: Manifest, *, field_owner: str, force: bool = False, subresource: str = ""
    ) -> Manifest:
        """Apply the fields of a manifest."""
        ...


@final
class Nodes:
    """Registers machines as nodes once, then renews their leases until cancelled.

    A machine may be switched off and on. Like a kubelet, it does not register again a node that
    somebody deleted: that machine is off. A node that was marked as unreachable while the
    heartbeats were away is reported as Ready again.
    """

    def __init__(
        self, machines: Sequence[Machine], *, client: NodeClient, clock: Clock, heartbeat: timedelta
    ) -> None:
        self._machines = {machine.name: machine for machine in machines}
        self._running = dict(self._machines)
        self._client = client
        self._clock = clock
        self._heartbeat = heartbeat
        self._registered: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all machines, running or not."""
        return tuple(self._machines)

    def address_of(self, name: str) -> str | None:
        """Return the address of a running machine; None when it is off or not ours."""
        machine = self._running.get(name)
        return None if machine is None else machine.address

    def switch_off(self, name: str) -> None:
        """Let a machine lose its power: its heartbeats end without a word."""
        del self._running[name]

    def switch_on(self, name: str) -> None:
        """Let a machine start again: it registers and beats from the next heartbeat on."""
        self._registered.discard(name)
        self._running[name] = self._machines[name]

    async def run(self, version: str) -> None:
        """Register, then beat until cancelled; what fails is tried again soon.

        `version` is the Kubernetes version that the nodes claim to run.
        """
        while True:
            beats = [await self._try_beat(each, version) for each in list(self._running.values())]
            await self._clock.sleep(self._heartbeat if all(beats) else _RETRY)

    async def _try_beat(self, machine: Machine, version: str) -> bool:
        try:
            await self._beat(machine, version)
        except (ApiStatusError, TransportError) as error:
            _log.warning("node heartbeat failed", node=machine.name, error=str(error))
            return False
        return True

    async def _beat(self, machine: Machine, version: str) -> None:
        """Renew a node's lease and mend its status, unless the node was deleted."""
        node = await self._node(machine)
        if node is None:
            _log.info("node was deleted, its machine is off", node=machine.name)
            self._running.pop(machine.name, None)
            return
        now = self._clock.now()
        status = node_status(machine, node, now, version)
        if not covers(node.get("status"), status):
            identity = {"name": machine.name, "uid": uid_of(node)}
            await self._apply(
                {"apiVersion": "v1", "kind": "Node", "metadata": identity, "status": status},
                subresource="status",
            )
        await self._apply(lease_manifest(machine, node, now, self._heartbeat * 4))

    async def _node(self, machine: Machine) -> Manifest | None:
        if machine.name in self._registered:
            return await self._client.get(NODE, ObjectKey("", machine.name))
        node = await self._apply(node_manifest(machine))
        self._registered.add(machine.name)
        return node

    async def _apply(self, manifest: Manifest, subresource: str = "") -> Manifest:
        return await self._client.apply(
            manifest, field_owner=FIELD_OWNER, force=True, subresource=subresource
        )
