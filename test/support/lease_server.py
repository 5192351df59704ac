"""The part of an API server that an election needs: Leases with optimistic locking, and watches."""

import copy
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    Feed,
    body_of,
    json_response,
    path_of,
    query_of,
    status_response,
)

Interference = Callable[[HttpRequest], Awaitable[Answer | None] | None]


class LeaseServer:
    """Serves the one Lease of an election to any number of transports.

    `before` is asked before each request: what it returns is the answer. `lose_answers` executes
    writes and then loses what was said.
    """

    def __init__(self, settings: LeaderElection) -> None:
        self._name = settings.lease_name
        self._root = f"/apis/coordination.k8s.io/v1/namespaces/{settings.namespace}/leases"
        self.lease: Manifest | None = None
        self.version = 100
        self.before: Interference | None = None
        self.lose_answers = False
        self.requests: list[HttpRequest] = []
        self._feeds: list[Feed] = []

    def transport(self) -> FakeTransport:
        """Return a new way to this server."""
        return FakeTransport(self._answer)

    @property
    def spec(self) -> dict[str, Any]:
        """Return the spec of the Lease; empty when there is none."""
        return {} if self.lease is None else self.lease["spec"]

    @property
    def holder(self) -> str:
        """Return who holds the Lease."""
        return str(self.spec.get("holderIdentity", ""))

    def put(self, lease: Manifest | None) -> None:
        """Store a version, None to delete, and tell the watches."""
        self.version += 1
        before, self.lease = self.lease, copy.deepcopy(lease)
        for told in (self.lease, before):
            if told is not None:
                told["metadata"]["resourceVersion"] = str(self.version)
        event = "ADDED" if before is None else "DELETED" if lease is None else "MODIFIED"
        for feed in self._feeds:
            feed.push_json({"type": event, "object": self.lease or before})

    def edit(self, **spec: Any) -> None:
        """Change fields of the Lease as a person does."""
        assert self.lease is not None
        self.put({**self.lease, "spec": {**self.lease["spec"], **spec}})

    def end_watches(self) -> None:
        """End every watch, cleanly."""
        for feed in self._feeds:
            feed.end()
        self._feeds.clear()

    async def _answer(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        if self.before is not None:
            interfered = self.before(request)
            answer = await interfered if isinstance(interfered, Awaitable) else interfered
            if answer is not None:
                return answer
        # A moment on the way, so that others get their turn.
        await LoopClock().sleep(timedelta(milliseconds=1))
        if path_of(request) == self._root and request.method == "GET":
            return self._watch(request)
        if request.method == "GET":
            return self._missing() if self.lease is None else json_response(self.lease)
        return self._write(request)

    def _watch(self, request: HttpRequest) -> FakeResponse:
        assert query_of(request)["fieldSelector"] == f"metadata.name={self._name}"
        feed = Feed()
        self._feeds.append(feed)
        if self.lease is not None:
            feed.push_json({"type": "ADDED", "object": self.lease})
        return FakeResponse(stream=feed)

    def _write(self, request: HttpRequest) -> Answer:
        manifest: Manifest = body_of(request)
        if request.method == "POST":
            if self.lease is not None:
                return status_response(409, "AlreadyExists", f'leases "{self._name}" exists')
        elif self.lease is None:
            return self._missing()
        elif manifest["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return status_response(409, "Conflict", "the object has been modified")
        self.put(manifest)
        if self.lose_answers:
            return TransportError("the connection was lost", sent=True)
        return json_response(self.lease, 201 if request.method == "POST" else 200)

    def _missing(self) -> FakeResponse:
        details = {"name": self._name, "kind": "leases"}
        return status_response(404, "NotFound", f'leases "{self._name}" not found', details=details)
