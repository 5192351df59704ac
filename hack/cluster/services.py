"""What the control plane offers the nodes: names by DNS, and two kinds of storage."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster.plan import (
    CLUSTER_DOMAIN,
    CONTROL_PLANE_ADDRESS,
    DNS_SERVICE,
    Files,
    NodePlan,
    Plan,
)
from hack.cluster.programs import Program

Manifest = dict[str, Any]
STANDARD_CLASS = "standard"
LOCAL_VOLUME_SIZE = "10Gi"
_MANIFESTS = Path(__file__).with_name("manifests")
_HOSTNAME = "kubernetes.io/hostname"
_DNS_PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53))


def corefile(kubeconfig: Path) -> str:
    """Return the configuration of CoreDNS."""
    return (
        ".:53 {\n"
        "  errors\n"
        f"  kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{\n"
        f"    kubeconfig {kubeconfig}\n"
        "    ttl 1\n"
        "  }\n"
        "}\n"
    )


def dns_service() -> list[Manifest]:
    """Return the Service that pods ask, in front of the process on the control plane."""
    name, namespace = "kube-dns", "kube-system"
    ports = [{"name": n, "protocol": p, "port": number} for n, p, number in _DNS_PORTS]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [CONTROL_PLANE_ADDRESS], "conditions": {"ready": True}}],
            "ports": ports,
        },
    ]


def dns_answers() -> bool:
    """Tell whether the API server's own name is resolved."""
    name = b"".join(
        bytes([len(p)]) + p for p in b"kubernetes.default.svc.cluster.local".split(b".")
    )
    # RFC 1035, section 4.1: number 1, recursion desired, one question for an A record.
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(question, (CONTROL_PLANE_ADDRESS, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    # No error, and at least one answer.
    return answer[3] & 0x0F == 0 and answer[6:8] != b"\0\0"


def local_storage(plan: Plan) -> list[Manifest]:
    """Return the default class, which cannot expand, and its volumes.

    The folders behind them must exist. Volumes of this type obey fsGroup, unlike host paths.
    """
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STANDARD_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return [
        storage_class,
        *(
            _local_volume(plan.files, node, number)
            for node in plan.node_plans()
            for number in range(1, plan.local_volumes + 1)
        ),
    ]


def _local_volume(files: Files, node: NodePlan, number: int) -> Manifest:
    only_here = {"key": _HOSTNAME, "operator": "In", "values": [node.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{node.name}-{number}"},
        "spec": {
            "capacity": {"storage": LOCAL_VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STANDARD_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(files.local_volume(node.name, number))},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [only_here]}]}
            },
        },
    }


def make_local_folders(plan: Plan) -> None:
    """Make the folders of all local volumes."""
    for node in plan.node_plans():
        for number in range(1, plan.local_volumes + 1):
            plan.files.local_volume(node.name, number).mkdir(parents=True, exist_ok=True)


def expandable_storage() -> str:
    """Return the manifests of the class whose volumes really grow."""
    return (_MANIFESTS / "storage.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Inside:
    """The programs that run beside the control plane."""

    plan: Plan

    def programs(self) -> list[Program]:
        """Return DNS and, where they were built, the storage controllers."""
        files, kubeconfig = self.plan.files, self.plan.files.inner_kubeconfig
        configuration = files.root / "Corefile"
        configuration.write_text(corefile(kubeconfig), encoding="utf-8")
        wanted = {"coredns": ["-conf", str(configuration)], **self._storage()}
        return [self._program(name, flags) for name, flags in wanted.items()]

    def _storage(self) -> dict[str, list[str]]:
        if not (Path(self.plan.programs) / "smbpctl-volumes").exists():
            return {}
        address = "/run/volumes.sock"
        common = [f"--kubeconfig={self.plan.files.inner_kubeconfig}", f"--csi-address={address}"]
        return {
            "smbpctl-volumes": [
                "--mode=controller",
                f"--socket={address}",
                f"--data-dir={self.plan.files.expandable_volumes()}",
            ],
            "csi-provisioner": [
                *common,
                "--feature-gates=Topology=true",
                "--strict-topology",
            ],
            "csi-resizer": [*common],
        }

    def _program(self, name: str, flags: list[str]) -> Program:
        log = self.plan.files.logs / f"{name}.log"
        hold = self.plan.files.hold("control-plane", name)
        return Program(name, [str(Path(self.plan.programs) / name), *flags], log, hold)


def as_list(manifests: list[Manifest]) -> str:
    """Return manifests as one JSON document that kubectl reads."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
