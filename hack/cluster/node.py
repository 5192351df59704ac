"""One node, from inside its namespaces: mounts, network, then containerd, kubelet, kube-proxy.

Run as `python -m hack.cluster.node FOLDER NUMBER` below `unshare`; a line on standard input says
that the network cable is there.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster import network, node_files
from hack.cluster.plan import POD_NETWORK, Files, NodePlan, Plan
from hack.cluster.programs import Program

# The kubelet sets these for the whole machine. Here it finds files of its own in their place.
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Where the programs write without being asked: sockets and links to logs.
_OWN_FOLDERS = ("/run", "/var/log")
# The CNI library keeps results in /var/lib/cni, which the machine need not have.
_LAYERED_FOLDER = "/var/lib"
KUBELET = Path("/var/lib/kubelet")
_TEND_SECONDS = 0.1
_RUNTIME_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Node:
    """What a node's process needs to know."""

    plan: Plan
    node: NodePlan

    @property
    def files(self) -> Files:
        """Where the cluster's files lie."""
        return self.plan.files

    @property
    def root(self) -> Path:
        """The node's own folder."""
        return self.files.node(self.node.name)

    def program(self, name: str) -> str:
        """Return the path of one of the built programs."""
        return str(Path(self.plan.programs) / name)

    def log(self, name: str) -> Path:
        """Return the log file of one of its programs."""
        return self.files.logs / f"{self.node.name}-{name}.log"


def mount(*arguments: str) -> None:
    """Run `mount`."""
    subprocess.run(["mount", *arguments], check=True)


def own_mounts(node: Node) -> None:
    """Make the mount tree the node's own. The order matters."""
    kept = node.root / "cgroup"
    kept.mkdir(exist_ok=True)
    # A /sys of this network namespace, and the control groups over it again.
    mount("--rbind", "/sys/fs/cgroup", str(kept))
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", str(kept), "/sys/fs/cgroup")
    subprocess.run(["umount", "--lazy", str(kept)], check=True)
    for name, value in _SYSCTLS.items():
        target = Path("/proc/sys") / name
        if target.exists():
            source = node.root / "sysctl" / name.replace("/", "_")
            source.parent.mkdir(exist_ok=True)
            source.write_text(f"{value}\n", encoding="ascii")
            mount("--bind", str(source), str(target))
    for covered in _OWN_FOLDERS:
        mount("-t", "tmpfs", "tmpfs", covered)
    upper, work = Path("/run/var-lib/upper"), Path("/run/var-lib/work")
    for layer in (upper, work):
        layer.mkdir(parents=True)
    layers = f"lowerdir={_LAYERED_FOLDER},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "overlay", "-o", layers, _LAYERED_FOLDER)
    # Its usual place: sockets below the cluster's own folder could have names that are too long.
    for folder in (node.root / "kubelet", KUBELET):
        folder.mkdir(exist_ok=True)
    mount("--bind", str(node.root / "kubelet"), str(KUBELET))
    # Only now: in a shared tree the umount above would reach further.
    mount("--make-rshared", "/")


def write_files(node: Node) -> None:
    """Write the programs' configurations."""
    (node.root / "cni").mkdir(exist_ok=True)
    runc = shutil.which("runc") or "runc"
    texts = {
        "containerd.toml": node_files.containerd(
            node.root, programs=Path(node.plan.programs), runc=runc
        ),
        "cni/10-pods.conflist": node_files.pod_network(node.node, node.root),
        "kubelet.yaml": node_files.kubelet(
            node.node,
            node.root,
            client_ca=node.files.control_plane / "pki" / "ca.crt",
            cgroup=node.plan.cgroup,
        ),
    }
    for name, text in texts.items():
        (node.root / name).write_text(text, encoding="utf-8")


def ctr(node: Node, *arguments: str) -> list[str]:
    """Return a command of containerd's own client."""
    return [
        node.program("ctr"),
        "--address",
        node_files.SOCKET,
        "--namespace",
        "k8s.io",
        *arguments,
    ]


def import_images(node: Node) -> None:
    """Load every image; what was loaded before costs little."""
    deadline = time.monotonic() + _RUNTIME_SECONDS
    while subprocess.run(ctr(node, "version"), capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"containerd does not answer after {_RUNTIME_SECONDS} s")
        time.sleep(0.05)
    for image in node.plan.images:
        with node.log("images").open("ab") as log:
            command = ctr(node, "images", "import", "--local", image)
            subprocess.run(command, stdout=log, stderr=log, check=True)


def wait_for_credentials(node: Node) -> None:
    """Wait until the API server is ready, which is when the kubelet's credentials appear."""
    while not node.files.node_kubeconfig(node.node.name).exists():
        time.sleep(0.05)


def runtime(node: Node) -> Program:
    """Return containerd."""
    command = [node.program("containerd"), "--config", str(node.root / "containerd.toml")]
    hold = node.files.hold(node.node.name, "containerd")
    return Program("containerd", command, node.log("containerd"), hold)


def programs(node: Node) -> list[Program]:
    """Return what runs on a node beside containerd."""
    name = node.node.name
    kubeconfig = str(node.files.node_kubeconfig(name))
    kubelet = [
        node.program("kubelet"),
        f"--config={node.root / 'kubelet.yaml'}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={KUBELET}",
        f"--cert-dir={node.root / 'kubelet-pki'}",
        f"--node-ip={node.node.address}",
        f"--hostname-override={name}",
        f"--node-labels=topology.kubernetes.io/zone={node.node.zone}",
    ]
    proxy = [
        node.program("kube-proxy"),
        f"--kubeconfig={node.root / 'proxy.kubeconfig'}",
        f"--hostname-override={name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={POD_NETWORK}",
        # These would be set for the whole machine.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--metrics-bind-address=127.0.0.1:10249",
        "--healthz-bind-address=127.0.0.1:10256",
    ]
    volumes = [
        node.program("smbpctl-volumes"),
        "--mode=node",
        f"--node={name}",
        f"--socket={KUBELET}/plugins/volumes.smbpctl.dev/csi.sock",
        f"--registration-dir={KUBELET}/plugins_registry",
        f"--data-dir={node.files.expandable_volumes(name)}",
    ]
    wanted = {"kubelet": kubelet, "kube-proxy": proxy}
    if Path(volumes[0]).exists():
        wanted["smbpctl-volumes"] = volumes
    return [
        Program(each, command, node.log(each), node.files.hold(name, each))
        for each, command in wanted.items()
    ]


def run(node: Node) -> None:
    """Bring the node up and keep it up; returns never."""
    socket.sethostname(node.node.name)
    own_mounts(node)
    write_files(node)
    sys.stdin.readline()
    network.set_up_node(node.node, node.plan.node_plans())
    containerd = runtime(node)
    containerd.tend()
    import_images(node)
    wait_for_credentials(node)
    kept = [containerd, *programs(node)]
    while True:
        for program in kept:
            program.tend()
        time.sleep(_TEND_SECONDS)


def main(arguments: list[str]) -> int:
    """Run the node whose number is given; says in the log what made it impossible."""
    plan = Plan.read(Path(arguments[0]))
    node = Node(plan, NodePlan(int(arguments[1])))
    os.environ["PATH"] = f"{plan.programs}:{os.environ['PATH']}"
    run(node)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
