"""ServiceAccounts: one identity per component, without any token mounted."""

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest


def service_account(peer: BigPeer, component: Component) -> Manifest:
    """Return a component's ServiceAccount; its pods talk to no API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": naming.metadata(peer, naming.name_of(peer, component), component),
        "automountServiceAccountToken": False,
    }
