"""The HTTP side of the replay server: a thread for each connection, one watch at a time."""

import json
import queue
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, final
from urllib.parse import parse_qs, urlsplit

from benchmarks.parcel import GROUP, NAMESPACE, PLURAL, VERSION
from benchmarks.replay.content import Content, number_of
from benchmarks.replay.discovery import AGGREGATED, EMPTY, aggregated, classic

_BOOKMARK_SECONDS = 30
_BATCH = 32
# A sleep shorter than this ends late.
_SLEEPABLE_SECONDS = 0.0002
_COLLECTIONS = (
    f"/apis/{GROUP}/{VERSION}/{PLURAL}",
    f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}",
)
_VERSION_2 = re.compile(r"v=v2\b")
_NOTHING = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
_ALLOWED = (
    b'{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1",'
    b'"status":{"allowed":true}}'
)
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@final
@dataclass(frozen=True, slots=True)
class Play:
    """Send so many changes, the last of them to the last object; a rate of 0 is flat out.

    All objects but the last take turns, at most `spread` of them.
    """

    events: int
    rate: float
    spread: int = 2000


@final
@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def partial(self) -> bool:
        """Tell whether metadata alone is wanted."""
        return "PartialObjectMetadata" in self.headers.get("accept", "")

    @property
    def aggregated(self) -> bool:
        """Tell whether discovery in one document is understood."""
        accept = self.headers.get("accept", "")
        return "apidiscovery" in accept and _VERSION_2.search(accept) is not None


@final
class ReplayServer:
    """Serves parcels on a port of the loopback until the process ends."""

    def __init__(self, objects: int) -> None:
        self._content = Content(objects)
        self._classic = {path: json.dumps(each).encode() for path, each in classic().items()}
        self._aggregated = {path: json.dumps(each).encode() for path, each in aggregated().items()}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._plays: queue.SimpleQueue[Play | None] = queue.SimpleQueue()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def counts(self) -> Mapping[str, int]:
        """Return how many requests came, by verb."""
        with self._lock:
            return dict(self._counts)

    def play(self, play: Play) -> None:
        """Have the watch that is open send changes, or the next one to be opened."""
        self._plays.put(play)

    def expire(self) -> None:
        """End the watch that is open, or the next one, as if its version were too old."""
        self._plays.put(None)

    def serve(self) -> None:
        """Accept connections for ever."""
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (request := _read(stream)) is not None:
                    self._answer(connection, request)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client is done

    def _answer(self, connection: socket.socket, request: _Request) -> None:
        watching = request.query.get("watch") in ("1", "true", "True")
        self._count("WATCH" if watching else request.method)
        collection, _, name = request.path.rpartition("/")
        if watching and request.path in _COLLECTIONS:
            self._watch(connection, request)
        elif watching:
            connection.sendall(_STREAM)
            connection.recv(1)  # nothing happens until the client goes away
        elif request.path in _COLLECTIONS:
            start = int(request.query.get("continue") or 0)
            limit = int(request.query.get("limit") or 0)
            _send(connection, self._content.page(start, limit, partial=request.partial))
        elif collection in _COLLECTIONS:
            _send(connection, self._content.one(number_of(name)))
        elif request.path.startswith("/apis/authorization.k8s.io/"):
            _send(connection, _ALLOWED, status="201 Created")
        elif request.path in EMPTY:
            _send(connection, _NOTHING)
        elif request.path in self._aggregated and request.aggregated:
            found = self._aggregated[request.path]
            _send(connection, found, media_type=f"application/json;{AGGREGATED}")
        elif request.path in self._classic:
            _send(connection, self._classic[request.path])
        else:
            status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
            status |= {"reason": "NotFound", "code": 404, "message": f"no {request.path}"}
            _send(connection, json.dumps(status).encode(), status="404 Not Found")

    def _count(self, verb: str) -> None:
        with self._lock:
            self._counts[verb] += 1

    def _watch(self, connection: socket.socket, request: _Request) -> None:
        connection.sendall(_STREAM)
        if request.query.get("sendInitialEvents") == "true":
            for chunk in self._content.initial_events(partial=request.partial):
                connection.sendall(chunk)
        while True:
            try:
                play = self._plays.get(timeout=_BOOKMARK_SECONDS)
            except queue.Empty:
                connection.sendall(self._content.bookmark(partial=request.partial))
            else:
                if play is None:
                    connection.sendall(self._content.expired() + b"0\r\n\r\n")
                    return
                self._send_changes(connection, play)

    def _send_changes(self, connection: socket.socket, play: Play) -> None:
        last = self._content.objects - 1
        turns = max(1, min(last, play.spread))
        numbers = [*(index % turns for index in range(play.events - 1)), last]
        if play.rate:
            self._send_paced(connection, numbers, play.rate)
        else:
            for start in range(0, len(numbers), _BATCH):
                batch = numbers[start : start + _BATCH]
                connection.sendall(b"".join(map(self._content.change, batch)))

    def _send_paced(self, connection: socket.socket, numbers: list[int], rate: float) -> None:
        begun = time.monotonic()
        for index, number in enumerate(numbers):
            due = begun + index / rate
            while (early := due - time.monotonic()) > 0:
                if early > _SLEEPABLE_SECONDS:
                    time.sleep(early - _SLEEPABLE_SECONDS / 2)
            connection.sendall(self._content.change(number))


def _read(stream: IO[bytes]) -> _Request | None:
    """Read one request with its body; return None when the client has no more."""
    line = stream.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while header := stream.readline().strip():
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    stream.read(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return _Request(method, parts.path, query, headers)


def _send(
    connection: socket.socket,
    body: bytes,
    *,
    status: str = "200 OK",
    media_type: str = "application/json",
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}"
    connection.sendall(head.encode() + b"\r\n\r\n" + body)
