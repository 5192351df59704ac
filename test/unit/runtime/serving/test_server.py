"""The socket of the probe server: its port, its address, its end."""

import asyncio
import socket

import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.health import Health
from smbpctl.runtime.serving import ProbeServer, parse_address


class FakeMetrics:
    """An exposition of one line."""

    def exposition(self) -> tuple[bytes, str]:
        """Return it."""
        return b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"


class TestListening:
    """The socket."""

    async def test_the_port_is_free_again_after_cancellation(self) -> None:
        """Nothing listens when `run` has ended, and `port` says so."""
        server = ProbeServer(Health(), FakeMetrics(), address="127.0.0.1:0")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.run())
            await server.wait_ready()
            port = server.port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            task.cancel()

        with pytest.raises(RuntimeError, match="does not listen"):
            _ = server.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    async def test_an_address_in_use_is_a_configuration_error(self) -> None:
        """The error names the address that cannot be had."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"

            with pytest.raises(ConfigurationError, match=f"probe address {address}: "):
                await ProbeServer(Health(), FakeMetrics(), address=address).run()

    @pytest.mark.parametrize(
        ("address", "parsed"),
        [
            (":8081", (None, 8081)),
            ("localhost:80", ("localhost", 80)),
            ("[::1]:0", ("::1", 0)),
            ("[::]:65535", ("::", 65535)),
        ],
    )
    def test_addresses(self, address: str, parsed: tuple[str | None, int]) -> None:
        """`host:port`, IPv6 in brackets, no host for every interface."""
        assert parse_address(address) == parsed

    @pytest.mark.parametrize(
        "address", ["", "8081", "host:", "host:http", ":65536", ":-1", "::1:80", "[nonsense]:80"]
    )
    def test_senseless_addresses(self, address: str) -> None:
        """What cannot be listened on is refused before anything starts."""
        with pytest.raises(ConfigurationError, match="is not host:port"):
            parse_address(address)
