"""`DryRunRecorder`: lets a reconciler run without changing anything, and tells what it would do."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, final

from smbpctl.runtime.client.calls import (
    Backend,
    Chunks,
    GetCall,
    ListCall,
    RawCall,
    WatchCall,
    WriteCall,
)
from smbpctl.runtime.client.changes import Change, changes
from smbpctl.runtime.client.guards import Verb
from smbpctl.runtime.client.live import Client
from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.errors import ApiStatusError, NotFound
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, metadata_of

_ATTEMPTS = 5
_TAKES_AWAY = frozenset({Verb.DELETE, Verb.DELETE_COLLECTION, Verb.EVICT})


class Effect(Enum):
    """What a write would have come to."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    """Or marked as deleted, where finalizers or a grace period hold it."""
    ABSENT = "absent"
    """There is nothing to delete."""
    REFUSED = "refused"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One write that was not made, with what the server says would have come of it.

    `changes` tells the fields against what is stored, secret values redacted; there are none
    where objects are taken away. `refusal` is the server's word where it refused. `key` has no
    name where the server would choose it, and for a collection, which is told object by object.
    """

    verb: Verb
    gvk: GroupVersionKind
    key: ObjectKey
    subresource: str
    field_owner: str
    effect: Effect
    changes: tuple[Change, ...] = ()
    refusal: str = ""

    def __str__(self) -> str:
        kind = f"{self.gvk.kind}/{self.subresource}" if self.subresource else self.gvk.kind
        head = f"{self.verb.value} {kind} {self.key}: {self.effect.value}"
        lines = [f"{head}: {self.refusal}" if self.refusal else head]
        return "\n".join([*lines, *(f"  {change}" for change in self.changes)])


@final
class DryRunRecorder:
    """Records the writes of `client`, each with the server's answer to a dry run of it.

    Reads show what is stored, not what was planned before them: each write is told against that,
    and one that builds on an earlier one (a status of an object that would be created) is refused
    as the server would refuse it now. What the server answers, a refusal included, reaches the
    caller. Nothing is stored, also by raw requests; no fence or observer is involved.
    """

    def __init__(self, client: Client) -> None:
        self._planned: list[PlannedWrite] = []
        self._client = client.wrapped(lambda backend: _Recording(backend, self._planned))

    @property
    def client(self) -> Client:
        """Return the client to give to whatever is to be run."""
        return self._client

    @property
    def planned(self) -> tuple[PlannedWrite, ...]:
        """Return the writes so far, in the order of their answers."""
        return tuple(self._planned)


@final
class _Recording:
    """Satisfies `Backend`; makes a dry run of every write."""

    def __init__(self, backend: Backend, planned: list[PlannedWrite]) -> None:
        self._backend = backend
        self._planned = planned

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Pass on."""
        return await self._backend.resource(gvk)

    async def get(self, call: GetCall) -> Manifest | None:
        """Pass on."""
        return await self._backend.get(call)

    def pages(self, call: ListCall) -> AsyncIterator[bytes]:
        """Pass on."""
        return self._backend.pages(call)

    def watch(self, call: WatchCall) -> Chunks:
        """Pass on."""
        return self._backend.watch(call)

    async def raw(self, call: RawCall) -> bytes:
        """Pass on as a dry run."""
        return await self._backend.raw(replace(call, dry_run=True))

    async def write(self, call: WriteCall) -> Manifest:
        """Make a dry run and record it; what is one already is no write."""
        if call.dry_run:
            return await self._backend.write(call)
        before, answer = await self._tried(call)
        if call.verb is Verb.DELETE_COLLECTION:
            for item in answer.get("items") or ():
                self._note(call, _key(item), Effect.DELETED)
        elif call.verb in _TAKES_AWAY:
            self._note(call, call.key, Effect.DELETED)
        else:
            self._note_content(call, before, answer)
        return answer

    async def _tried(self, call: WriteCall) -> tuple[Manifest | None, Manifest]:
        """Return what is stored and what the write would make of it, of one moment if possible."""
        before, answer = None, {}
        for _ in range(_ATTEMPTS):
            before = await self._before(call)
            answer = await self._dry(call)
            # A dry run answers in the version it started from. In another one the object has
            # changed since it was read, and what others did would look like our doing.
            if not call.stores or _version(before or {}) == _version(answer):
                break
        return before, answer

    async def _dry(self, call: WriteCall) -> Manifest:
        try:
            return await self._backend.write(replace(call, dry_run=True))
        except ApiStatusError as error:
            absent = isinstance(error, NotFound) and call.verb is Verb.DELETE
            effect = Effect.ABSENT if absent else Effect.REFUSED
            self._note(call, call.key, effect, refusal="" if absent else str(error))
            raise

    async def _before(self, call: WriteCall) -> Manifest | None:
        if not call.stores or call.verb is Verb.CREATE:
            return None
        # All other subresources are answered by the object itself.
        subresource = call.subresource if call.subresource == "scale" else ""
        return await self._backend.get(GetCall(call.gvk, call.key, subresource))

    def _note_content(self, call: WriteCall, before: Manifest | None, answer: Manifest) -> None:
        found = changes(before, answer)
        effect = Effect.CHANGED if found else Effect.UNCHANGED
        self._note(call, call.key, Effect.CREATED if before is None else effect, found=found)

    def _note(
        self,
        call: WriteCall,
        key: ObjectKey,
        effect: Effect,
        *,
        found: tuple[Change, ...] = (),
        refusal: str = "",
    ) -> None:
        self._planned.append(
            PlannedWrite(
                verb=call.verb,
                gvk=call.gvk,
                key=key,
                subresource=call.subresource,
                field_owner=call.field_owner,
                effect=effect,
                changes=found,
                refusal=refusal,
            )
        )


def _key(item: Mapping[str, Any]) -> ObjectKey:
    metadata = metadata_of(item)
    return ObjectKey(str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))


def _version(manifest: Mapping[str, Any]) -> str:
    return str(metadata_of(manifest).get("resourceVersion") or "")
