"""The HTTP face of a `FakeCluster`: for a transport in memory, or a real one on the loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from smbpctl.runtime.errors import ApiStatusError
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey
from smbpctl.runtime.transport import ClusterConfig, HttpRequest
from test.support.fake_api import FakeApi, ServedKind, initial_end
from test.support.fake_cluster import FakeCluster
from test.support.fake_transport import (
    FakeResponse,
    FakeTransport,
    Feed,
    json_response,
    status_response,
)
from test.support.http_server import http_server


@dataclass(frozen=True)
class Target:
    """What a path names; the name is empty for a collection."""

    kind: ServedKind
    key: ObjectKey
    subresource: str = ""


class ClusterHttp:
    """Answers requests as an API server does, with the objects of a cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._feeds: list[tuple[GroupVersionKind, Feed]] = []
        cluster.listeners.append(self._tell)

    def transport(self) -> FakeTransport:
        """Return a transport to this server, without a network."""
        return FakeTransport(self.answer)

    async def answer(self, request: HttpRequest) -> FakeResponse:
        """Answer one request."""
        url = urlsplit(request.url)
        if url.path == "/version":
            return json_response({"gitVersion": "v1.36.3"})
        if url.path in {"/api", "/apis"}:
            found = FakeApi(self._cluster.served_kinds).transport().handler(request)
            return await found if isinstance(found, Awaitable) else found  # type: ignore[return-value]
        target = self._target(url.path)
        if target is None:
            return status_response(404, "NotFound", details={})
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            return await self._respond(request, target, query)
        except ApiStatusError as error:
            return status_response(error.code, error.reason, error.message)

    async def _respond(
        self, request: HttpRequest, target: Target, query: dict[str, str]
    ) -> FakeResponse:
        gvk, key, cluster = target.kind.gvk, target.key, self._cluster
        body: Any = json.loads(request.body) if request.body else None
        if request.method == "GET":
            return await self._read(target, query)
        if request.method == "DELETE":
            uid = body.get("preconditions", {}).get("uid")
            gone = await cluster.delete(gvk, key, uid=uid)
            return json_response({}) if gone else status_response(404, "NotFound")
        if target.subresource == "eviction":
            await cluster.evict(key, uid=body["deleteOptions"]["preconditions"]["uid"])
            return json_response({})
        if request.method == "POST":
            return json_response(cluster.put(body), 201)
        return json_response(await self._patch(request, target, query, body))

    async def _patch(
        self, request: HttpRequest, target: Target, query: dict[str, str], body: Any
    ) -> Manifest:
        gvk, key, cluster = target.kind.gvk, target.key, self._cluster
        owner, subresource = query["fieldManager"], target.subresource
        content_type = request.headers["Content-Type"]
        if "apply" in content_type:
            force = "force" in query
            return await cluster.apply(
                body, field_owner=owner, force=force, subresource=subresource
            )
        patch = cluster.patch_json if "json-patch" in content_type else cluster.patch_merge
        return await patch(gvk, key, body, field_owner=owner, subresource=subresource)

    async def _read(self, target: Target, query: dict[str, str]) -> FakeResponse:
        gvk = target.kind.gvk
        if target.key.name:
            found = await self._cluster.get(gvk, target.key)
            return json_response(found) if found else status_response(404, "NotFound")
        if "watch" in query:
            feed = Feed()
            if "sendInitialEvents" in query:
                for manifest in await self._listed(target, query):
                    feed.push_json({"type": "ADDED", "object": manifest})
                end = initial_end(self._cluster.revision)
                feed.push_json({"type": "BOOKMARK", "object": end})
            self._feeds.append((gvk, feed))
            return FakeResponse(stream=feed)
        listed = await self._listed(target, query)
        return json_response(
            {
                "kind": f"{gvk.kind}List",
                "apiVersion": gvk.api_version,
                "metadata": {"resourceVersion": str(self._cluster.revision)},
                "items": listed,
            }
        )

    async def _listed(self, target: Target, query: dict[str, str]) -> list[Manifest]:
        selector = _selector(query.get("labelSelector", ""))
        namespace = target.key.namespace
        return await self._cluster.list(target.kind.gvk, namespace=namespace, selector=selector)

    def _target(self, path: str) -> Target | None:
        _, root, *parts = path.split("/")
        group, version, *rest = ["", *parts] if root == "api" else parts
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource = (*rest, "", "")[:3]
        for kind in self._cluster.served_kinds:
            if (kind.gvk.group, kind.gvk.version, kind.plural) == (group, version, plural):
                return Target(kind, ObjectKey(namespace, name), subresource)
        return None

    def _tell(self, event: str, manifest: Manifest, before: Manifest | None) -> None:
        """Tell the watches; their selectors are left to those who read."""
        gvk = GroupVersionKind.of(manifest["apiVersion"], manifest["kind"])
        key = ObjectKey(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        there = (gvk, key) in self._cluster.objects
        told = self._cluster.read((gvk, key)) if there else manifest
        for watched, feed in self._feeds:
            if watched == gvk:
                feed.push_json({"type": event, "object": told})

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[ClusterConfig]:
        """Serve over HTTP on the loopback; the block gets the way there."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            body = running.bodies[-1]
            headers = dict(request.headers)
            asked = HttpRequest(request.method, request.path_qs, headers, body)
            answer = await self.answer(asked)
            response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
            await response.prepare(request)
            async for chunk in answer.chunks():
                await response.write(chunk)
            await response.write_eof()
            return response

        async with http_server(handle) as running:
            try:
                yield ClusterConfig(server=running.url)
            finally:
                # The server waits for its handlers, and those of watches wait for their feeds.
                for _, feed in self._feeds:
                    feed.end()


def _selector(text: str) -> LabelSelector | None:
    if not text:
        return None
    parts = [part.partition("=") for part in text.split(",")]
    return LabelSelector(
        tuple((name, value) for name, equal, value in parts if equal),
        tuple(name for name, equal, _ in parts if not equal),
    )


async def until(cluster: FakeCluster, probe: Callable[[], object]) -> None:
    """Return when `probe` is true; it is asked after every change, for ten seconds at most."""
    changed = asyncio.Event()

    def tell(event: str, manifest: Manifest, before: Manifest | None) -> None:
        changed.set()

    cluster.listeners.append(tell)
    async with asyncio.timeout(10):
        while not probe():
            await changed.wait()
            changed.clear()
    cluster.listeners.remove(tell)
