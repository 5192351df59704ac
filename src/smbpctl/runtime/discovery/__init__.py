"""Which kinds the API server serves and under which paths; notices kinds that come and go."""

from smbpctl.runtime.discovery.mapper import Discovery
from smbpctl.runtime.discovery.resource import OptionalKind, Resource

__all__ = ["Discovery", "OptionalKind", "Resource"]
