"""HTTP to API servers: the `Transport` seam, cluster configuration, credentials, the session."""

from smbpctl.runtime.transport.configuration import ClusterConfig, Credential
from smbpctl.runtime.transport.exchange import BODY_LIMIT, HttpRequest, HttpResponse, Transport
from smbpctl.runtime.transport.loading import load_config
from smbpctl.runtime.transport.session import HttpTransport

__all__ = [
    "BODY_LIMIT",
    "ClusterConfig",
    "Credential",
    "HttpRequest",
    "HttpResponse",
    "HttpTransport",
    "Transport",
    "load_config",
]
