"""Live verbs on Kubernetes objects: every read asks the server, every write names its owner."""

from smbpctl.runtime.client.call import RequestMetrics
from smbpctl.runtime.client.deletion import Propagation
from smbpctl.runtime.client.live import Client
from smbpctl.runtime.client.reader import Reader

__all__ = ["Client", "Propagation", "Reader", "RequestMetrics"]
