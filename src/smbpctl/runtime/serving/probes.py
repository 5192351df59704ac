"""What answers on `/healthz`, `/readyz` and `/metrics`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import final

from aiohttp import web

from smbpctl.runtime.health import Health, HealthReport, ProbeKind
from smbpctl.runtime.serving.exposition import DRAIN, Exposition

_PATHS = {"/healthz": ProbeKind.LIVENESS, "/readyz": ProbeKind.READINESS}


@final
class Probes:
    """The answers of a `Health` and of the metrics; see `ProbeServer`."""

    def __init__(self, health: Health, metrics: Exposition) -> None:
        self._health = health
        self._metrics = metrics

    @asynccontextmanager
    async def listening(self, host: str | None, port: int) -> AsyncGenerator[int]:
        """Serve during the block, on the port that is given to it; raise OSError if that fails."""
        runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=DRAIN.total_seconds()
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        for path in _PATHS:
            application.router.add_get(path, self._probe)
            application.router.add_get(path + "/{name}", self._one_check)
        application.router.add_get("/metrics", self._expose)
        return application

    async def _probe(self, request: web.Request) -> web.Response:
        kind = _PATHS[request.path]
        report = self._health.report(kind, exclude=request.query.getall("exclude", []))
        return _answer(report, title=request.path[1:], verbose="verbose" in request.query)

    async def _one_check(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        kind = _PATHS[request.path.removesuffix(f"/{name}")]
        report = self._health.report_one(kind, name)
        if report is None:
            return web.Response(status=404, text=f"there is no check named {name}\n")
        return _answer(report, title=request.path[1:], verbose="verbose" in request.query)

    async def _expose(self, _request: web.Request) -> web.Response:
        body, content_type = self._metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})


def _answer(report: HealthReport, *, title: str, verbose: bool) -> web.Response:
    if report.ok and not verbose:
        return web.Response(text="ok\n")
    verdict = "passed" if report.ok else "failed"
    lines = [*report.lines, f"{title} check {verdict}"]
    return web.Response(status=200 if report.ok else 500, text="\n".join(lines) + "\n")
