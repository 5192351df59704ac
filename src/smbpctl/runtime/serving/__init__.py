"""The HTTP server of probes and metrics: `/healthz`, `/readyz` and `/metrics`."""

from smbpctl.runtime.serving.exposition import DRAIN, Exposition
from smbpctl.runtime.serving.server import ProbeServer, parse_address

__all__ = ["DRAIN", "Exposition", "ProbeServer", "parse_address"]
