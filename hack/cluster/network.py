"""The cluster's network: a bridge in a namespace of its own, one cable to each node."""

import subprocess
import time
from pathlib import Path

from hack.cluster.plan import CONTROL_PLANE_ADDRESS, NODE_PREFIX_LENGTH, NodePlan

BRIDGE = "nodes0"
_BRIDGE_ADDRESS = "02:00:00:00:00:01"  # locally administered
_ATTACH_SECONDS = 10


def ip(*arguments: str) -> None:
    """Run `ip`; raise CalledProcessError with what it said."""
    command = ["ip", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise subprocess.CalledProcessError(
            answer.returncode, command, answer.stdout, answer.stderr.strip()
        )


def make_bridge() -> None:
    """Make the bridge with the control plane's address; nothing leads out of it."""
    ip("link", "set", "lo", "up")
    # An address of its own: a bridge else takes its smallest port's, and when that node loses its
    # power the others go on sending to the old one until their caches give up.
    ip("link", "add", BRIDGE, "address", _BRIDGE_ADDRESS, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    ip("address", "add", f"{CONTROL_PLANE_ADDRESS}/{NODE_PREFIX_LENGTH}", "dev", BRIDGE)
    # A bridge without ports has no carrier, and its address is not usable.
    ip("link", "add", "carrier0", "type", "veth", "peer", "name", "carrier1")
    ip("link", "set", "carrier1", "master", BRIDGE)
    ip("link", "set", "carrier0", "up")
    ip("link", "set", "carrier1", "up")


def attach(node: NodePlan, process: int) -> None:
    """Lay the cable to the network namespace that `process` has made, and route to its pods."""
    own = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + _ATTACH_SECONDS
    while Path(f"/proc/{process}/ns/net").readlink() == own:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{node.name} has no network namespace after {_ATTACH_SECONDS} s")
        time.sleep(0.01)
    ip("link", "add", node.name, "type", "veth", "peer", "name", "eth0", "netns", str(process))
    ip("link", "set", node.name, "master", BRIDGE)
    ip("link", "set", node.name, "up")
    ip("route", "replace", node.pod_network, "via", node.address)


def set_up_node(node: NodePlan, others: tuple[NodePlan, ...]) -> None:
    """Give a node, from inside its namespace, its address and the ways to the others' pods."""
    ip("link", "set", "lo", "up")
    ip("link", "set", "eth0", "up")
    ip("address", "add", f"{node.address}/{NODE_PREFIX_LENGTH}", "dev", "eth0")
    # It leads nowhere, but a Service's address needs a route before it is rewritten.
    ip("route", "add", "default", "via", CONTROL_PLANE_ADDRESS)
    for other in others:
        if other.number != node.number:
            ip("route", "add", other.pod_network, "via", other.address)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    # Traffic between pods of one node crosses its bridge and must meet the Services' rules too.
    hook = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if hook.exists():
        hook.write_text("1", encoding="ascii")
