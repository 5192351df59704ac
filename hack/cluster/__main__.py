"""`python -m hack.cluster up|down|shell|status|kubeconfig`: the cluster for people."""

import argparse
import os
import sys
from pathlib import Path

from hack.caching import cache_root
from hack.cluster.assemble import BuildFailed, assemble
from hack.cluster.cluster import Cluster, ClusterError, entering, keeper_of, stop_detached
from hack.cluster.plan import MAXIMUM_NODES, Files, Plan
from hack.cluster.prerequisites import Missing, check

FAILED, MISSING = 1, 3


def folder_of(name: str) -> Path:
    """Return the folder of the cluster with this name, below the user's cache folder."""
    return cache_root() / "clusters" / name


def up(arguments: argparse.Namespace) -> None:
    """Start a cluster that stays until `down`."""
    folder = folder_of(arguments.name)
    check(folder)
    parts = assemble()
    cluster = Cluster(
        folder,
        programs=parts.programs,
        control_plane=parts.control_plane,
        nodes=arguments.nodes,
        images=parts.images,
    )
    seconds = cluster.start(detached=True)
    say(f"{arguments.nodes} nodes Ready after {seconds:.1f} s; logs in {cluster.files.logs}")
    print(f"export KUBECONFIG={cluster.kubeconfig}")


def down(arguments: argparse.Namespace) -> None:
    """End the cluster and remove what it left."""
    folder = folder_of(arguments.name)
    ran = stop_detached(Files(folder))
    say(f"{arguments.name} is gone" if ran else f"no cluster named {arguments.name} was running")


def shell(arguments: argparse.Namespace) -> None:
    """Replace this process by a shell inside the cluster, or by a command."""
    files = Files(folder_of(arguments.name))
    command = arguments.command or [os.environ.get("SHELL", "/bin/sh")]
    argv = entering(files, command, node=arguments.node)
    plan = Plan.read(files.root)
    path = f"{plan.control_plane}:{plan.programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(files.inner_kubeconfig)}
    os.execvpe(argv[0], argv, environment)


def status(arguments: argparse.Namespace) -> None:
    """Say whether the cluster runs, and which nodes are Ready."""
    files = Files(folder_of(arguments.name))
    if keeper_of(files) is None:
        raise ClusterError(f"no cluster named {arguments.name} is running")
    plan = Plan.read(files.root)
    kubectl = str(Path(plan.control_plane) / "kubectl")
    os.execv(kubectl, [kubectl, f"--kubeconfig={files.kubeconfig}", "get", "nodes", "-o=wide"])


def kubeconfig(arguments: argparse.Namespace) -> None:
    """Print the path of the cluster's kubeconfig."""
    files = Files(folder_of(arguments.name))
    if keeper_of(files) is None:
        raise ClusterError(f"no cluster named {arguments.name} is running")
    print(files.kubeconfig)


def say(message: str) -> None:
    """Print one line for people."""
    print(f"cluster: {message}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m hack.cluster", description=__doc__)
    made.add_argument("--name", default="default", help="which cluster; default: %(default)s")
    commands = made.add_subparsers(required=True)
    for action in (up, down, shell, status, kubeconfig):
        command = commands.add_parser(action.__name__, help=action.__doc__)
        command.set_defaults(action=action)
        if action is up:
            numbers = range(1, MAXIMUM_NODES + 1)
            command.add_argument("--nodes", type=int, choices=numbers, default=3, metavar="N")
        if action is shell:
            command.add_argument("--node", default="", help="a node; default: the control plane")
            command.add_argument("command", nargs="*", help="default: $SHELL")
    return made


def main() -> int:
    """Do what the command line asks for; refusals are one line and an exit status."""
    arguments = parser().parse_args()
    try:
        arguments.action(arguments)
    except Missing as missing:
        for problem in missing.problems:
            say(problem)
        return MISSING
    except (ClusterError, BuildFailed) as error:
        say(str(error))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
