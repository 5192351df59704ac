"""`Direct`: carries out the calls of a client over HTTP, each one live request or stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from typing import cast, final

import msgspec

from smbpctl.runtime.client.call import Caller, RequestMetrics
from smbpctl.runtime.client.calls import (
    Chunks,
    GetCall,
    ListCall,
    RawCall,
    Validation,
    WatchCall,
    WriteCall,
)
from smbpctl.runtime.client.guards import Fence, Verb, Write, WriteObserver
from smbpctl.runtime.client.query import (
    JSON,
    encoded,
    list_headers,
    list_query,
    watch_headers,
    watch_query,
)
from smbpctl.runtime.discovery import Discovery, Resource
from smbpctl.runtime.errors import (
    BadRequest,
    LeadershipLost,
    NoKindMatch,
    NotFound,
    ServerError,
    TransportError,
)
from smbpctl.runtime.meta import GroupVersionKind, Manifest
from smbpctl.runtime.transport import BODY_LIMIT, HttpRequest, Transport
from smbpctl.runtime.transport.answer import PathNotServed, decode

LIST_LIMIT = 1 << 30
"""The largest page of a list that is read: 500 objects of etcd's limit are 750 MB."""

_MARGIN = timedelta(seconds=2)
"""How much longer than the server we wait: its own timeout then decides, not ours."""

_UNTYPED = "failed to create typed patch object"

_METHODS = {
    Verb.CREATE: "POST",
    Verb.UPDATE: "PUT",
    Verb.PATCH: "PATCH",
    Verb.APPLY: "PATCH",
    Verb.DELETE: "DELETE",
    Verb.DELETE_COLLECTION: "DELETE",
    Verb.EVICT: "POST",
}


class _ListMeta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _PageHead(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


_MANIFEST = msgspec.json.Decoder(Manifest)
_HEAD = msgspec.json.Decoder(_PageHead)


@final
class Direct:
    """Satisfies `Backend` by asking the server.

    Every write that is no dry run asks `fence` first, which bounds how long it may last and has
    the last word with the connection in hand, and is told to `observer`. Reads, dry runs and raw
    requests are neither fenced nor observed.
    """

    def __init__(
        self,
        transport: Transport,
        discovery: Discovery,
        *,
        call_timeout: timedelta,
        metrics: RequestMetrics | None,
        fence: Fence | None,
        observer: WriteObserver | None,
    ) -> None:
        self._caller = Caller(transport, metrics)
        self._discovery = discovery
        self._call_timeout = call_timeout
        self._fence = fence
        self._observer = observer

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how a kind is reached; raise NoKindMatch when it is not served now."""
        return await self._discovery.resource(gvk)

    async def get(self, call: GetCall) -> Manifest | None:
        """Return the object, None when there is none of that name."""
        resource = await self._discovery.resource(call.gvk)
        path = resource.path(call.key.namespace, call.key.name, call.subresource)
        context = str(call)
        request = HttpRequest("GET", path, {"Accept": JSON}, timeout=self._call_timeout)
        try:
            return decode(await self._send(request, call, context), _MANIFEST, context)
        except NotFound:
            return None

    async def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Yield the raw bodies of the pages of one list; Gone when its moment is forgotten."""
        resource = await self._discovery.resource(call.gvk)
        path = resource.path(call.namespace)
        context = str(call)
        headers = list_headers(metadata_only=call.metadata_only)
        token = ""
        while True:
            query = list_query(
                page_size=call.page_size,
                selector=call.selector,
                fields=call.fields,
                resource_version=call.resource_version,
                token=token,
            )
            request = HttpRequest("GET", f"{path}?{query}", headers, timeout=self._call_timeout)
            body = await self._send(request, call, context, limit=LIST_LIMIT)
            token = decode(body, _HEAD, context).metadata.continue_
            yield body
            if not token:
                return

    def watch(self, call: WatchCall) -> Chunks:
        """Open a watch with bookmarks; what is no stream of JSON rises on entering."""
        return self._watch(call)

    @asynccontextmanager
    async def _watch(self, call: WatchCall) -> AsyncGenerator[AsyncIterator[bytes]]:
        resource = await self._discovery.resource(call.gvk)
        query = watch_query(
            selector=call.selector,
            fields=call.fields,
            resource_version=call.resource_version,
            initial_events=call.initial_events,
            timeout=call.timeout,
        )
        url = f"{resource.path(call.namespace)}?{query}"
        context = str(call)
        headers = watch_headers(metadata_only=call.metadata_only)
        request = HttpRequest(
            "GET", url, headers, read_timeout=call.read_timeout, gathers=call.gathers
        )
        async with AsyncExitStack() as stack:
            try:
                opened = self._caller.stream(request, context)
                response = await stack.enter_async_context(opened)
            except PathNotServed as error:
                raise self._not_served(error, call.gvk) from error
            kind = response.headers.get("content-type", "")
            if not kind.startswith(JSON):
                raise TransportError(f"{context}: the answer is {kind!r}, not JSON", sent=True)
            yield response.chunks()

    async def write(self, call: WriteCall) -> Manifest:
        """Carry out a write and return what was answered."""
        if call.stores and not call.field_owner:
            raise ValueError(f"{call}: no field owner is given")
        resource = await self._discovery.resource(call.gvk)
        path = _path(resource, call)
        if call.dry_run:
            return await self._answer(_request(path, call, self._call_timeout), call)
        return await self._guarded(path, call)

    async def _guarded(self, path: str, call: WriteCall) -> Manifest:
        """Send a write that changes something: every one of them passes here."""
        limit, check = self._call_timeout, None
        if self._fence is not None:
            allowance = self._fence.allowance()
            limit = limit if allowance is None else min(limit, allowance)
            if limit <= timedelta(0):
                raise LeadershipLost(f"{call}: not sent, this process may no longer write")
            check = self._fence.check
        request = _request(path, call, limit, check)
        if self._observer is None:
            return await self._answer(request, call)
        write = Write(call.verb, call.gvk, call.key, call.subresource, request.body or b"")
        self._observer.began(write, limit + _MARGIN)
        try:
            answer, body = await self._answer_and_body(request, call)
        except BaseException as error:
            self._observer.failed(write, error)
            raise
        self._observer.answered(write, body)
        return answer

    async def raw(self, call: RawCall) -> bytes:
        """Send a request to a path and return what it answers."""
        context = str(call)
        if call.body is None:
            request = HttpRequest("GET", call.path, timeout=self._call_timeout)
            return await self._caller.body(request, context)
        query = encoded(
            {"timeout": _text(self._call_timeout), "dryRun": "All" if call.dry_run else ""}
        )
        request = HttpRequest(
            "POST",
            f"{call.path}?{query}",
            {"Accept": JSON, "Content-Type": JSON},
            msgspec.json.encode(call.body),
            timeout=self._call_timeout + _MARGIN,
        )
        try:
            return await self._caller.body(request, context)
        except PathNotServed as error:
            raise NoKindMatch(str(error)) from error

    async def _answer(self, request: HttpRequest, call: WriteCall) -> Manifest:
        answer, _ = await self._answer_and_body(request, call)
        return answer

    async def _answer_and_body(
        self, request: HttpRequest, call: WriteCall
    ) -> tuple[Manifest, bytes]:
        context = str(call)
        limit = LIST_LIMIT if call.verb is Verb.DELETE_COLLECTION else BODY_LIMIT
        try:
            body = await self._send(request, call, context, limit=limit)
        except ServerError as error:
            if (refused := _refused_apply(error, call)) is not None:
                raise refused from error
            raise
        if not body and not call.stores:
            return {}, body
        # An answer that cannot be read is no success: what came of the write is then unknown.
        return decode(body, _MANIFEST, context), body

    async def _send(
        self,
        request: HttpRequest,
        call: GetCall | ListCall | WriteCall,
        context: str,
        *,
        limit: int = BODY_LIMIT,
    ) -> bytes:
        try:
            return await self._caller.body(request, context, limit=limit)
        except PathNotServed as error:
            raise self._not_served(error, call.gvk) from error

    def _not_served(self, error: PathNotServed, gvk: GroupVersionKind) -> NoKindMatch:
        # What discovery told is outdated: the CRD is gone, or never had this subresource.
        self._discovery.invalidate(gvk)
        return NoKindMatch(str(error))


def _refused_apply(error: ServerError, call: WriteCall) -> BadRequest | None:
    """Return what an apply with an unknown field should be answered with.

    The server says 500 (tried on 1.36), which for any other write means that nobody knows what
    came of it: it would be read back and tried again for ever.
    """
    if call.verb is Verb.APPLY and error.code == 500 and _UNTYPED in error.message:
        return BadRequest(error.message, code=400, reason="BadRequest", causes=error.causes)
    return None


def _path(resource: Resource, call: WriteCall) -> str:
    if call.verb is Verb.DELETE_COLLECTION:
        _check_scope(resource, call)
        return resource.path(call.key.namespace)
    name = "" if call.verb is Verb.CREATE else call.key.name
    return resource.path(call.key.namespace, name, call.subresource)


def _check_scope(resource: Resource, call: WriteCall) -> None:
    # A path without namespace is wider than what the caller named, or is not served at all.
    if resource.namespaced and not call.key.namespace:
        raise ValueError(f"{call}: {call.gvk.kind} is namespaced, name the namespace")
    if not resource.namespaced and call.key.namespace:
        raise ValueError(f"{call}: {call.gvk.kind} has no namespaces, this would delete in all")


def _body(call: WriteCall) -> bytes:
    if call.dry_run and call.verb in {Verb.DELETE, Verb.DELETE_COLLECTION}:
        # Where there is a body, the server reads no option of a deletion from the query: without
        # this, the dry run would delete.
        options = cast("Manifest", call.body)
        return msgspec.json.encode({**options, "dryRun": ["All"]})
    return msgspec.json.encode(call.body)


def _request(
    path: str, call: WriteCall, limit: timedelta, check: Callable[[], None] | None = None
) -> HttpRequest:
    """Return the request of a write; the server gives up after `limit`, we a little later."""
    query = _write_query(call.field_owner, call.validation, call.force, call.dry_run)
    if call.selector is not None or call.fields is not None:
        selectors = {
            "labelSelector": call.selector.to_query() if call.selector else "",
            "fieldSelector": call.fields.to_query() if call.fields else "",
        }
        query += f"&{encoded(selectors)}"
    return HttpRequest(
        _METHODS[call.verb],
        f"{path}?timeout={_text(limit)}{query}",
        {"Accept": JSON, "Content-Type": call.content_type},
        _body(call),
        timeout=limit + _MARGIN,
        before_send=check,
    )


@lru_cache(maxsize=64)
def _write_query(owner: str, validation: Validation | None, force: bool, dry_run: bool) -> str:
    """Return what the writes of a process have in common: to quote it takes long."""
    query = {
        "fieldManager": owner,
        "fieldValidation": validation.value if validation else "",
        "force": "true" if force else "",
        "dryRun": "All" if dry_run else "",
    }
    return f"&{encoded(query)}" if any(query.values()) else ""


def _text(limit: timedelta) -> str:
    return f"{max(1, limit // timedelta(milliseconds=1))}ms"
