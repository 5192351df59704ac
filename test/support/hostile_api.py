"""A small API server of ConfigMaps, and a way to it that spoils as many answers as it is told."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_api import CONFIG_MAP, FakeApi
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    Feed,
    json_response,
    status_response,
)

AHEAD = "999999999999"
"""A version that the server has not reached: it takes it, and then has nothing to tell."""

ODD_VERSIONS = ["-5", "9" * 30, "abc", AHEAD]
FAULTS = [
    *("login page", "bad gateway", "reset", "empty", "truncated", "malformed"),
    *("no name", "another kind", "no version"),
    *(f"version {odd}" for odd in ODD_VERSIONS),
]

_LOGIN = FakeResponse(200, b"<html><h1>Log in</h1></html>", {"content-type": "text/html"})
_GATEWAY = FakeResponse(502, b"<html><h1>Bad Gateway</h1></html>", {"content-type": "text/html"})
_ANY: dict[str, Answer] = {
    "login page": _LOGIN,
    "bad gateway": _GATEWAY,
    "reset": TransportError("connection reset", sent=True),
    "empty": FakeResponse(200, b""),
}
_NAMELESS: Manifest = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"namespace": "ns"}}
_OTHER: Manifest = {
    "kind": "Other",
    "apiVersion": "v1",
    "metadata": {"name": "other", "namespace": "ns", "resourceVersion": "5"},
}


class HostileApi:
    """The truth is in `objects`, by name; `faults` says for each request what spoils it, if any.

    Lists come as streams if it `streams`, else those are refused as by a server that does not
    know them; like all servers it refuses to watch from what is no version.
    """

    def __init__(self, faults: Sequence[str], *, streams: bool = False) -> None:
        self.objects: dict[str, Manifest] = {}
        self.spoilt = 0
        self._discovery = FakeApi(kinds=(CONFIG_MAP,))
        self._streams = streams
        self._faults = list(faults)
        self._revision = 10
        self._lines: list[tuple[int, bytes]] = []
        self._feeds: list[Feed] = []

    @property
    def calm(self) -> bool:
        """Tell whether nothing is going to be spoilt any more."""
        return not self._faults

    def transport(self) -> FakeTransport:
        """Return the way to the server."""
        return FakeTransport(self._answer)

    def put(self, name: str, size: int = 1) -> None:
        """Create or change an object, with `size` bytes of content."""
        old = self.objects.get(name)
        self._revision += 1
        uid = old["metadata"]["uid"] if old else f"uid-{self._revision}"
        self.objects[name] = {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": uid,
                "resourceVersion": str(self._revision),
            },
            "data": {"k": "x" * size},
        }
        self._tell("MODIFIED" if old else "ADDED", self.objects[name])

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        gone = self.objects.pop(name, None)
        if gone is not None:
            self._revision += 1
            gone["metadata"]["resourceVersion"] = str(self._revision)
            self._tell("DELETED", gone)

    def _tell(self, event: str, manifest: Manifest) -> None:
        line = _line(event, manifest)
        self._lines.append((self._revision, line))
        for feed in self._feeds:
            feed.push(line)

    async def _answer(self, request: HttpRequest) -> Answer:
        url = urlsplit(request.url)
        fault = self._faults.pop(0) if self._faults else ""
        self.spoilt += bool(fault)
        if fault in _ANY:
            return _ANY[fault]
        if url.path in {"/api", "/apis"}:
            return await self._discovery._answer(request)
        query = parse_qs(url.query)
        if "watch" in query:
            return self._watch(query, fault)
        return self._list(fault)

    def _list(self, fault: str) -> Answer:
        items: list[Any] = list(self.objects.values())
        metadata = {"resourceVersion": str(self._revision)}
        match fault.partition(" "):
            case ("no", _, "name"):
                items.append(_NAMELESS)
            case ("another", _, _):
                items.append(_OTHER)
            case ("no", _, "version"):
                metadata = {}
            case ("version", _, odd):
                metadata = {"resourceVersion": odd}
        answer = json_response({"kind": "ConfigMapList", "metadata": metadata, "items": items})
        if fault in {"truncated", "malformed"}:
            return FakeResponse(200, answer.body[:-9])
        return answer

    def _watch(self, query: dict[str, list[str]], fault: str) -> Answer:
        if "sendInitialEvents" in query:
            return self._stream(fault)
        version = query["resourceVersion"][0]
        if not version.isdecimal() or len(version) > 18:
            return status_response(500, "", f'resourceVersion: Invalid value: "{version}"')
        known = [line for revision, line in self._lines if revision > int(version)]
        if fault:
            return FakeResponse(stream=[*known, *_spoilt(fault)])
        return self._follow(known, ahead=version == AHEAD)

    def _stream(self, fault: str) -> Answer:
        if not self._streams:
            return status_response(400, "BadRequest", "sendInitialEvents is not supported")
        initial = [_line("ADDED", each) for each in self.objects.values()]
        if fault.startswith("version "):
            odd = fault.removeprefix("version ")
            return self._follow([*initial, _end(odd)], ahead=True)
        if fault:
            return FakeResponse(stream=[*initial, *_spoilt(fault)])
        return self._follow([*initial, _end(str(self._revision))])

    def _follow(self, lines: list[bytes], *, ahead: bool = False) -> FakeResponse:
        """Return a stream of these lines and of all that comes, or of nothing more."""
        feed = Feed()
        feed.push(*lines)
        if not ahead:
            self._feeds.append(feed)
        return FakeResponse(stream=feed)


def _line(event: str, manifest: Manifest) -> bytes:
    return json.dumps({"type": event, "object": manifest}).encode() + b"\n"


def _end(version: str) -> bytes:
    """Return the bookmark that ends the initial events of a stream."""
    marked = {"resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}}
    return _line("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": marked})


def _spoilt(fault: str) -> list[bytes]:
    """Return what ends a watch badly, after all that there was to tell."""
    match fault.partition(" "):
        case ("no", _, "name"):
            return [_line("ADDED", _NAMELESS)]
        case ("another", _, _):
            return [_line("ADDED", _OTHER)]
        case ("version", _, odd):
            return [_line("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": odd}})]
        case ("truncated", _, _):
            return [_line("ADDED", _OTHER)[:-9]]
        case _:
            return [b'{"type": "ADDED", "object": <html>\n']
