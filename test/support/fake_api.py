"""A small API server behind a `FakeTransport`: discovery, list and watch of a few kinds."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smbpctl.runtime.meta import GroupVersionKind, Manifest, gvk_of
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    Feed,
    json_response,
    status_response,
)


@dataclass(frozen=True)
class ServedKind:
    """A kind as discovery tells it."""

    gvk: GroupVersionKind
    plural: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        """Return the path under which the kind is listed."""
        group = f"/apis/{self.gvk.group}" if self.gvk.group else "/api"
        return f"{group}/{self.gvk.version}/{self.plural}"


CONFIG_MAP = ServedKind(GroupVersionKind("", "v1", "ConfigMap"), "configmaps")
POD = ServedKind(GroupVersionKind("", "v1", "Pod"), "pods")
NAMESPACE = ServedKind(GroupVersionKind("", "v1", "Namespace"), "namespaces", namespaced=False)


@dataclass
class FakeApi:
    """Serves `kinds`; refuses to list those in `forbidden`; `hold` keeps lists waiting.

    With `hold_watches` no watch is told of anything until `release_watches`.
    """

    kinds: tuple[ServedKind, ...] = (CONFIG_MAP, POD, NAMESPACE)
    forbidden: set[str] = field(default_factory=set[str])
    hold: asyncio.Event | None = None
    hold_watches: bool = False
    untold: list[tuple[ServedKind, str, Manifest]] = field(
        default_factory=list[tuple[ServedKind, str, Manifest]]
    )
    objects: dict[str, list[Manifest]] = field(default_factory=dict[str, list[Manifest]])
    feeds: dict[str, list[Feed]] = field(default_factory=dict[str, list[Feed]])
    revision: int = 10

    def transport(self) -> FakeTransport:
        """Return a transport to this server."""
        return FakeTransport(self._answer)

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object, and tell the watches."""
        kind = self._kind_of(gvk_of(manifest))
        self.revision += 1
        stored: Manifest = json.loads(json.dumps(manifest))
        metadata = stored["metadata"]
        metadata.setdefault("uid", f"uid-{self.revision}")
        metadata["resourceVersion"] = str(self.revision)
        known = self.objects.setdefault(kind.root, [])
        old = [each for each in known if _key(each) == _key(stored)]
        for each in old:
            known.remove(each)
        known.append(stored)
        self._tell(kind, "MODIFIED" if old else "ADDED", stored)
        return stored

    def delete(self, manifest: Manifest) -> None:
        """Delete an object, and tell the watches."""
        kind = self._kind_of(gvk_of(manifest))
        self.revision += 1
        (gone,) = [each for each in self.objects[kind.root] if _key(each) == _key(manifest)]
        self.objects[kind.root].remove(gone)
        gone["metadata"]["resourceVersion"] = str(self.revision)
        self._tell(kind, "DELETED", gone)

    def release_watches(self) -> None:
        """Tell the watches what they were not told so far."""
        self.hold_watches, held, self.untold = False, self.untold, []
        for kind, event, manifest in held:
            self._tell(kind, event, manifest)

    def _tell(self, kind: ServedKind, event: str, manifest: Manifest) -> None:
        if self.hold_watches:
            self.untold.append((kind, event, manifest))
            return
        for feed in self.feeds.get(kind.root, []):
            feed.push_json({"type": event, "object": manifest})

    def _kind_of(self, gvk: GroupVersionKind) -> ServedKind:
        return next(kind for kind in self.kinds if kind.gvk == gvk)

    async def _answer(self, request: HttpRequest) -> Answer:
        url = urlsplit(request.url)
        if url.path in {"/api", "/apis"}:
            return _discovery(self.kinds, core=url.path == "/api")
        if url.path.endswith("/selfsubjectaccessreviews"):
            asked = json.loads(request.body or b"{}")["spec"]["resourceAttributes"]
            return json_response({"status": {"allowed": asked["resource"] not in self.forbidden}})
        for kind in self.kinds:
            if url.path == kind.root:
                return await self._collection(kind, parse_qs(url.query))
            if request.method == "PATCH" and url.path.endswith(f"/{kind.plural}/{_name(url.path)}"):
                return self._merge(kind, _name(url.path), json.loads(request.body or b"{}"))
        return status_response(404, "NotFound")

    def _merge(self, kind: ServedKind, name: str, patch: Manifest) -> Answer:
        known = self.objects.get(kind.root, [])
        (found,) = [each for each in known if each["metadata"]["name"] == name]
        return json_response(self.put({**found, **patch}))

    async def _collection(self, kind: ServedKind, query: Mapping[str, list[str]]) -> Answer:
        if kind.plural in self.forbidden:
            verb = "watch" if "watch" in query else "list"
            return status_response(403, "Forbidden", f'cannot {verb} resource "{kind.plural}"')
        if "watch" in query:
            feed = Feed()
            if "sendInitialEvents" in query:
                await self._begin(kind, feed)
            self.feeds.setdefault(kind.root, []).append(feed)
            return FakeResponse(stream=feed)
        if self.hold is not None:
            await self.hold.wait()
        return json_response(
            {
                "kind": f"{kind.gvk.kind}List",
                "apiVersion": kind.gvk.api_version,
                "metadata": {"resourceVersion": str(self.revision)},
                "items": self.objects.get(kind.root, []),
            }
        )

    async def _begin(self, kind: ServedKind, feed: Feed) -> None:
        """List as a stream (KEP-3157)."""
        if self.hold is not None:
            await self.hold.wait()
        for manifest in self.objects.get(kind.root, []):
            feed.push_json({"type": "ADDED", "object": manifest})
        feed.push_json({"type": "BOOKMARK", "object": initial_end(self.revision)})


def initial_end(revision: int) -> Manifest:
    """Return the object of the bookmark that ends the initial events of a watch."""
    annotations = {"k8s.io/initial-events-end": "true"}
    return {"metadata": {"resourceVersion": str(revision), "annotations": annotations}}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _key(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _discovery(kinds: tuple[ServedKind, ...], *, core: bool) -> FakeResponse:
    groups: dict[str, dict[str, list[Any]]] = {}
    for kind in kinds:
        if (kind.gvk.group == "") is core:
            versions = groups.setdefault(kind.gvk.group, {})
            versions.setdefault(kind.gvk.version, []).append(
                {
                    "resource": kind.plural,
                    "scope": "Namespaced" if kind.namespaced else "Cluster",
                    "responseKind": {"kind": kind.gvk.kind},
                    "verbs": ["get", "list", "watch"],
                }
            )
    items = [
        {
            "metadata": {"name": group},
            "versions": [
                {"version": version, "resources": resources}
                for version, resources in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    kind_and_version = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
    }
    answer = json_response({**kind_and_version, "items": items})
    content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    return FakeResponse(body=answer.body, headers={"content-type": content_type})
