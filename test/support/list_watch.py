"""A model of the API server's list and watch of one kind, with faults chosen by the test."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar, final

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import (
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
)
from smbpctl.runtime.informer.client import Scope
from smbpctl.runtime.meta import FieldSelector, GroupVersionKind, LabelSelector

T = TypeVar("T")

WIDGET = GroupVersionKind("demo.example.com", "v1", "Widget")

_BOOKMARK_EVERY = 60.0
_LIST_REFUSALS = [*[""] * 12, "transport", "forbidden", "busy", "broken"]
_HTML = b"<html><body>502 Bad Gateway</body></html>"


@final
class Choices:
    """Answers "which?" from a list of numbers; option 0, the boring one, when they run out."""

    def __init__(self, numbers: Sequence[int] = ()) -> None:
        self._numbers = list(numbers)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[self._numbers.pop(0) % len(options)] if self._numbers else options[0]

    def stop(self) -> None:
        """Choose the boring option from now on."""
        self._numbers.clear()


class Streaming(Enum):
    """What a server does when it is asked for a list as a stream."""

    MARKED = "marks the end"
    REFUSED = "refuses"
    UNMARKED = "knows the request, or ignores it, and never marks the end"


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write: the object before and after it, and its revision."""

    revision: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def status(code: int, reason: str) -> dict[str, Any]:
    """Return a failure `Status`."""
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": reason}


def encode(document: object) -> bytes:
    """Return compact JSON, as servers write it."""
    return json.dumps(document, separators=(",", ":")).encode()


@final
@dataclass
class ModelServer:
    """One log of writes with revisions; lists are snapshots of it, watches are cursors in it.

    `choices` decides at each injection point; every fault is one a real server, proxy or network
    can cause. `lists` and `watches` record the requests.
    """

    gvk: GroupVersionKind = WIDGET
    choices: Choices = field(default_factory=Choices)
    revision: int = 100
    compacted: int = 0
    served: bool = True
    streaming: Streaming = Streaming.MARKED
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    lists: list[dict[str, Any]] = field(default_factory=list)
    watches: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._uids = 0
        self._changed = asyncio.Event()
        self._clock = LoopClock()

    def put(self, name: str, *, namespace: str = "default", **extra: Any) -> dict[str, Any]:
        """Create or update an object; `extra` are its labels."""
        before = self.objects.get((namespace, name))
        if before is None:
            self._uids += 1
        uid = before["metadata"]["uid"] if before else f"uid-{self._uids}"
        generation = before["metadata"]["generation"] + 1 if before else 1
        after = {
            "apiVersion": self.gvk.api_version,
            "kind": self.gvk.kind,
            "metadata": {
                "generation": generation,
                "labels": extra,
                "managedFields": [
                    {
                        "manager": "demo",
                        "operation": "Apply",
                        "fieldsV1": {"f:spec": {f"f:{generation % 3}": {}}},
                    }
                ],
                "name": name,
                "namespace": namespace,
                "resourceVersion": str(self.revision + 1),
                "uid": uid,
            },
            "spec": {"size": generation, "text": "zażółć\n{}"},
        }
        self.objects[namespace, name] = after
        self._commit(before, after)
        return after

    def delete(self, name: str, *, namespace: str = "default") -> None:
        """Delete an object if it is there."""
        before = self.objects.pop((namespace, name), None)
        if before is not None:
            self._commit(before, None)

    def compact(self) -> None:
        """Forget the history up to now: watches that want more of it are refused."""
        self.compacted = self.revision

    def vanish(self) -> None:
        """Stop serving the kind, as when its CRD is deleted; what is there is lost unseen."""
        self.served = False
        self.objects.clear()
        self._wake()

    def in_scope(self, document: dict[str, Any], scope: Scope) -> bool:
        """Tell whether an object is among those that are asked for."""
        return _matches(document, scope.namespace, scope.selector, scope.fields)

    def versions(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Return UID and resourceVersion of every object by namespace and name."""
        return {
            key: (each["metadata"]["uid"], each["metadata"]["resourceVersion"])
            for key, each in self.objects.items()
        }

    async def list_pages(
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
        """Yield pages of one snapshot, unless a fault is chosen."""
        self.lists.append({"namespace": namespace, "resource_version": resource_version})
        await self._clock.sleep(timedelta(milliseconds=5))
        self._refuse(gvk, _LIST_REFUSALS)
        version, items = self.revision, self._select(namespace, selector, fields)
        starts = range(0, max(1, len(items)), page_size)
        for start in starts:
            if start:
                await self._clock.sleep(timedelta(milliseconds=5))
                fault = self.choices.pick(["", "", "", "inconsistent", "gone", "transport"])
                if fault == "gone":
                    raise Gone("continue token expired", code=410)
                if fault == "transport":
                    raise TransportError("connection reset", sent=True)
                if fault == "inconsistent":
                    self.delete(items[0]["metadata"]["name"])
                    version, items = self.revision, self._select(namespace, selector, fields)
            shown = [_listed(item, metadata_only) for item in items[start : start + page_size]]
            body = encode({"metadata": {"resourceVersion": str(version)}, "items": shown})
            yield self.choices.pick([*[body] * 14, body[:-7], _HTML])

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
        gathers: Callable[[], bool] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch behind `resource_version`, unless a fault is chosen."""
        self.watches.append(
            {
                "resource_version": resource_version,
                "timeout": timeout,
                "initial_events": initial_events,
            }
        )
        position = int(resource_version or 0)
        scope = (namespace, selector, fields)
        cursor = _Cursor(self, position, scope, metadata_only, initial=initial_events)
        return self._opened(gvk, cursor, timeout.total_seconds())

    @asynccontextmanager
    async def _opened(
        self, gvk: GroupVersionKind, cursor: "_Cursor", seconds: float
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        await self._clock.sleep(timedelta(milliseconds=5))
        self._refuse(gvk, [*_LIST_REFUSALS, "gone"])
        if cursor.initial and self.streaming is Streaming.REFUSED:
            raise Invalid("sendInitialEvents: Forbidden: the feature gate is off", code=422)
        stream = self._stream(cursor, self._clock.monotonic() + seconds)
        try:
            yield stream
        finally:
            await stream.aclose()

    def _refuse(self, gvk: GroupVersionKind, faults: Sequence[str]) -> None:
        if not self.served or gvk != self.gvk:
            raise NotFound("the server could not find the requested resource", code=404)
        errors: dict[str, Exception] = {
            "transport": TransportError("connection refused", sent=False),
            "forbidden": Forbidden("widgets is forbidden: cannot list", code=403),
            "broken": ServerError("etcdserver: leader changed", code=500),
            "gone": Gone("too old resource version", code=410),
            "busy": TooManyRequests("slow down", code=429, retry_after=timedelta(seconds=7)),
        }
        fault = self.choices.pick(faults)
        if fault:
            raise errors[fault]

    async def _stream(self, cursor: "_Cursor", closes_at: float) -> AsyncGenerator[bytes, None]:
        told: list[bytes] = []
        while self.served and (left := closes_at - self._clock.monotonic()) > 0:
            lines = cursor.take()
            if not lines and not await self._wait(min(left, _BOOKMARK_EVERY)):
                lines = [cursor.bookmark()]
            for line in lines:
                # The first list is short beside the rest of a life, and has faults of its own.
                usual = [""] * 20 if cursor.told else [*[""] * 30, *["duplicate"] * 15]
                fault = self.choices.pick([*usual, *_STREAM_FAULTS])
                for chunk in self._chunks(fault, line, told):
                    yield chunk
                told.append(line)
                if fault == "silence":
                    await self._clock.sleep(timedelta(days=1))
                if fault in _FINAL_FAULTS or cursor.failed:
                    return
            cursor.told = True

    def _chunks(self, fault: str, line: bytes, told: list[bytes]) -> Iterator[bytes]:
        """Cut a line at a chosen place, and spoil it as the fault says."""
        middle = self.choices.pick([len(line), 1, len(line) // 2, len(line) - 1])
        match fault:
            case "reset":
                yield line[:middle]
                raise TransportError("connection reset", sent=True)
            case "closed inside a line":
                yield line[: min(middle, len(line) - 1)]
            case "malformed":
                yield line[:-2] + b"\n"
            case "foreign":
                yield event("MODIFIED", {"kind": "Other", "metadata": {"name": "x"}})
            case "error":
                yield event("ERROR", status(500, "InternalError"))
            case "gone":
                yield event("ERROR", status(410, "Expired"))
            case "duplicate":
                yield line + b"\n" + b"".join(told)
            case _:
                yield line[:middle]
                yield line[middle:]

    async def _wait(self, seconds: float) -> bool:
        """Wait for a change; return whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _commit(self, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        self.revision += 1
        self.log.append(Change(self.revision, before, after))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _select(
        self,
        namespace: str,
        selector: LabelSelector | None,
        fields: FieldSelector | None = None,
    ) -> list[dict[str, Any]]:
        return [
            self.objects[key]
            for key in sorted(self.objects)
            if _matches(self.objects[key], namespace, selector, fields)
        ]


_FINAL_FAULTS = ["closed", "closed inside a line", "error", "gone"]
_STREAM_FAULTS = [*_FINAL_FAULTS, "reset", "malformed", "foreign", "duplicate", "silence"]


@final
@dataclass
class _Cursor:
    """Where one watch stands in the log."""

    server: ModelServer
    position: int
    scope: tuple[str, LabelSelector | None, FieldSelector | None]
    metadata_only: bool
    initial: bool = False
    failed: bool = False
    told: bool = False

    def take(self) -> list[bytes]:
        """Return the lines behind the cursor and move it to the end of the log."""
        if self.initial:
            self.initial = False
            return self._initial_events()
        if self.position < self.server.compacted:
            self.failed = True
            return [event("ERROR", status(410, "Expired"))]
        changes = [each for each in self.server.log if each.revision > self.position]
        self.position = self.server.revision
        return [line for line in map(self._line, changes) if line]

    def bookmark(self, **annotations: str) -> bytes:
        """Return a bookmark of where the cursor stands."""
        metadata: dict[str, Any] = {"resourceVersion": str(self.position)}
        metadata |= {"creationTimestamp": None, "annotations": annotations or None}
        return event("BOOKMARK", {"kind": self.server.gvk.kind, "metadata": metadata})

    def _initial_events(self) -> list[bytes]:
        """Return all that is there, some of it as it was a while ago, then what happened since.

        So does a watch cache that lags behind: it tells its own state and then catches up, and
        the bookmark comes once it has reached the state there was when the request came.
        """
        server = self.server
        self.position = max(server.compacted, server.revision - server.choices.pick([0, 1, 3, 9]))
        then = dict(server.objects)
        for change in reversed([each for each in server.log if each.revision > self.position]):
            key = _position(change.before or change.after or {})
            if change.before is None:
                del then[key]
            else:
                then[key] = change.before
        lines = [
            event("ADDED", _shown(then[key], self.metadata_only))
            for key in server.choices.pick([sorted, reversed])(list(then))
            if _matches(then[key], *self.scope)
        ]
        lines += self.take()
        if server.streaming is Streaming.MARKED:
            lines.append(self.bookmark(**{"k8s.io/initial-events-end": "true"}))
        return lines

    def _line(self, change: Change) -> bytes:
        before, after = (
            each if _matches(each, *self.scope) else None for each in (change.before, change.after)
        )
        if after is not None:
            shown = _shown(after, self.metadata_only)
            return event("ADDED" if before is None else "MODIFIED", shown)
        if before is None:
            return b""
        # The last state there was, at the revision at which it went, or left the selection.
        metadata = {**before["metadata"], "resourceVersion": str(change.revision)}
        return event("DELETED", _shown({**before, "metadata": metadata}, self.metadata_only))


def event(kind: str, document: object) -> bytes:
    """Return one line of a watch stream."""
    return encode({"type": kind, "object": document}) + b"\n"


def _matches(
    document: dict[str, Any] | None,
    namespace: str,
    selector: LabelSelector | None,
    fields: FieldSelector | None,
) -> bool:
    if document is None:
        return False
    metadata = document["metadata"]
    return (
        namespace in ("", metadata["namespace"])
        and (selector is None or selector.matches(metadata["labels"]))
        and (fields is None or _selected(metadata, fields))
    )


def _selected(metadata: dict[str, Any], fields: FieldSelector) -> bool:
    """Select by the two fields that every kind has."""
    values = {f"metadata.{name}": metadata[name] for name in ("name", "namespace")}
    return all(values[path] == value for path, value in fields.equals) and all(
        values[path] != value for path, value in fields.differs
    )


def _position(document: dict[str, Any]) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _listed(document: dict[str, Any], metadata_only: bool) -> dict[str, Any]:
    """Return an item of a list: those of built-in kinds come without their kind."""
    if metadata_only:
        return _shown(document, metadata_only)
    return {name: document[name] for name in document if name not in ("apiVersion", "kind")}


def _shown(document: dict[str, Any], metadata_only: bool) -> dict[str, Any]:
    if not metadata_only:
        return document
    return {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": document["metadata"],
    }
