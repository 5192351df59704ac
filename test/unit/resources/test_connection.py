"""The connection Secret: all of a connection in one write."""

import base64

from smbpctl.resources.connection import connection_secret
from test.support.peers import a_peer


def test_every_file_is_in_it() -> None:
    """What is mounted is exactly what was given, in an order that never changes."""
    files = {"topic": b"t", "ca.crt": b"\x00binary"}

    secret = connection_secret(a_peer(), files)

    assert secret["metadata"]["name"] == "demo-transaction-log"
    assert list(secret["data"]) == ["ca.crt", "topic"]
    assert base64.b64decode(secret["data"]["ca.crt"]) == b"\x00binary"
