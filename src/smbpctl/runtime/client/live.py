"""`Client`: the verbs of the Kubernetes API, each one live request or one stream of pages."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias, final

import msgspec

from smbpctl.runtime.client.call import Caller, RequestMetrics
from smbpctl.runtime.client.deletion import Propagation, delete_options, eviction
from smbpctl.runtime.client.query import (
    APPLY,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    encoded,
    list_headers,
    list_query,
    watch_headers,
    watch_query,
)
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import Gone, NoKindMatch, NotFound, TransportError
from smbpctl.runtime.meta import (
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    gvk_of,
    key_of,
    metadata_of,
)
from smbpctl.runtime.transport import BODY_LIMIT, HttpRequest, Transport
from smbpctl.runtime.transport.answer import PathNotServed, decode

Manifests: TypeAlias = list[Manifest]

POD = GroupVersionKind("", "v1", "Pod")

LIST_LIMIT = 1 << 30
"""The largest page of a list that is read: 500 objects of etcd's limit are 750 MB."""

_MARGIN = timedelta(seconds=2)
"""How much longer than the server we wait: its own timeout then decides, not ours."""


class _ListMeta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _PageHead(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


class _Page(msgspec.Struct):
    items: list[Manifest] | None = None


_MANIFEST = msgspec.json.Decoder(Manifest)
_HEAD = msgspec.json.Decoder(_PageHead)
_PAGE = msgspec.json.Decoder(_Page)


@final
class Client:
    """Reads and writes objects of any served kind as JSON-shaped dicts, without a cache.

    Errors of every verb: the `ApiStatusError` of what the server answered, with what was
    attempted and the server's `Retry-After`; `TransportError` when no usable answer came, where
    `sent` tells whether a write may have happened; `NoKindMatch` when the kind is not served.
    Nothing is retried here. A write asks the server to give up after `call_timeout` and waits
    two seconds longer, so that after a timeout the write is over, whatever came of it.
    """

    def __init__(
        self,
        transport: Transport,
        discovery: Discovery,
        *,
        call_timeout: timedelta = timedelta(seconds=30),
        metrics: RequestMetrics | None = None,
    ) -> None:
        self._caller = Caller(transport, metrics)
        self._discovery = discovery
        self._call_timeout = call_timeout
        self._server_timeout = f"{max(1, call_timeout // timedelta(milliseconds=1))}ms"

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return the object, None when there is none of that name."""
        path = await self._path(gvk, key)
        context = f"get {gvk.kind} {key}"
        request = HttpRequest("GET", path, {"Accept": JSON}, timeout=self._call_timeout)
        try:
            return decode(await self._send(request, context), _MANIFEST, context)
        except NotFound:
            return None

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> Manifests:
        """Return all objects as of one moment, those of one namespace or of all.

        When the list takes so long that the server forgets that moment, it is begun again once.
        """
        try:
            return await self._list(gvk, namespace, selector)
        except Gone:
            return await self._list(gvk, namespace, selector)

    async def _list(
        self, gvk: GroupVersionKind, namespace: str, selector: LabelSelector | None
    ) -> Manifests:
        items: Manifests = []
        kind = {"apiVersion": gvk.api_version, "kind": gvk.kind}
        async for body in self.list_pages(gvk, namespace=namespace, selector=selector):
            page = decode(body, _PAGE, f"list {gvk.kind}").items or ()
            # The items of typed lists come without their kind.
            items += [{**kind, **item} for item in page]
        return items

    async def list_pages(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        metadata_only: bool = False,
        page_size: int = 500,
        resource_version: str = "",
    ) -> AsyncIterator[bytes]:
        """Yield the raw bodies of the pages of one list.

        Raises Gone when the server has forgotten the moment of the first page: begin again.
        """
        resource = await self._discovery.resource(gvk)
        path = resource.path(namespace)
        context = _where("list", gvk, namespace)
        headers = list_headers(metadata_only=metadata_only)
        token = ""
        while True:
            query = list_query(
                page_size=page_size,
                selector=selector,
                resource_version=resource_version,
                token=token,
            )
            request = HttpRequest("GET", f"{path}?{query}", headers, timeout=self._call_timeout)
            body = await self._send(request, context, limit=LIST_LIMIT)
            token = decode(body, _HEAD, context).metadata.continue_
            yield body
            if not token:
                return

    def watch(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        metadata_only: bool = False,
        resource_version: str,
        timeout: timedelta,
        read_timeout: timedelta,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch with bookmarks; the block gets raw chunks, cut anywhere.

        The server ends the stream after `timeout`; `read_timeout` is the longest silence.
        """
        query = watch_query(selector=selector, resource_version=resource_version, timeout=timeout)
        headers = watch_headers(metadata_only=metadata_only)
        return self._watch(gvk, namespace, query, headers, read_timeout)

    @asynccontextmanager
    async def _watch(
        self,
        gvk: GroupVersionKind,
        namespace: str,
        query: str,
        headers: Mapping[str, str],
        silence: timedelta,
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        resource = await self._discovery.resource(gvk)
        url = f"{resource.path(namespace)}?{query}"
        context = _where("watch", gvk, namespace)
        request = HttpRequest("GET", url, headers, read_timeout=silence)
        async with AsyncExitStack() as stack:
            try:
                opened = self._caller.stream(request, context)
                response = await stack.enter_async_context(opened)
            except PathNotServed as error:
                raise self._not_served(error) from error
            kind = response.headers.get("content-type", "")
            if not kind.startswith(JSON):
                raise TransportError(f"{context}: the answer is {kind!r}, not JSON", sent=True)
            yield response.chunks()

    async def create(self, manifest: Manifest, *, field_owner: str) -> Manifest:
        """Create an object and return it as stored; raise AlreadyExists when the name is taken.

        Unknown fields are refused. What is applied later must not be created by this: the
        creator would keep owning the fields that a later apply leaves out.
        """
        gvk = gvk_of(manifest)
        metadata = metadata_of(manifest)
        resource = await self._discovery.resource(gvk)
        path = resource.path(str(metadata.get("namespace") or ""))
        name = metadata.get("name") or metadata.get("generateName")
        query = {"fieldManager": field_owner, "fieldValidation": "Strict"}
        return await self._write("POST", path, manifest, f"create {gvk.kind} {name}", query)

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_owner: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """Send a server-side apply and return the object as stored.

        The manifest holds exactly the fields that `field_owner` wants to own; what it owned
        before and now leaves out is removed. Raises Conflict, its causes naming managers and
        fields, when another manager owns a field with another value and `force` is off.
        """
        gvk, key = gvk_of(manifest), key_of(manifest)
        path = await self._path(gvk, key, subresource)
        query = {
            "fieldManager": field_owner,
            "fieldValidation": "Strict",
            "force": "true" if force else "",
            "dryRun": "All" if dry_run else "",
        }
        context = f"apply {_kind(gvk, subresource)} {key}"
        return await self._write("PATCH", path, manifest, context, query, content_type=APPLY)

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Send a JSON patch (RFC 6902); raise Invalid when a `test` in it fails."""
        path = await self._path(gvk, key, subresource)
        context = f"patch {_kind(gvk, subresource)} {key}"
        query = {"fieldManager": field_owner}
        return await self._write("PATCH", path, operations, context, query, content_type=JSON_PATCH)

    async def patch_merge(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        patch: Mapping[str, Any],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Send a merge patch (RFC 7386): null removes a field, lists are replaced whole."""
        path = await self._path(gvk, key, subresource)
        context = f"patch {_kind(gvk, subresource)} {key}"
        query = {"fieldManager": field_owner}
        return await self._write("PATCH", path, patch, context, query, content_type=MERGE_PATCH)

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = Propagation.BACKGROUND,
        grace_period: timedelta | None = None,
    ) -> bool:
        """Ask for deletion; False when there was no such object.

        True does not mean that it is gone: finalizers and grace periods take their time. Raises
        Conflict when it is not the object with this UID, or not in this version.
        """
        path = await self._path(gvk, key)
        body = delete_options(
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_period=grace_period,
        )
        try:
            await self._write_raw("DELETE", path, body, f"delete {gvk.kind} {key}", {})
        except NotFound:
            return False
        return True

    async def evict(
        self, key: ObjectKey, *, uid: str | None, grace_period: timedelta | None = None
    ) -> None:
        """Ask for the eviction of a pod, which respects disruption budgets.

        Raises TooManyRequests when a budget does not allow it now, NotFound when there is no such
        pod, Conflict when it is another one than `uid`.
        """
        path = await self._path(POD, key, "eviction")
        body = eviction(key, uid=uid, grace_period=grace_period)
        await self._write_raw("POST", path, body, f"evict Pod {key}", {})

    async def post(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Send a body to a path as it is: reviews, tokens and the like."""
        return await self._write("POST", path, body, f"post {path}", {})

    async def get_raw(self, path: str) -> bytes:
        """Return what a path answers: logs, versions, anything that is no object."""
        request = HttpRequest("GET", path, timeout=self._call_timeout)
        return await self._caller.body(request, f"get {path}")

    async def _path(self, gvk: GroupVersionKind, key: ObjectKey, subresource: str = "") -> str:
        resource = await self._discovery.resource(gvk)
        return resource.path(key.namespace, key.name, subresource)

    async def _write(
        self,
        method: str,
        path: str,
        body: object,
        context: str,
        query: Mapping[str, str],
        *,
        content_type: str = JSON,
    ) -> Manifest:
        answer = await self._write_raw(
            method, path, body, context, query, content_type=content_type
        )
        return decode(answer, _MANIFEST, context)

    async def _write_raw(
        self,
        method: str,
        path: str,
        body: object,
        context: str,
        query: Mapping[str, str],
        *,
        content_type: str = JSON,
    ) -> bytes:
        """Send a mutating request; every write of the client passes here."""
        request = HttpRequest(
            method,
            f"{path}?{encoded({'timeout': self._server_timeout, **query})}",
            {"Accept": JSON, "Content-Type": content_type},
            msgspec.json.encode(body),
            timeout=self._call_timeout + _MARGIN,
        )
        return await self._send(request, context)

    async def _send(self, request: HttpRequest, context: str, *, limit: int = BODY_LIMIT) -> bytes:
        try:
            return await self._caller.body(request, context, limit=limit)
        except PathNotServed as error:
            raise self._not_served(error) from error

    def _not_served(self, error: PathNotServed) -> NoKindMatch:
        # What discovery told is outdated: the CRD is gone, or never had this subresource.
        self._discovery.invalidate()
        return NoKindMatch(str(error))


def _kind(gvk: GroupVersionKind, subresource: str) -> str:
    return f"{gvk.kind}/{subresource}" if subresource else gvk.kind


def _where(verb: str, gvk: GroupVersionKind, namespace: str) -> str:
    return f"{verb} {gvk.kind} in {namespace}" if namespace else f"{verb} {gvk.kind}"
