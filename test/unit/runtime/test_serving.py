"""The probe server over real sockets: status codes, bodies, paths, addresses."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.health import Health
from smbpctl.runtime.serving import ProbeServer, parse_address


class FakeMetrics:
    """An exposition of one line."""

    def exposition(self) -> tuple[bytes, str]:
        """Return it."""
        return b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"


def a_health() -> Health:
    """Return checks of which one readiness check fails."""
    health = Health()
    health.add_liveness("alive", lambda: None)
    health.add_readiness("good", lambda: None)
    health.add_readiness("bad", lambda: "Pod.v1: forbidden")
    return health


@asynccontextmanager
async def served(health: Health, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve on a free port for the length of the block."""
    server = ProbeServer(health, FakeMetrics(), address=f"{host}:0")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        await server.wait_ready()
        yield f"http://{host}:{server.port}"
        task.cancel()


async def get(url: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body."""
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.text()


class TestProbes:
    """`/healthz` and `/readyz`."""

    @pytest.mark.parametrize(
        ("path", "code", "body"),
        [
            ("/healthz", 200, "ok\n"),
            ("/healthz?verbose", 200, "[+]alive ok\nhealthz check passed\n"),
            (
                "/readyz",
                500,
                "[-]bad failed: Pod.v1: forbidden\n[+]good ok\nreadyz check failed\n",
            ),
            ("/readyz?exclude=bad", 200, "ok\n"),
            ("/readyz?exclude=bad&exclude=good&verbose", 200, "readyz check passed\n"),
            ("/readyz/good", 200, "ok\n"),
            ("/readyz/good?verbose", 200, "[+]good ok\nreadyz/good check passed\n"),
            (
                "/readyz/bad",
                500,
                "[-]bad failed: Pod.v1: forbidden\nreadyz/bad check failed\n",
            ),
            ("/healthz/good", 404, "there is no check named good\n"),
        ],
    )
    async def test_each_path_answers_as_the_kubernetes_endpoints_do(
        self, path: str, code: int, body: str
    ) -> None:
        """A failing check gives 500 with every line; what is well says ok unless verbose."""
        async with served(a_health()) as url:
            answer = await get(url + path)

        assert answer == (code, body)

    async def test_without_checks_it_is_well(self) -> None:
        """A process that answers is alive."""
        async with served(Health()) as url:
            alive, ready = await get(f"{url}/healthz"), await get(f"{url}/readyz")

        assert (alive, ready) == ((200, "ok\n"), (200, "ok\n"))

    async def test_only_reading_is_allowed(self) -> None:
        """HEAD works for load balancers; nothing can be posted, and nothing else is served."""
        async with served(a_health()) as url:
            head, _ = await get(f"{url}/healthz", "HEAD")
            post, _ = await get(f"{url}/healthz", "POST")
            other, _ = await get(f"{url}/debug")

        assert (head, post, other) == (200, 405, 404)


class TestMetrics:
    """`/metrics`."""

    async def test_the_exposition_is_served_with_its_content_type(self) -> None:
        """Prometheus negotiates by content type, so it is passed on as it is."""
        async with (
            served(a_health()) as url,
            aiohttp.ClientSession() as session,
            session.get(f"{url}/metrics") as response,
        ):
            body, content_type = await response.read(), response.headers["Content-Type"]

        assert (body, content_type) == (b"up 1\n", "text/plain; version=0.0.4; charset=utf-8")


class TestListening:
    """The socket."""

    async def test_the_port_is_free_again_after_cancellation(self) -> None:
        """Nothing listens when `run` has ended, and `port` says so."""
        server = ProbeServer(Health(), FakeMetrics(), address="127.0.0.1:0")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.run())
            await server.wait_ready()
            port = server.port
            task.cancel()

        with pytest.raises(RuntimeError, match="does not listen"):
            _ = server.port
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(f"http://127.0.0.1:{port}/healthz")

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
