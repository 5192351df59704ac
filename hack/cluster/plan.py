"""The cluster on paper: addresses, names and files, shared by everything that builds it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

CONTROL_PLANE_ADDRESS: Final = "10.87.0.2"
"""Of the bridge between the nodes; API server and DNS answer here."""
DNS_SERVICE: Final = "10.96.0.10"
POD_NETWORK: Final = "10.88.0.0/16"
NODE_PREFIX_LENGTH: Final = 24
CLUSTER_DOMAIN: Final = "cluster.local"
PAUSE_IMAGE: Final = "registry.test/smbpctl/pause:3.10"
MAXIMUM_NODES: Final = 9
_ZONES: Final = ("zone-a", "zone-b", "zone-c")
# Node addresses start above the bridge's own.
_FIRST_HOST: Final = 10


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its number starts at 1, its zone goes round three."""

    number: int

    @property
    def name(self) -> str:
        """Its name in Kubernetes, and its hostname."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Its address on the bridge."""
        return f"10.87.0.{_FIRST_HOST + self.number}"

    @property
    def pod_network(self) -> str:
        """Where its pods get their addresses from."""
        return f"10.88.{self.number}.0/24"

    @property
    def zone(self) -> str:
        """The value of its zone label."""
        return _ZONES[(self.number - 1) % len(_ZONES)]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the processes inside must know; travels as JSON in the cluster's folder.

    `root` is the cluster's folder, `programs` holds what a node runs, `control_plane` etcd and
    the Kubernetes servers; `images` are OCI archives that every node imports. `cgroup` is the
    name of the control group below which all pods run. `grace_seconds` is the silence after
    which a node is NotReady, `eviction_seconds` how long pods stay on one that is.
    """

    root: str
    programs: str
    control_plane: str
    cgroup: str
    nodes: int = 3
    images: tuple[str, ...] = ()
    local_volumes: int = 12
    grace_seconds: int = 20
    eviction_seconds: int = 30

    def node_plans(self) -> tuple[NodePlan, ...]:
        """Return the nodes, node1 first."""
        return tuple(NodePlan(number) for number in range(1, self.nodes + 1))

    @property
    def files(self) -> "Files":
        """Return where everything lies."""
        return Files(Path(self.root))

    def write(self) -> None:
        """Put the plan where `read` finds it."""
        self.files.plan.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, root: Path) -> Self:
        """Return the plan of the cluster in `root`."""
        values: dict[str, Any] = json.loads(Files(root).plan.read_text(encoding="utf-8"))
        values["images"] = tuple(values["images"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Files:
    """Every path below a cluster's folder that two processes share."""

    root: Path

    @property
    def plan(self) -> Path:
        """The plan, as JSON."""
        return self.root / "plan.json"

    @property
    def keeper(self) -> Path:
        """Who keeps the cluster: process id and start time, as JSON."""
        return self.root / "keeper.json"

    @property
    def ready(self) -> Path:
        """Appears when every node is Ready; holds the seconds that took."""
        return self.root / "ready"

    @property
    def failure(self) -> Path:
        """Appears when the cluster could not start; says why, in one line."""
        return self.root / "failure"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig for programs on this machine."""
        return self.root / "kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """The administrator's kubeconfig for programs inside the namespaces."""
        return self.root / "kubeconfig-inside"

    @property
    def logs(self) -> Path:
        """Logs of all but the control plane, which keeps its own."""
        return self.root / "logs"

    @property
    def control_plane(self) -> Path:
        """The control plane's folder."""
        return self.root / "controlplane"

    def node(self, name: str) -> Path:
        """Return the folder of a node: what is on its disk."""
        return self.root / "nodes" / name

    def node_kubeconfig(self, name: str) -> Path:
        """Return the kubeconfig of a node's kubelet; it appears when the API server is ready."""
        return self.node(name) / "kubelet.kubeconfig"

    def node_process(self, name: str) -> Path:
        """Return the file with the node's first process, as numbered inside the cluster."""
        return self.root / "nodes" / f"{name}.pid"

    def hold(self, node: str, program: str) -> Path:
        """Return the marker that keeps a program of a node (or "power") down while it exists."""
        return self.root / "hold" / node / program

    def local_volume(self, node: str, number: int) -> Path:
        """Return the folder behind a local volume."""
        return self.root / "local-volumes" / node / str(number)

    def expandable_volumes(self, node: str = "") -> Path:
        """Return the folder with the images of a node's expandable volumes, or of all nodes."""
        folder = self.root / "expandable-volumes"
        return folder / node if node else folder
