"""The record of one reconcile: what it read and wrote, and what of that is still to be seen."""

import hashlib
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import final

from smbpctl.runtime.client import Write
from smbpctl.runtime.consistency.overlay import Pending
from smbpctl.runtime.consistency.scope import Scope
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, ObjectMeta

NEVER_WRITTEN = "1"
"""No object has this version: etcd starts at 1, empty. A write bound to it is a creation."""

_CURRENT: ContextVar["Run | None"] = ContextVar("smbpctl_run", default=None)


@final
class Need:
    """Something that a run wrote and that its next run has to see.

    `pending` is the written object in the overlay of `scope`. `outdated` is the version that a
    write was bound to and refused for: the cache has to know another one. Without either the
    answer did not say which objects were written, and all in the namespace of `key` are in
    question. From `readable_at` on, on the runtime's clock, a live read tells what came of the
    write; None means that the cache will tell, and that a live read is needed only when that
    takes too long.
    """

    __slots__ = ("key", "outdated", "pending", "read", "readable_at", "reading", "scope")

    def __init__(
        self,
        scope: Scope,
        key: ObjectKey,
        pending: Pending | None,
        *,
        readable_at: float | None = None,
        outdated: str = "",
    ) -> None:
        self.scope: Scope = scope
        self.outdated: str = outdated
        self.key: ObjectKey = key
        self.pending: Pending | None = pending
        self.readable_at: float | None = readable_at
        self.reading: bool = False
        """Whether a live read of it has begun."""
        self.read: bool = False
        """Whether a live read has ended, and the overlay holds its answer."""

    @property
    def met(self) -> bool:
        """Tell whether the next read sees what was written."""
        if self.read or (self.pending is not None and self.pending.settled):
            return True
        return bool(self.outdated) and not holds(self.scope, self.key, self.outdated)


def holds(scope: Scope, key: ObjectKey, version: str) -> bool:
    """Tell whether a cache knows the object in exactly this version, or knows as little of it.

    The version of an object that was never written stands for its absence.
    """
    known = scope.overlay.over(key, scope.store.get(key))
    return version == NEVER_WRITTEN if known is None else known.meta.resource_version == version


@final
class Run:
    """What one run of a reconciler did, gathered in a `with` block, its child tasks included.

    `not_before` is the moment, on the runtime's clock, before which a write without answer may
    still be executed.
    """

    __slots__ = ("_reads", "_token", "_writes", "needs", "not_before")

    _token: Token["Run | None"]

    def __init__(self) -> None:
        self.needs: list[Need] = []
        self.not_before: float = 0.0
        self._reads: dict[tuple[GroupVersionKind, ObjectKey], tuple[str, int]] = {}
        self._writes: list[Write] = []

    # Its own context manager: every reconcile passes here, and a generator costs four times more.

    def __enter__(self) -> "Run":
        """Record from here on what this block, and every task begun in it, reads and writes."""
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Record no more of this block; tasks that it began still belong to the run."""
        _CURRENT.reset(self._token)

    def read(self, gvk: GroupVersionKind, meta: ObjectMeta) -> None:
        """Note that the run looked at this object."""
        self._reads[gvk, meta.key] = (meta.uid, meta.generation)

    def wrote(self, write: Write) -> None:
        """Note a write that was sent."""
        self._writes.append(write)

    @property
    def input_digest(self) -> str:
        """Return a hash of what was read: which objects, and which generation of them.

        Not their versions: a write of the run itself, or of whoever undoes it, changes those.
        """
        return _digest(
            f"{gvk}|{key}|{uid}|{generation}"
            for (gvk, key), (uid, generation) in sorted(self._reads.items())
        )

    @property
    def write_digest(self) -> str:
        """Return a hash of what was written, empty when nothing was."""
        if not self._writes:
            return ""
        written = ((str(write), hashlib.sha256(write.body).hexdigest()) for write in self._writes)
        return _digest(f"{what}|{body}" for what, body in sorted(written))


def current_run() -> Run | None:
    """Return the run that the calling task belongs to, None outside of any reconcile."""
    return _CURRENT.get()


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
