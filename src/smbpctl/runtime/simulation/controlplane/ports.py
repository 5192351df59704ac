"""Loopback TCP ports that stay ours between choosing them and listening on them."""

import socket
from typing import final

LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """The wanted port is in use by another process."""


@final
class ReservedPort:
    """A loopback port that no other process is given, as long as this object is open.

    Choosing a free port, closing the socket and letting a child bind it again leaves a window in
    which the kernel hands the port to somebody else, even as the local end of an outgoing
    connection. Here the socket stays bound, without listening, and the child binds beside it with
    SO_REUSEPORT: connections reach listening sockets only (socket(7), "SO_REUSEPORT"). All
    four server binaries of a control plane have a flag for that.
    """

    def __init__(self, number: int = 0) -> None:
        """Reserve port `number`, or any free one for 0; raise `PortTaken` when it is in use."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((LOOPBACK, number))
        except OSError as error:
            self._socket.close()
            raise PortTaken(f"port {number} of {LOOPBACK}: {error.strerror}") from error
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back; harmless when done before."""
        self._socket.close()
