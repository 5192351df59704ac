"""The configuration files of a node's programs."""

import json
from pathlib import Path
from typing import Any

from hack.cluster.plan import CLUSTER_DOMAIN, DNS_SERVICE, PAUSE_IMAGE, NodePlan

SOCKET = "/run/containerd/containerd.sock"

_CONTAINERD = """\
version = 3
root = "{root}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",  # would make /opt/containerd on the machine itself
  "io.containerd.nri.v1.nri",
]
[grpc]
  address = "{socket}"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE runc dies of a lower score: "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{programs}"]
  conf_dir = "{root}/cni"
"""


def containerd(root: Path, *, programs: Path, runc: str) -> str:
    """Return containerd's configuration, whose data lies below `root`."""
    return _CONTAINERD.format(
        root=root, socket=SOCKET, pause=PAUSE_IMAGE, runc=runc, programs=programs
    )


def pod_network(node: NodePlan, root: Path) -> str:
    """Return the CNI configuration: a bridge with addresses from the node's range."""
    address_pool = {
        "type": "host-local",
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": address_pool,
    }
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}, indent=2)


def kubelet(node: NodePlan, root: Path, *, client_ca: Path, cgroup: str) -> str:
    """Return the kubelet's configuration; JSON is YAML."""
    never = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")
    values: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        # Two kubelets that share a root end each other's pods.
        "cgroupRoot": f"/{cgroup}/{node.name}",
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_ca)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": "",
        "podLogsDir": f"{root}/pod-logs",
        # The nodes share the machine's disk and memory: what is free there is not theirs to judge.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": dict.fromkeys(never, "0%"),
        "nodeStatusUpdateFrequency": "2s",
        "serializeImagePulls": False,
    }
    return json.dumps(values, indent=2)
