"""What the probes answer over real sockets: status codes, bodies, paths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from smbpctl.runtime.health import Health
from smbpctl.runtime.serving.probes import Probes


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
async def served(health: Health) -> AsyncIterator[str]:
    """Serve on a free port for the length of the block."""
    async with Probes(health, FakeMetrics()).listening("127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


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
