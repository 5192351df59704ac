"""Store members as the admin client knows them, where a test only cares for the address."""

from smbpctl.operand.client import MemberEndpoint
from smbpctl.runtime.meta import ObjectKey


def member_at(address: str, *, pod: str = "member", namespace: str = "ns") -> MemberEndpoint:
    """Return the member at `host:port`."""
    host, _, port = address.rpartition(":")
    return MemberEndpoint(ObjectKey(namespace, pod), host.strip("[]"), int(port))
