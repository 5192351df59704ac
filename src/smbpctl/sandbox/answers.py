"""What a fake member answers over HTTP: the contract's paths, true or as it was told to lie."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, final

from aiohttp import web

from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.operand.members import Backfill, ContractViolation, Topology
from smbpctl.sandbox.behaviour import Behaviour

_PREFIXES: Final[Mapping[Component, str]] = MappingProxyType(
    {
        Component.API: "",
        Component.SUBSCRIPTION: contract.PREFIX_SUBSCRIPTION,
        Component.AUTH: contract.PREFIX_AUTH,
    }
)
"""Below which path a front-end serves its clients; the store serves none."""

_CONTRACT: Final = frozenset(
    {
        *(contract.PATH_LIVE, contract.PATH_READY),
        *(contract.PATH_METRICS, contract.PATH_CLUSTER_VERSION),
    }
)


class Member(Protocol):
    """What answers are made of; everything may change from one answer to the next."""

    @property
    def component(self) -> Component:
        """Return which part of the Big Peer this is."""
        ...

    @property
    def name(self) -> str:
        """Return the member's own name, by which tests tell who answered."""
        ...

    @property
    def version(self) -> str:
        """Return the image's version, empty when it is not known."""
        ...

    @property
    def server_id(self) -> str:
        """Return the identity of the member's data."""
        ...

    @property
    def log_head(self) -> int:
        """Return the offset of the newest transaction."""
        ...

    @property
    def behaviour(self) -> Behaviour:
        """Return how the member differs from a healthy one."""
        ...

    @property
    def topology(self) -> Callable[[], Awaitable[bytes | str]]:
        """Return what reads the topology as it is now; it raises LookupError without one."""
        ...

    async def unready(self) -> str:
        """Return why a member that behaves well is not ready; empty when it is."""
        ...


@final
class Answers:
    """Answers the requests that reach one member.

    Members answer `/health/live`, `/health/ready`, `/metrics` and `/cluster_version`. A front-end
    also answers whatever is below the prefix of its component, with who it is and what was asked.
    """

    def __init__(self, member: Member) -> None:
        self.hanging = 0
        """How many requests wait for an answer that never comes."""
        self._member = member

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as the member behaves; one that hangs waits until the request is cancelled."""
        if self._member.behaviour.hangs:
            await self._hang()
        if request.path not in _CONTRACT:
            return self._elsewhere(request.path)
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))
        match request.path:
            case contract.PATH_LIVE:
                return web.Response(text="ok")
            case contract.PATH_READY:
                return await self._readiness()
            case contract.PATH_METRICS:
                return web.Response(text=self._metrics())
            case _:
                return await self._report()

    async def _hang(self) -> None:
        self.hanging += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1

    def _elsewhere(self, path: str) -> web.Response:
        component = self._member.component
        prefix = _PREFIXES.get(component)
        if prefix is None or not f"{path}/".startswith(f"{prefix}/"):
            raise web.HTTPNotFound
        who = {"component": component.value, "pod": self._member.name, "path": path}
        return web.json_response(who)

    async def _readiness(self) -> web.Response:
        reason = "told so" if not self._member.behaviour.ready else await self._member.unready()
        if reason:
            return web.Response(status=503, text=f"not ready: {reason}")
        return web.Response(text="ok")

    def _metrics(self) -> str:
        lag = self._member.log_head - self._ust()
        component = self._member.component.value.replace("-", "_")
        return (
            f"# TYPE hydra_{component}_up gauge\n"
            f"hydra_{component}_up 1\n"
            "# TYPE hydra_kafka_consumer_lag gauge\n"
            f'hydra_kafka_consumer_lag{{topic="transaction.log"}} {lag}\n'
        )

    async def _report(self) -> web.Response:
        behaviour = self._member.behaviour
        if behaviour.body is not None:
            return web.Response(body=behaviour.body, content_type="application/json")
        try:
            topology = Topology.from_json(await self._member.topology())
        except (LookupError, ContractViolation) as error:
            return web.Response(status=503, text=f"no topology: {error}")
        report = report_of(topology, behaviour, server_id=self._member.server_id, ust=self._ust())
        if self._member.version:
            report["version"] = self._member.version
        return web.json_response(report)

    def _ust(self) -> int:
        told = self._member.behaviour.ust
        return self._member.log_head if told is None else told


def report_of(
    topology: Topology, behaviour: Behaviour, *, server_id: str, ust: int
) -> dict[str, str | int | None]:
    """Return what a member with this topology answers: a healthy one routes with next at once."""
    following = topology.next
    backfill = behaviour.backfill or (Backfill.NONE if following is None else Backfill.DONE)
    complete = backfill in (Backfill.NONE, Backfill.DONE) and behaviour.ust is None
    routing = topology.current.id if following is None or not complete else following.id
    told = {
        "serverId": behaviour.server_id,
        "configId": behaviour.config_id,
        "nextConfigId": behaviour.next_config_id,
        "routingConfigId": behaviour.routing_config_id,
    }
    truth: dict[str, str | int | None] = {
        "serverId": server_id,
        "configId": topology.current.id,
        "nextConfigId": None if following is None else following.id,
        "routingConfigId": routing,
        "ust": ust,
        "backfill": backfill.value,
    }
    return truth | {name: value for name, value in told.items() if value is not None}
