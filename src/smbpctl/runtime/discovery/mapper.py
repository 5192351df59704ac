"""Asks the API server which kinds it serves, remembers the answer, and asks again when due."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, final

import msgspec
import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.discovery.documents import (
    Aggregated,
    Classic,
    GroupVersionKey,
    ResourceList,
    Table,
    read_aggregated,
    read_classic,
)
from smbpctl.runtime.discovery.resource import OptionalKind, Resource
from smbpctl.runtime.errors import ApiStatusError, NoKindMatch, NotFound, TransportError
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.transport import HttpRequest, HttpResponse, Transport
from smbpctl.runtime.transport.answer import decode, failure

T = TypeVar("T")

CALL_TIMEOUT = timedelta(seconds=30)
"""How long one discovery request may take."""

MISS_REFRESH = timedelta(seconds=1)
"""How old the answer may be that says a kind does not exist."""

_ACCEPT = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class _Kind(msgspec.Struct):
    kind: str = ""


_KIND = msgspec.json.Decoder(_Kind)
_VERSION = msgspec.json.Decoder(_Version)
_AGGREGATED_DOCUMENT = msgspec.json.Decoder(Aggregated)
_CLASSIC_DOCUMENT = msgspec.json.Decoder(Classic)
_RESOURCE_LIST = msgspec.json.Decoder(ResourceList)


@final
@dataclass(slots=True)
class _Root:
    """What is known of `/api` (the core group) or of `/apis` (all others)."""

    path: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    table: Table = field(default_factory=dict[GroupVersionKey, dict[str, Resource]])
    silent: frozenset[GroupVersionKey] = frozenset()
    etag: str = ""
    loaded: bool = False
    suspect: bool = False
    suspects: set[GroupVersionKey] = field(default_factory=set[GroupVersionKey])
    changes: int = 0
    attempts: int = 0
    checked_at: float = 0.0
    error: ApiStatusError | TransportError | None = None

    def find(self, gvk: GroupVersionKind) -> Resource | None:
        """Return the resource of a kind, if it is known."""
        return self.table.get((gvk.group, gvk.version), {}).get(gvk.kind)

    def doubts(self, group: str, *versions: str) -> bool:
        """Tell whether something known of these versions turned out to be wrong."""
        return self.suspect or any((group, each) in self.suspects for each in versions)


@final
class Discovery:
    """Maps kinds to resources, from the server's discovery documents.

    Known kinds cost no request. A kind that is missing makes it look again, at most once a
    second, so that a CRD installed later is found without restart. A group whose API server does
    not answer keeps what was known of it and leaves the other groups usable.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        min_refresh: timedelta = timedelta(seconds=10),
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._min_refresh = min_refresh
        self._core = _Root("/api")
        self._groups = _Root("/apis")

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how a kind is reached; raise NoKindMatch when it is not served now.

        Raises TransportError or ApiStatusError when the server cannot be asked.
        """
        root = self._root(gvk.group)
        doubted = root.doubts(gvk.group, gvk.version)
        if not doubted and (found := root.find(gvk)) is not None:
            return found
        if not root.loaded or doubted or self._age(root) >= MISS_REFRESH:
            await self._refresh(root)
        if (found := root.find(gvk)) is not None:
            return found
        why = ""
        if (gvk.group, gvk.version) in root.silent:
            why = ": the server behind this group does not answer"
        raise NoKindMatch(f"the API server does not serve {gvk}{why}")

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Return the best version of a kind that is served now, None when none is.

        Looks again when the last look is older than `min_refresh`, or a second where that did not
        find the kind. When the server cannot be asked, the last answer stands; without one
        TransportError or ApiStatusError is raised.
        """
        root = self._root(kind.group)
        candidates = [GroupVersionKind(kind.group, each, kind.kind) for each in kind.versions]
        missing = not any(map(root.find, candidates))
        patience = min(MISS_REFRESH, self._min_refresh) if missing else self._min_refresh
        if not root.loaded:
            await self._refresh(root)
        elif root.doubts(kind.group, *kind.versions) or self._age(root) >= patience:
            await self._refresh_quietly(root)
        return next((gvk for gvk in candidates if root.find(gvk) is not None), None)

    async def server_version(self) -> str:
        """Return the version of the API server, for example `v1.36.3`."""
        return (await self._get("/version", _VERSION)).git_version

    def invalidate(self, gvk: GroupVersionKind | None = None) -> None:
        """Make the next look-up ask the server: something known turned out to be wrong.

        With `gvk` that is a look-up of its group and version; all others stay usable even when
        the server cannot be asked.
        """
        if gvk is None:
            self._core.suspect = self._groups.suspect = True
        else:
            self._root(gvk.group).suspects.add((gvk.group, gvk.version))

    def changes(self) -> int:
        """Return how often what is served was seen to change: a server that was replaced, a CRD."""
        return self._core.changes + self._groups.changes

    def _root(self, group: str) -> _Root:
        return self._groups if group else self._core

    def _age(self, root: _Root) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - root.checked_at)

    async def _refresh_quietly(self, root: _Root) -> None:
        failing = root.error is not None
        try:
            await self._refresh(root)
        except (ApiStatusError, TransportError) as error:
            if not failing:
                structlog.get_logger().warning("discovery failed", path=root.path, error=str(error))

    async def _refresh(self, root: _Root) -> None:
        attempts = root.attempts
        async with root.lock:
            if root.attempts == attempts:
                await self._attempt(root)
            # Whoever waited for the lock shares the outcome of the attempt it waited for.
            if root.error is not None:
                raise root.error

    async def _attempt(self, root: _Root) -> None:
        try:
            await self._load(root)
            root.loaded, root.suspect, root.error = True, False, None
            root.suspects.clear()
        except (ApiStatusError, TransportError) as error:
            root.error = error
        root.attempts += 1
        root.checked_at = self._clock.monotonic()

    async def _load(self, root: _Root) -> None:
        headers = {"Accept": _ACCEPT}
        if root.etag:
            headers["If-None-Match"] = root.etag
        request = HttpRequest("GET", root.path, headers, timeout=CALL_TIMEOUT)
        async with self._transport.send(request) as response:
            if response.status == 304:
                return
            body = await self._body(response, root.path)
            etag = response.headers.get("etag", "")
        if decode(body, _KIND, f"discover {root.path}").kind == "APIGroupDiscoveryList":
            table, silent = read_aggregated(
                decode(body, _AGGREGATED_DOCUMENT, f"discover {root.path}")
            )
        else:
            document = decode(body, _CLASSIC_DOCUMENT, f"discover {root.path}")
            table, silent = await self._load_classic(root.path, document)
        for key in silent:
            table[key] = table.get(key) or root.table.get(key, {})
        if root.loaded and table != root.table:
            root.changes += 1
        root.table, root.silent, root.etag = table, silent, etag

    async def _load_classic(
        self, path: str, document: Classic
    ) -> tuple[Table, frozenset[GroupVersionKey]]:
        listed = [*document.versions]
        listed += [each.group_version for group in document.groups for each in group.versions]
        table: Table = {}
        silent: set[GroupVersionKey] = set()
        for group_version in listed:
            group, _, version = group_version.rpartition("/")
            try:
                resources = await self._get(f"{path}/{group_version}", _RESOURCE_LIST)
            except NotFound:
                continue
            except (ApiStatusError, TransportError) as error:
                structlog.get_logger().warning(
                    "discovery of a group failed", group_version=group_version, error=str(error)
                )
                silent.add((group, version))
            else:
                table[group, version] = read_classic(group, version, resources)
        return table, frozenset(silent)

    async def _get(self, path: str, decoder: msgspec.json.Decoder[T]) -> T:
        request = HttpRequest("GET", path, {"Accept": "application/json"}, timeout=CALL_TIMEOUT)
        async with self._transport.send(request) as response:
            body = await self._body(response, path)
        return decode(body, decoder, f"discover {path}")

    async def _body(self, response: HttpResponse, path: str) -> bytes:
        if response.status != 200:
            raise await failure(response, f"discover {path}")
        return await response.read()
