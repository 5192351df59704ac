"""Learns of every write of a client and lays what came of it over the caches."""

from datetime import timedelta
from typing import final

from smbpctl.runtime.client import Verb, Write, outcome_unknown
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.consistency.overlay import Pending
from smbpctl.runtime.consistency.run import NEVER_WRITTEN, Need, current_run, holds
from smbpctl.runtime.consistency.scope import (
    Identity,
    Scope,
    Scopes,
    bound_version,
    identity_of,
)
from smbpctl.runtime.errors import AlreadyExists, Conflict, NotFound
from smbpctl.runtime.meta import StoredObject
from smbpctl.runtime.transport.answer import PathNotServed


@final
class WriteLedger:
    """Satisfies `WriteObserver`. Without scopes, before a cache is bound, it only counts for runs.

    A write is attributed to the run of the task that makes it, and concerns the informer whose
    scope admits the object *in the answer*: what no informer will be told of is not waited for.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._scopes: Scopes | None = None
        # By identity of the write: when it is over, and which object had the name at its start.
        self._open: dict[int, tuple[float, str]] = {}

    def bind(self, scopes: Scopes) -> None:
        """Lay answers over these informers from now on."""
        self._scopes = scopes

    def began(self, write: Write, over_within: timedelta) -> None:
        """Take note of a write about to be sent."""
        scope = self._scope(write)
        held = scope.overlay.over(write.key, scope.store.get(write.key)) if scope else None
        over_at = self._clock.monotonic() + over_within.total_seconds()
        self._open[id(write)] = over_at, held.meta.uid if held else ""
        if (run := current_run()) is not None:
            run.wrote(write)

    def answered(self, write: Write, body: bytes) -> None:
        """Take note of a success: its answer is read from now on."""
        del self._open[id(write)]
        scope = self._scope(write)
        if scope is None:
            return
        match write.verb:
            case Verb.DELETE_COLLECTION:
                _need(Need(scope, write.key, None, readable_at=self._clock.monotonic()))
            case Verb.DELETE | Verb.EVICT:
                self._deleted(scope, write, body)
            case _:
                self._written(scope, write, body)

    def failed(self, write: Write, error: BaseException) -> None:
        """Take note of a failure: of what is certain, and of what is open until it is read."""
        over_at, uid = self._open.pop(id(write))
        scope = self._scope(write)
        if not outcome_unknown(error):
            if scope is not None:
                _refused(scope, write, error, uid)
            return
        if (run := current_run()) is not None:
            run.not_before = max(run.not_before, over_at)
        if scope is not None:
            pending = scope.overlay.lost(write.key) if write.key.name else None
            _need(Need(scope, write.key, pending, readable_at=over_at))

    def _scope(self, write: Write) -> Scope | None:
        if self._scopes is None:
            return None
        return self._scopes.scope_of(write.gvk, write.key.namespace)

    def _written(self, scope: Scope, write: Write, body: bytes) -> None:
        stored = _decoded(scope, body)
        if stored is None:
            identity = identity_of(body)
            if identity.uid and identity.resource_version:
                _wait_for(scope, self._changed(scope, write, identity))
        elif not scope.admits(stored):
            scope.overlay.forget(stored.key)
        else:
            _wait_for(scope, scope.overlay.wrote(stored))

    def _changed(self, scope: Scope, write: Write, identity: Identity) -> Pending | None:
        # Content that cannot be shown: a subresource of a kind of its own, another API version.
        known = scope.overlay.over(write.key, scope.store.get(write.key))
        if known is None or known.meta.uid != identity.uid:
            return None  # nothing says that this informer is told of it
        return scope.overlay.changed(write.key, identity.uid, identity.resource_version)

    def _deleted(self, scope: Scope, write: Write, body: bytes) -> None:
        stored = _decoded(scope, body)
        if stored is not None and stored.meta.deletion_timestamp is not None:
            if scope.admits(stored):
                _wait_for(scope, scope.overlay.wrote(stored))
            return
        uid = stored.meta.uid if stored is not None else identity_of(body).uid
        moment = f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"
        _wait_for(scope, scope.overlay.deleting(write.key, uid, moment))


def _refused(scope: Scope, write: Write, error: BaseException, uid: str) -> None:
    """Take note of what a refusal says: that the object is gone, or that the cache is behind."""
    match error:
        case PathNotServed():
            pass  # says nothing of the object
        case NotFound() if uid:
            scope.overlay.learnt(write.key, None, gone=uid)
        case Conflict() | AlreadyExists():
            version = bound_version(write.body)
            if write.verb is Verb.CREATE and write.key.name:
                version = NEVER_WRITTEN
            if version and holds(scope, write.key, version):
                _need(Need(scope, write.key, None, outdated=version))
        case _:
            pass


def _wait_for(scope: Scope, pending: Pending | None) -> None:
    if pending is not None:
        # Not the key of the write: the server may have chosen the name.
        _need(Need(scope, pending.key, pending))


def _need(need: Need) -> None:
    if (run := current_run()) is not None:
        run.needs.append(need)


def _decoded(scope: Scope, body: bytes) -> StoredObject | None:
    try:
        return scope.decode(body)
    except ValueError:
        return None
