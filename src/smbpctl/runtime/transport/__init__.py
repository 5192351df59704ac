"""HTTP to API servers: the `Transport` seam, cluster configuration, credentials, the session."""

from smbpctl.runtime.transport.configuration import ClusterConfig, Credential
from smbpctl.runtime.transport.exchange import BODY_LIMIT, HttpRequest, HttpResponse, Transport
from smbpctl.runtime.transport.loading import load_config
from smbpctl.runtime.transport.portforward import PodStream, PortForwarder, PortForwardFailed
from smbpctl.runtime.transport.portforward_http import ForwardedHttp
from smbpctl.runtime.transport.session import HttpTransport
from smbpctl.runtime.transport.websocket import WebSocket

__all__ = [
    "BODY_LIMIT",
    "ClusterConfig",
    "Credential",
    "ForwardedHttp",
    "HttpRequest",
    "HttpResponse",
    "HttpTransport",
    "PodStream",
    "PortForwardFailed",
    "PortForwarder",
    "Transport",
    "WebSocket",
    "load_config",
]
