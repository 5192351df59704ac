"""A server of ConfigMaps, Pods and one cluster-scoped kind, whose answers a test scripts."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from smbpctl.runtime.client import Client
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, Manifest, ObjectKey
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import Answer, FakeTransport, json_response, path_of
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
