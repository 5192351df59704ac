"""The four requests of an election: get, create, update and watch of one Lease."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, cast, final
from urllib.parse import quote

import msgspec

from smbpctl.runtime.client.call import Caller, RequestMetrics
from smbpctl.runtime.client.query import JSON, encoded
from smbpctl.runtime.errors import NotFound, TransportError, status_error
from smbpctl.runtime.informer.lines import LineAssembler
from smbpctl.runtime.leader.election import Write
from smbpctl.runtime.leader.record import LeaseRecord
from smbpctl.runtime.leader.settings import LeaderElection
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.transport import HttpRequest, Transport
from smbpctl.runtime.transport.answer import PathNotServed, decode

WATCH_TIMEOUT: Final = timedelta(minutes=5)
"""After so long the server ends a watch, which is then opened again."""

_SILENCE: Final = timedelta(seconds=150)  # two bookmarks missed
_MANIFEST = msgspec.json.Decoder(Manifest)
_EVENT = msgspec.json.Decoder(dict[str, Any])


@final
class LeaseApi:
    """The Lease of an election, by requests that end within its `call_timeout`.

    The path is fixed, so that an election needs no discovery. Errors are those of `Client`.
    """

    def __init__(
        self, transport: Transport, settings: LeaderElection, metrics: RequestMetrics | None
    ) -> None:
        self._caller = Caller(transport, metrics)
        self._timeout = settings.call_timeout
        namespace, name = quote(settings.namespace, safe=""), quote(settings.lease_name, safe="")
        self._what = f"Lease {settings.namespace}/{settings.lease_name}"
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._object = f"{self._collection}/{name}"
        self._selector = f"metadata.name={settings.lease_name}"

    async def get(self, within: timedelta) -> LeaseRecord | None:
        """Return the Lease, None when there is none."""
        timeout = min(self._timeout, within)
        request = HttpRequest("GET", self._object, {"Accept": JSON}, timeout=timeout)
        context = f"get {self._what}"
        try:
            body = await self._caller.body(request, context)
        except PathNotServed:
            raise
        except NotFound:
            return None
        return LeaseRecord.of(decode(body, _MANIFEST, context))

    async def write(self, write: Write, within: timedelta) -> LeaseRecord:
        """Create or update the Lease and return it as stored.

        Raises Conflict or AlreadyExists when somebody else was first.
        """
        timeout = min(self._timeout, within)
        query = {"timeout": f"{max(1, timeout // timedelta(milliseconds=1))}ms"}
        context = f"{'create' if write.create else 'update'} {self._what}"
        request = HttpRequest(
            "POST" if write.create else "PUT",
            f"{self._collection if write.create else self._object}?{encoded(query)}",
            {"Accept": JSON, "Content-Type": JSON},
            msgspec.json.encode(write.manifest),
            timeout=timeout,
        )
        body = await self._caller.body(request, context)
        return LeaseRecord.of(decode(body, _MANIFEST, context))

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[AsyncIterator[LeaseRecord | None]]:
        """Open a watch; the block gets the Lease as it is and after each change, None when deleted.

        A Lease that does not exist when the watch begins is not told. Raises ApiStatusError when
        the watch is refused, or ended by the server with an error.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "fieldSelector": self._selector,
            "timeoutSeconds": str(round(WATCH_TIMEOUT.total_seconds())),
        }
        url = f"{self._collection}?{encoded(query)}"
        request = HttpRequest("GET", url, {"Accept": JSON}, read_timeout=_SILENCE)
        async with self._caller.stream(request, f"watch {self._what}") as response:
            yield self._events(response.chunks())

    async def _events(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[LeaseRecord | None]:
        lines, context = LineAssembler(), f"watch {self._what}"
        async for chunk in chunks:
            for line in lines.feed(chunk):
                event = decode(line, _EVENT, context)
                what, told = event.get("type"), event.get("object")
                body = cast("Mapping[str, Any]", told if isinstance(told, dict) else {})
                match what:
                    case "ADDED" | "MODIFIED":
                        yield LeaseRecord.of(dict(body))
                    case "DELETED":
                        yield None
                    case "BOOKMARK":
                        pass
                    case "ERROR":
                        raise status_error(body, context=context)
                    case _:
                        raise TransportError(f"{context}: unknown event {what!r}", sent=True)
