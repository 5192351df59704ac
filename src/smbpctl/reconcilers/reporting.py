"""How a reconciler reports: its whole part of the status, once a pass, if anything changed."""

from smbpctl.api.v1alpha1 import BIG_PEER
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.meta import Manifest, key_of


async def write_status(
    cache: Cache, applier: Applier, manifest: Manifest, status: Manifest
) -> bool:
    """Write the status that a reconciler owns; tell whether anything had to be sent.

    `manifest` is the BigPeer as this pass read it, `status` complete for the reconciler: what it
    leaves out is removed.
    """
    stored = cache.meta(BIG_PEER, key_of(manifest))
    return await applier.apply_status(manifest, stored.fields if stored else None, status)
