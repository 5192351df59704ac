"""A local cluster on paper."""

from dataclasses import replace
from pathlib import Path

from hack.cluster.plan import Plan


def a_plan(root: Path, *, nodes: int = 3, local_volumes: int = 12) -> Plan:
    """Return a plan whose programs are nowhere."""
    plan = Plan(root=str(root), programs="/programs", control_plane="/servers", cgroup="group")
    return replace(plan, nodes=nodes, local_volumes=local_volumes)
