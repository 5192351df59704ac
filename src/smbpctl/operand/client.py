"""Asks store members how they are; whatever goes wrong is an answer, never an exception."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, final

import structlog

from smbpctl.operand.contract import PATH_CLUSTER_VERSION
from smbpctl.operand.members import ContractViolation, MemberReport, Unreachable
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import ApiStatusError, ConfigurationError, TransportError
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import HttpRequest, HttpResponse

_log = structlog.get_logger()

# A report is a few hundred bytes; more is not a report, and must not fill the operator's memory.
_REPORT_LIMIT: Final = 64 * 1024
# The transport's own deadline gives the better message, so it gets the first word.
_GRACE: Final = timedelta(seconds=1)


@final
@dataclass(frozen=True, slots=True, order=True)
class MemberEndpoint:
    """Where a member is asked: its pod, the pod's address (without brackets), the port."""

    pod: ObjectKey
    host: str
    port: int

    @property
    def address(self) -> str:
        """Return host and port as a URL has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class MemberDoor(Protocol):
    """The way to members: what is asked is the same, however the question gets there."""

    def send(
        self, member: MemberEndpoint, request: HttpRequest
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request, whose URL names the member's address, to that member.

        See `Transport.send`. Where the way leads through the API server, its refusals are raised
        as ApiStatusError, and missing credentials as ConfigurationError.
        """
        ...


@final
class AdminClient:
    """Reads `/cluster_version` of members.

    No method raises for a member: one that cannot be asked, refuses, answers nonsense or nothing
    within `timeout` is `Unreachable`, which means "unknown", never "healthy" and never "gone".
    At most `concurrency` members are asked at a time, however many callers there are; a member's
    timeout starts when its turn comes.
    """

    def __init__(
        self,
        door: MemberDoor,
        *,
        clock: Clock,
        timeout: timedelta = timedelta(seconds=3),
        concurrency: int = 16,
        scheme: str = "http",
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {concurrency}")
        self._door = door
        self._clock = clock
        self._timeout = timeout
        self._scheme = scheme
        self._turns = asyncio.Semaphore(concurrency)

    async def report(self, member: MemberEndpoint) -> MemberReport | Unreachable:
        """Return what a member says of itself, or why nobody knows."""
        async with self._turns:
            answer = await self._ask(member)
        if isinstance(answer, Unreachable):
            _log.debug(
                "member did not report",
                pod=str(member.pod),
                address=member.address,
                reason=answer.reason,
            )
        return answer

    async def reports(
        self, members: Iterable[MemberEndpoint]
    ) -> dict[MemberEndpoint, MemberReport | Unreachable]:
        """Ask several members at once; the result has one entry for each, in their order."""
        wanted = list(dict.fromkeys(members))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.report(member)) for member in wanted]
        return {member: task.result() for member, task in zip(wanted, tasks, strict=True)}

    async def _ask(self, member: MemberEndpoint) -> MemberReport | Unreachable:
        url = f"{self._scheme}://{member.address}{PATH_CLUSTER_VERSION}"
        request = HttpRequest("GET", url, {"accept": "application/json"}, timeout=self._timeout)
        deadline = asyncio.timeout(None)
        try:
            async with deadline:
                timer = self._clock.call_later(self._timeout + _GRACE, lambda: _expire(deadline))
                try:
                    return await self._exchange(member, request)
                finally:
                    timer.cancel()
        except (TransportError, ApiStatusError, ConfigurationError) as error:
            return Unreachable(str(error))
        except TimeoutError:
            return Unreachable(f"no answer within {self._timeout.total_seconds():g} s")
        except ContractViolation as error:
            return Unreachable(f"its answer breaks the contract: {error}")

    async def _exchange(
        self, member: MemberEndpoint, request: HttpRequest
    ) -> MemberReport | Unreachable:
        async with self._door.send(member, request) as response:
            if response.status != 200:
                return Unreachable(f"{PATH_CLUSTER_VERSION} answered HTTP {response.status}")
            return MemberReport.from_json(await response.read(_REPORT_LIMIT))


def _expire(deadline: asyncio.Timeout) -> None:
    deadline.reschedule(asyncio.get_running_loop().time())
