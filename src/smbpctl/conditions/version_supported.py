"""VersionSupported: this operator knows how to run `spec.version`."""

from smbpctl.api.v1alpha1 import BigPeer, Condition, ConditionType, VersionSupportedReason
from smbpctl.api.v1alpha1.versions import explain, supported
from smbpctl.conditions.verdict import verdict


def version_supported(peer: BigPeer) -> Condition:
    """Return whether the release line of `spec.version` is in the compatibility matrix."""
    if supported(peer.spec.version):
        return verdict(
            peer, ConditionType.VERSION_SUPPORTED, True, VersionSupportedReason.SUPPORTED
        )
    message = f"BigPeer {peer.key}, spec.version: {explain(peer.spec.version)}; nothing is rolled"
    return verdict(
        peer,
        ConditionType.VERSION_SUPPORTED,
        False,
        VersionSupportedReason.UNKNOWN_VERSION,
        message,
    )
