"""The inside of a cluster: network, control plane, nodes; ends when standard input does.

Run as `python -m hack.cluster.inside FOLDER LISTENER` below `unshare`, where LISTENER is the
number of a listening socket that was made outside.
"""

import socket
import subprocess
import sys
import threading
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from hack.cluster import gateway, network, services
from hack.cluster.keeper import set_at_end_of_input
from hack.cluster.machine import Machine
from hack.cluster.plan import CONTROL_PLANE_ADDRESS, Plan
from hack.cluster.programs import Program
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane

# A name in the API server's certificate; its address there is the Service's, not the bridge's.
_SERVER_NAME = "kubernetes"
_TEND_SECONDS = 0.1
_READY_SECONDS = 120


def control_plane(plan: Plan) -> ControlPlane:
    """Return the control plane, reachable for nodes and pods."""
    seconds = plan.eviction_seconds
    return ControlPlane(
        Binaries.in_directory(Path(plan.control_plane)),
        plan.files.control_plane,
        ready_timeout=timedelta(seconds=120),
        node_monitor_grace_period=timedelta(seconds=plan.grace_seconds),
        arguments={
            "kube-apiserver": [
                "--bind-address=0.0.0.0",
                f"--advertise-address={CONTROL_PLANE_ADDRESS}",
                "--endpoint-reconciler-type=lease",
                # Webhooks are asked at their pods' addresses: no kube-proxy runs here.
                "--enable-aggregator-routing=true",
                "--kubelet-preferred-address-types=InternalIP",
                f"--default-not-ready-toleration-seconds={seconds}",
                f"--default-unreachable-toleration-seconds={seconds}",
            ]
        },
    )


def readdressed(kubeconfig: Path, server: str, *, namespace: str = "default") -> str:
    """Return a kubeconfig's text with another address of the same API server."""
    values: dict[str, Any] = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    values["clusters"][0]["cluster"] |= {"server": server, "tls-server-name": _SERVER_NAME}
    values["contexts"][0]["context"]["namespace"] = namespace
    return yaml.safe_dump(values, sort_keys=False)


def write_kubeconfigs(plan: Plan, servers: ControlPlane, outside_port: int) -> None:
    """Write everybody's credentials. A node's kubelet starts when its own appear."""
    port = servers.url.rpartition(":")[2]
    inner, outer = f"https://{CONTROL_PLANE_ADDRESS}:{port}", f"https://127.0.0.1:{outside_port}"
    files = plan.files
    _put(files.kubeconfig, readdressed(servers.kubeconfig, outer))
    _put(files.inner_kubeconfig, readdressed(servers.kubeconfig, inner))
    proxy = readdressed(servers.kubeconfig_for("system:kube-proxy"), inner)
    for node in plan.node_plans():
        _put(files.node(node.name) / "proxy.kubeconfig", proxy)
        user = servers.kubeconfig_for(f"system:node:{node.name}", ["system:nodes"])
        _put(files.node_kubeconfig(node.name), readdressed(user, inner))


def _put(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.touch(mode=0o600)
    scratch.write_text(text, encoding="utf-8")
    scratch.rename(path)


def nodes_ready(servers: ControlPlane, plan: Plan) -> bool:
    """Tell whether every node is Ready."""
    path = "-o=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    answer = servers.kubectl("get", "nodes", path, check=False).stdout.split()
    return answer.count("True") == plan.nodes


def what_lacks(servers: ControlPlane, plan: Plan) -> str:
    """Return what is still missing of a usable cluster, empty when nothing is."""
    if not nodes_ready(servers, plan):
        return "not every node is Ready"
    return "" if services.dns_answers() else "DNS does not answer"


def furnish(plan: Plan, servers: ControlPlane) -> None:
    """Create DNS and storage in the API."""
    manifests = [*services.dns_service(), *services.local_storage(plan)]
    apply = ("apply", "--server-side", "-f", "-")
    servers.kubectl(*apply, stdin=services.as_list(manifests))
    servers.kubectl(*apply, stdin=services.expandable_storage())


def run(plan: Plan, listener: socket.socket) -> None:
    """Bring the cluster up and keep it up until standard input ends."""
    started = time.monotonic()
    stop = threading.Event()
    threading.Thread(target=set_at_end_of_input, args=(stop,), daemon=True).start()
    socket.sethostname("control-plane")
    # For sockets: below the cluster's own folder their names could be too long.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    network.make_bridge()
    services.make_local_folders(plan)
    machines = [Machine(plan, node) for node in plan.node_plans()]
    for machine in machines:
        machine.tend()
    with control_plane(plan) as servers:
        host, _, port = servers.url.removeprefix("https://").rpartition(":")
        gateway.serve(listener, host, int(port))
        write_kubeconfigs(plan, servers, listener.getsockname()[1])
        kept = services.Inside(plan).programs()
        tend(machines, kept)
        furnish(plan, servers)
        while lacking := what_lacks(servers, plan):
            if time.monotonic() - started > _READY_SECONDS:
                raise TimeoutError(f"{lacking} after {_READY_SECONDS} s; see {plan.files.logs}")
            tend(machines, kept)
            time.sleep(_TEND_SECONDS)
        _put(plan.files.ready, f"{time.monotonic() - started:.1f}\n")
        while not stop.wait(_TEND_SECONDS):
            tend(machines, kept)
        for machine in machines:
            machine.power_off()


def tend(machines: list[Machine], kept: list[Program]) -> None:
    """Keep everything in the state that it should be in."""
    for machine in machines:
        machine.tend()
    for program in kept:
        program.tend()


def main(arguments: list[str]) -> int:
    """Run the cluster; leave one line about what made it impossible."""
    plan = Plan.read(Path(arguments[0]))
    listener = socket.socket(fileno=int(arguments[1]))
    try:
        run(plan, listener)
    except Exception as error:
        traceback.print_exc()
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        _put(plan.files.failure, f"{error} {said or ''}".strip())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
