"""A server of ConfigMaps, Pods and one cluster-scoped kind, whose answers a test scripts."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

from smbpctl.runtime.client import Client
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    json_response,
    path_of,
)
from test.support.manual_clock import ManualClock

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
NODE = GroupVersionKind("", "v1", "Node")
POD = GroupVersionKind("", "v1", "Pod")
SECRET = GroupVersionKind("", "v1", "Secret")
OWNER = "smbpctl/x"
EVERYTHING = LabelSelector.everything()
KEY = ObjectKey("ns", "a")
PATH = "/api/v1/namespaces/ns/configmaps"
STORED = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "ns"}}
DISCOVERY = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": kind.lower() + "s",
                            "responseKind": {"kind": kind},
                            "scope": "Cluster" if kind == "Node" else "Namespaced",
                        }
                        for kind in ("ConfigMap", "Node", "Pod", "Secret")
                    ],
                }
            ],
        }
    ],
}


class Server:
    """A server of a few kinds: discovery is answered, the rest as scripted, in order."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.transport = FakeTransport(self._answer)
        self.discovery = Discovery(self.transport, clock=ManualClock())
        self.client = Client(self.transport, self.discovery)

    def _answer(self, request: HttpRequest) -> Answer:
        if path_of(request) == "/api":
            return json_response(DISCOVERY)
        return self.answers.pop(0)

    def script(self, *answers: Answer) -> None:
        """Answer the next requests like this."""
        self.answers = list(answers)

    @property
    def requests(self) -> list[HttpRequest]:
        """What was asked, discovery left out."""
        return [each for each in self.transport.requests if path_of(each) != "/api"]

    @property
    def request(self) -> HttpRequest:
        """The only request."""
        (request,) = self.requests
        return request


def manifest(**metadata: Any) -> Manifest:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "ns", **metadata},
        "data": {"k": "v"},
    }


Attempt: TypeAlias = Callable[[Client], Awaitable[Any]]

WRITES: dict[str, Attempt] = {
    "create": lambda client: client.create(manifest(), field_owner=OWNER),
    "update": lambda client: client.update(manifest(resourceVersion="5"), field_owner=OWNER),
    "apply": lambda client: client.apply(manifest(), field_owner=OWNER),
    "patch_json": lambda client: client.patch_json(CONFIG_MAP, KEY, [], field_owner=OWNER),
    "patch_merge": lambda client: client.patch_merge(CONFIG_MAP, KEY, {}, field_owner=OWNER),
    "patch_strategic": lambda client: client.patch_strategic(
        CONFIG_MAP, KEY, {}, field_owner=OWNER
    ),
    "set_scale": lambda client: client.set_scale(CONFIG_MAP, KEY, 3, field_owner=OWNER),
    "delete": lambda client: client.delete(CONFIG_MAP, KEY),
    "delete_collection": lambda client: client.delete_collection(
        CONFIG_MAP, namespace="ns", selector=EVERYTHING
    ),
    "evict": lambda client: client.evict(KEY, uid="u"),
}


async def exercise_reads(server: Server, client: Client, path: str = "/readyz") -> None:
    """Read in every way through a wrapped client, and check that it comes from the server."""
    page = json_response({"kind": "ConfigMapList", "metadata": {}, "items": [STORED]})
    stream = FakeResponse(stream=[b"chunk"])
    server.script(json_response(STORED), page, stream, FakeResponse(200, b"raw"))
    second = timedelta(seconds=1)

    found = await client.get(CONFIG_MAP, KEY)
    listed = await client.list(CONFIG_MAP, namespace="ns")
    async with client.watch(
        CONFIG_MAP, namespace="ns", resource_version="5", timeout=second, read_timeout=second
    ) as chunks:
        watched = [chunk async for chunk in chunks]
    raw = await client.get_raw(path)
    resource = await client.backend.resource(CONFIG_MAP)

    assert (found, listed, watched, raw) == (STORED, [STORED], [b"chunk"], b"raw")
    assert resource.plural == "configmaps"
    assert [path_of(request) for request in server.requests] == [f"{PATH}/a", PATH, PATH, path]
