"""`Client`: the verbs of the Kubernetes API, each one live request or one stream of pages."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from datetime import timedelta
from typing import Any, Self, TypeAlias, Unpack, final

import msgspec

from smbpctl.runtime.client import writes
from smbpctl.runtime.client.call import RequestMetrics
from smbpctl.runtime.client.calls import (
    Backend,
    GetCall,
    ListCall,
    RawCall,
    WatchCall,
    WriteOptions,
)
from smbpctl.runtime.client.deletion import Propagation, delete_options, eviction
from smbpctl.runtime.client.direct import Direct
from smbpctl.runtime.client.guards import Fence, WriteObserver
from smbpctl.runtime.client.query import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.errors import Conflict, Gone, Invalid, NotFound
from smbpctl.runtime.meta import (
    FieldSelector,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
)
from smbpctl.runtime.transport import Transport
from smbpctl.runtime.transport.answer import decode

Manifests: TypeAlias = list[Manifest]


class _Page(msgspec.Struct):
    items: list[Manifest] | None = None


_MANIFEST = msgspec.json.Decoder(Manifest)
_PAGE = msgspec.json.Decoder(_Page)


@final
class Client:
    """Reads and writes objects of any served kind as JSON-shaped dicts, without a cache.

    Errors of every verb: the `ApiStatusError` of what the server answered, with what was
    attempted and the server's `Retry-After`; `TransportError` when no usable answer came, where
    `sent` tells whether a write may have happened; `NoKindMatch` when the kind is not served;
    of writes also `LeadershipLost` when `fence` does not allow them. Nothing is retried here.

    A write asks the server to give up after `call_timeout`, or earlier where the fence says so,
    and waits two seconds longer, so that after a timeout the write is over, whatever came of it.
    Writes name their owner and refuse unknown fields; `WriteOptions` says what else they take.
    """

    def __init__(
        self,
        transport: Transport,
        discovery: Discovery,
        *,
        call_timeout: timedelta = timedelta(seconds=30),
        metrics: RequestMetrics | None = None,
        fence: Fence | None = None,
        observer: WriteObserver | None = None,
    ) -> None:
        self.backend: Backend = Direct(
            transport,
            discovery,
            call_timeout=call_timeout,
            metrics=metrics,
            fence=fence,
            observer=observer,
        )

    def wrapped(self, wrap: Callable[[Backend], Backend]) -> Self:
        """Return a client whose calls go through a wrapper around the backend of this one."""
        client = copy(self)
        client.backend = wrap(self.backend)
        return client

    async def get(
        self, gvk: GroupVersionKind, key: ObjectKey, *, subresource: str = ""
    ) -> Manifest | None:
        """Return the object or one of its subresources, None when there is none of that name."""
        return await self.backend.get(GetCall(gvk, key, subresource))

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
    ) -> Manifests:
        """Return all objects as of one moment, those of one namespace or of all.

        When the list takes so long that the server forgets that moment, it is begun again once.
        """
        call = ListCall(gvk=gvk, namespace=namespace, selector=selector, fields=fields)
        try:
            return await self._list(call)
        except Gone:
            return await self._list(call)

    async def _list(self, call: ListCall) -> Manifests:
        items: Manifests = []
        async for body in self.backend.pages(call):
            items += _typed(call.gvk, decode(body, _PAGE, str(call)).items)
        return items

    def list_pages(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        page_size: int = 500,
        resource_version: str = "",
    ) -> AsyncIterator[bytes]:
        """Yield the raw bodies of the pages of one list.

        Raises Gone when the server has forgotten the moment of the first page: begin again.
        """
        return self.backend.pages(
            ListCall(
                gvk=gvk,
                namespace=namespace,
                selector=selector,
                fields=fields,
                metadata_only=metadata_only,
                page_size=page_size,
                resource_version=resource_version,
            )
        )

    def watch(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        resource_version: str,
        initial_events: bool = False,
        timeout: timedelta,
        read_timeout: timedelta | None = None,
        gathers: Callable[[], bool] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch with bookmarks; the block gets raw chunks, cut anywhere.

        The server ends the stream after `timeout`; `read_timeout` is the longest silence
        (None: whoever reads notices it himself, for less than a timer with each chunk). With
        `initial_events` everything there is comes first, as ADDED events up to a bookmark that
        says so; servers without WatchList refuse that as Invalid or BadRequest. While `gathers`
        says so, a chunk is some milliseconds late, so that there is more in it.
        """
        return self.backend.watch(
            WatchCall(
                gvk=gvk,
                namespace=namespace,
                selector=selector,
                fields=fields,
                metadata_only=metadata_only,
                resource_version=resource_version,
                initial_events=initial_events,
                timeout=timeout,
                read_timeout=read_timeout,
                gathers=gathers,
            )
        )

    async def create(self, manifest: Manifest, **options: Unpack[WriteOptions]) -> Manifest:
        """Create an object and return it as stored; raise AlreadyExists when the name is taken.

        What is applied later must not be created by this: the creator would keep owning the
        fields that a later apply leaves out.
        """
        return await self.backend.write(writes.create(manifest, options))

    async def update(
        self,
        manifest: Manifest,
        *,
        subresource: str = "",
        overwrite: bool = False,
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Replace an object, or one of its subresources, and return it as stored.

        Raises Conflict when the stored object is not in the version the manifest names; a
        manifest that names none is a ValueError. With `overwrite` the version is waived, and
        whatever others wrote meanwhile is lost; custom resources refuse that as Invalid.
        """
        call = writes.update(manifest, options, subresource=subresource, overwrite=overwrite)
        return await self.backend.write(call)

    async def apply(
        self,
        manifest: Manifest,
        *,
        force: bool = False,
        subresource: str = "",
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Send a server-side apply and return the object as stored.

        The manifest holds exactly the fields that `field_owner` wants to own; what it owned
        before and now leaves out is removed. Raises Conflict, its causes naming managers and
        fields, when another manager owns a field with another value and `force` is off.
        """
        call = writes.apply(manifest, options, subresource=subresource, force=force)
        return await self.backend.write(call)

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        uid: str | None = None,
        resource_version: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Send a JSON patch (RFC 6902); raise Invalid when a `test` in it fails.

        With `uid` or `resource_version` it is bound to the object that was read: any `test` that
        fails then raises Conflict, since the server does not tell which one it was.
        """
        bound = writes.preconditions(uid=uid, resource_version=resource_version)
        target = (gvk, key, subresource)
        call = writes.patch(target, [*bound, *operations], options, content_type=JSON_PATCH)
        try:
            return await self.backend.write(call)
        except Invalid as error:
            if not bound or error.causes:  # a rejected object names its fields
                raise
            raise Conflict(str(error), code=409, reason="Conflict") from error

    async def patch_merge(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        resource_version: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Send a merge patch (RFC 7386): null removes a field, lists are replaced whole.

        Raises Conflict when the object is not in the version that `resource_version` names.
        """
        bound = writes.in_version(patch, resource_version)
        target = (gvk, key, subresource)
        call = writes.patch(target, bound, options, content_type=MERGE_PATCH)
        return await self.backend.write(call)

    async def patch_strategic(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        resource_version: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Send a strategic merge patch, which merges lists by their keys.

        Only built-in kinds know it; the server answers 415 for others. Otherwise `patch_merge`.
        """
        bound = writes.in_version(patch, resource_version)
        target = (gvk, key, subresource)
        call = writes.patch(target, bound, options, content_type=STRATEGIC_PATCH)
        return await self.backend.write(call)

    async def get_scale(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return the `Scale` of an object: wanted and present replicas, and their selector."""
        return await self.backend.get(GetCall(gvk, key, "scale"))

    async def set_scale(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        replicas: int,
        *,
        resource_version: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Manifest:
        """Set how many replicas are wanted and return the `Scale`, not the object itself.

        Raises Conflict when the object is not in the version that `resource_version` names.
        """
        bound = writes.in_version({"spec": {"replicas": replicas}}, resource_version)
        call = writes.patch((gvk, key, "scale"), bound, options, content_type=MERGE_PATCH)
        return await self.backend.write(call)

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = Propagation.BACKGROUND,
        grace_period: timedelta | None = None,
        dry_run: bool = False,
    ) -> bool:
        """Ask for deletion; False when there was no such object.

        True does not mean that it is gone: finalizers and grace periods take their time. Raises
        Conflict when it is not the object with this UID, or not in this version.
        """
        body = delete_options(
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_period=grace_period,
        )
        try:
            await self.backend.write(writes.delete(gvk, key, body, dry_run=dry_run))
        except NotFound:
            return False
        return True

    async def delete_collection(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str,
        selector: LabelSelector,
        fields: FieldSelector | None = None,
        propagation: Propagation = Propagation.BACKGROUND,
        grace_period: timedelta | None = None,
        dry_run: bool = False,
    ) -> Manifests:
        """Ask for the deletion of all selected objects of one namespace; return those asked for.

        Nothing stands for "all" by being left out: every object of the namespace is
        `LabelSelector.everything()`, and there is no deletion over all namespaces. `namespace` is
        empty for kinds without namespaces, and only for those (ValueError). As with `delete`,
        finalizers and grace periods take their time; an error leaves some deleted and some not.
        """
        body = delete_options(
            uid=None, resource_version=None, propagation=propagation, grace_period=grace_period
        )
        call = writes.delete_collection(
            gvk, namespace, body, selector=selector, fields=fields, dry_run=dry_run
        )
        answer = await self.backend.write(call)
        return _typed(gvk, answer.get("items"))

    async def evict(
        self,
        key: ObjectKey,
        *,
        uid: str | None,
        resource_version: str | None = None,
        grace_period: timedelta | None = None,
        dry_run: bool = False,
    ) -> None:
        """Ask for the eviction of a pod, which respects disruption budgets.

        Raises TooManyRequests when a budget does not allow it now, NotFound when there is no such
        pod, Conflict when it is another one than `uid`, or not in this version.
        """
        body = eviction(key, uid=uid, resource_version=resource_version, grace_period=grace_period)
        await self.backend.write(writes.evict(key, body, dry_run=dry_run))

    async def post(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Manifest:
        """Send a body to a path as it is: reviews, tokens and the like; never fenced."""
        call = RawCall(path, dict(body), dry_run)
        return decode(await self.backend.raw(call), _MANIFEST, str(call))

    async def get_raw(self, path: str) -> bytes:
        """Return what a path answers: logs, versions, anything that is no object."""
        return await self.backend.raw(RawCall(path))


def _typed(gvk: GroupVersionKind, items: list[Manifest] | None) -> Manifests:
    # The items of typed lists come without their kind.
    kind = {"apiVersion": gvk.api_version, "kind": gvk.kind}
    return [{**kind, **item} for item in items or ()]
