"""Start a real Kubernetes control plane, without nodes, as child processes of this one."""

from smbpctl.runtime.simulation.controlplane.binaries import Binaries, BinariesError
from smbpctl.runtime.simulation.controlplane.kubeconfig import BearerToken, kubeconfig
from smbpctl.runtime.simulation.controlplane.ports import PortTaken
from smbpctl.runtime.simulation.controlplane.process import ProcessDied, SupervisedProcess
from smbpctl.runtime.simulation.controlplane.readiness import NotReady
from smbpctl.runtime.simulation.controlplane.server import ControlPlane, ControlPlaneError

__all__ = [
    "BearerToken",
    "Binaries",
    "BinariesError",
    "ControlPlane",
    "ControlPlaneError",
    "NotReady",
    "PortTaken",
    "ProcessDied",
    "SupervisedProcess",
    "kubeconfig",
]
