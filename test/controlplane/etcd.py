"""The etcd below a real API server: writes objects by the thousand, forgets history, and kills."""

import base64
import json
import ssl
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from typing import Any

import psutil

from smbpctl.runtime.simulation.controlplane import ControlPlane

_WRITERS = 4
_API_SERVER = 1  # its place among a control plane's processes


class Etcd:
    """The key-value store of a control plane, through its HTTP gateway.

    Custom resources lie in it as JSON: thousands are written in a few seconds, which through the
    API server would take minutes, and its watches are told of them as of any others.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        layout = control_plane._layout
        self._port = control_plane._number("etcd")
        self._context = ssl.create_default_context(cafile=layout.certificate("etcd-ca"))
        client = layout.certificate("etcd-client"), layout.key("etcd-client")
        self._context.load_cert_chain(*client)

    def put(self, plural: str, manifests: Iterable[dict[str, Any]]) -> None:
        """Write custom resources, new ones or new states of those that are there.

        Each in a transaction of its own: no two objects of a cluster have one resourceVersion.
        """
        todo = list(manifests)
        with ThreadPoolExecutor(_WRITERS) as writers:
            shares = [todo[number::_WRITERS] for number in range(_WRITERS)]
            for written in [writers.submit(self._put, plural, share) for share in shares]:
                written.result()

    def compact(self) -> None:
        """Forget every revision but that of now."""
        connection = self._connection()
        answer = _post(connection, "/v3/kv/range", {"key": _text("/")})
        revision = answer["header"]["revision"]
        _post(connection, "/v3/kv/compaction", {"revision": revision, "physical": True})
        connection.close()

    def _put(self, plural: str, manifests: Sequence[dict[str, Any]]) -> None:
        connection = self._connection()
        for manifest in manifests:
            write = {"key": _text(_key(plural, manifest)), "value": _text(_stored(manifest))}
            _post(connection, "/v3/kv/put", write)
        connection.close()

    def _connection(self) -> HTTPSConnection:
        return HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=30)


def _post(connection: HTTPSConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection.request("POST", path, json.dumps(body))
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content
    parsed: dict[str, Any] = json.loads(content)
    return parsed


def kill_api_server(control_plane: ControlPlane) -> None:
    """End the API server by SIGKILL; etcd and the rest go on."""
    process = control_plane._processes[_API_SERVER]
    assert process._supervisor is not None
    for child in psutil.Process(process._supervisor.pid).children():
        child.kill()
    process._supervisor.wait()
    process.stop()


def start_api_server(control_plane: ControlPlane) -> None:
    """Start the API server that was killed; it is ready some seconds later."""
    control_plane._processes[_API_SERVER].start()


def _key(plural: str, manifest: dict[str, Any]) -> str:
    group = manifest["apiVersion"].partition("/")[0]
    metadata = manifest["metadata"]
    return f"/registry/{group}/{plural}/{metadata['namespace']}/{metadata['name']}"


def _stored(manifest: dict[str, Any]) -> str:
    """Return an object as the API server stores it: with all that it gives to a new one."""
    metadata = manifest["metadata"]
    given = {
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{metadata['namespace']}/{metadata['name']}")),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return json.dumps({**manifest, "metadata": {**given, **metadata}})


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
