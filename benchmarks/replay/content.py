"""What the replay server says, prebuilt: pages, initial events, changes with slots to fill in."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from benchmarks.managed import managed_fields
from benchmarks.parcel import API_VERSION, KIND, served
from benchmarks.subjects.delays import SENT

# As many digits as there will ever be: the slots keep their places.
_FIRST_VERSION: Final = 1_000_000_000
_UNSENT: Final = "0" * 20

_MODIFIED: Final = b'{"type":"MODIFIED","object":'
_END: Final = b"}\n"

_PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


@final
class Content:
    """Parcels in both forms, each rendered once; changes get new versions as they are made."""

    def __init__(self, objects: int) -> None:
        """Render this many parcels, of which the last is told apart by `last`."""
        self.objects = objects
        self.version = _FIRST_VERSION + objects
        self._whole = [_rendered(_whole(number)) for number in range(objects)]
        self._partial: list[bytes] = []
        self._changes: dict[int, _Change] = {}
        self._changed: dict[int, bytes] = {}

    def page(self, start: int, limit: int, *, partial: bool) -> bytes:
        """Return a page of a list; without a limit, all that comes after `start`."""
        end = min(start + limit, self.objects) if limit else self.objects
        items = [self._item(number, partial=partial) for number in range(start, end)]
        kind, api_version = _PARTIAL.values() if partial else (KIND, API_VERSION)
        meta = {"resourceVersion": str(self.version)}
        if end < self.objects:
            meta |= {"continue": str(end)}
        head = {"kind": f"{kind}List", "apiVersion": api_version, "metadata": meta}
        return b'%b,"items":[%b]}' % (_rendered(head)[:-1], b",".join(items))

    def one(self, number: int) -> bytes:
        """Return one parcel as it is now."""
        number %= self.objects
        chunk = self._changed.get(number)
        return self._whole[number] if chunk is None else _object_in(chunk)

    def _item(self, number: int, *, partial: bool) -> bytes:
        if not partial:
            return self.one(number)
        if not self._partial:  # few clients ask for these
            self._partial = [_rendered(_partial(each)) for each in range(self.objects)]
        return self._partial[number]

    def initial_events(self, *, partial: bool) -> Iterator[bytes]:
        """Yield chunks with all parcels as added, and the bookmark that says so."""
        for number in range(self.objects):
            item = self._item(number, partial=partial)
            yield _chunk(b'{"type":"ADDED","object":%b}\n' % item)
        yield self.bookmark(partial=partial, annotations={"k8s.io/initial-events-end": "true"})

    def bookmark(self, *, partial: bool, annotations: Mapping[str, str] | None = None) -> bytes:
        """Return a chunk that says which version is the newest."""
        kind, api_version = _PARTIAL.values() if partial else (KIND, API_VERSION)
        meta: dict[str, Any] = {"resourceVersion": str(self.version)}
        if annotations:
            meta["annotations"] = annotations
        found = {"kind": kind, "apiVersion": api_version, "metadata": meta}
        return _chunk(b'{"type":"BOOKMARK","object":%b}\n' % _rendered(found))

    def change(self, number: int) -> bytes:
        """Return a chunk with the next change, of this parcel, sent now."""
        if number not in self._changes:
            self._changes[number] = _Change(self._whole[number])
        self.version += 1
        chunk = self._changed[number] = self._changes[number].made(self.version)
        return chunk

    def expired(self) -> bytes:
        """Return a chunk that says that the version to watch from is too old."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        return _chunk(b'{"type":"ERROR","object":%b}\n' % _rendered(status))


@final
class _Change:
    """A chunk in which version and moment are filled in."""

    def __init__(self, item: bytes) -> None:
        self._chunk = bytearray(_chunk(_MODIFIED + item + _END))
        self._version = _slot(self._chunk, b'"resourceVersion":"', 10)
        self._sent = _slot(self._chunk, f'"{SENT}":"'.encode(), len(_UNSENT))

    def made(self, version: int) -> bytes:
        self._chunk[self._version] = b"%010d" % version
        self._chunk[self._sent] = b"%020d" % time.monotonic_ns()
        return bytes(self._chunk)


def number_of(name: str) -> int:
    """Return the number of the parcel of that name."""
    return int(name.rpartition("-")[2])


def _whole(number: int) -> dict[str, Any]:
    made = served(number)
    meta = made["metadata"]
    meta["managedFields"] = managed_fields(number)
    meta["resourceVersion"] = str(_FIRST_VERSION + number)
    meta["labels"][SENT] = _UNSENT
    return made


def _partial(number: int) -> dict[str, Any]:
    return {**_PARTIAL, "metadata": _whole(number)["metadata"]}


def _rendered(value: object) -> bytes:
    # Sorted within metadata as Go does it for maps: what clients read last comes last.
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _object_in(chunk: bytes) -> bytes:
    start = chunk.index(_MODIFIED) + len(_MODIFIED)
    return chunk[start : -len(_END) - len(b"\r\n")]


def _slot(chunk: bytearray, before: bytes, length: int) -> slice:
    start = chunk.index(before) + len(before)
    return slice(start, start + length)
