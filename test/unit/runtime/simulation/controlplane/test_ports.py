"""Tests of reserved loopback ports."""

import socket
from collections.abc import Iterator

import pytest

from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK, PortTaken, ReservedPort


@pytest.fixture
def port() -> Iterator[ReservedPort]:
    """A free port, reserved."""
    reserved = ReservedPort()

    yield reserved

    reserved.close()


def test_nobody_else_can_bind_a_reserved_port(port: ReservedPort) -> None:
    """An ordinary server that wants the same number is refused while it is reserved."""
    with socket.socket() as other:
        # Go's net.Listen sets this on every listener; it must not be enough.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        with pytest.raises(OSError, match="Address already in use"):
            other.bind((LOOPBACK, port.number))


def test_every_connection_reaches_the_server_beside_the_reservation(port: ReservedPort) -> None:
    """The reserving socket never takes a connection away from the one that listens."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind((LOOPBACK, port.number))
        server.listen()

        for _ in range(50):
            with socket.create_connection((LOOPBACK, port.number), timeout=5) as client:
                accepted, address = server.accept()
                accepted.close()
                assert address == client.getsockname()


def test_a_reserved_port_is_closed_until_somebody_listens(port: ReservedPort) -> None:
    """A client that comes early is refused at once and does not hang."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port.number), timeout=5)


def test_reservations_differ() -> None:
    """Two ports reserved at the same time are never the same."""
    ports = [ReservedPort() for _ in range(20)]

    numbers = {port.number for port in ports}

    for port in ports:
        port.close()
    assert len(numbers) == 20


def test_a_port_in_use_is_refused_by_name() -> None:
    """Wanting a certain port that a server holds is an error that says which."""
    with socket.create_server((LOOPBACK, 0)) as server:
        number = server.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"^port {number} of 127\.0\.0\.1: Address already"):
            ReservedPort(number)


def test_a_closed_reservation_gives_the_port_back(port: ReservedPort) -> None:
    """After close the same number can be had again; closing twice is harmless."""
    port.close()
    port.close()

    again = ReservedPort(port.number)

    assert again.number == port.number
    again.close()
