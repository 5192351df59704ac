"""The connection Secret: the one place where every component finds the transaction log."""

import base64
from collections.abc import Mapping

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest


def connection_secret(peer: BigPeer, connection: Mapping[str, bytes]) -> Manifest:
    """Return the Secret that carries a whole connection, so that it changes in one write.

    `connection` maps the contract's file names (bootstrap servers, topic, certificates,
    credentials) to their contents.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": naming.metadata(peer, naming.connection_secret(peer)),
        "type": "Opaque",
        "data": {
            name: base64.b64encode(content).decode() for name, content in sorted(connection.items())
        },
    }
