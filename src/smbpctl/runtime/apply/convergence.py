"""Decides whether an apply would change anything, from ownership instead of values."""

from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, final

from smbpctl.runtime.apply.desired import Desired, canonical_hash
from smbpctl.runtime.apply.fields import differences, filled_lists
from smbpctl.runtime.apply.live import LiveView, is_older
from smbpctl.runtime.meta import GroupKind, GroupVersionKind, ObjectKey

ObjectId: TypeAlias = tuple[GroupVersionKind, ObjectKey]
"""A kind and a key: which object, as reports and keep lists name it."""

_REASONS = 5
_MEMORY = 16_384


@final
@dataclass(frozen=True, slots=True)
class Settled:
    """A state in which nothing was left to apply: the server's answer, or what a pass found."""

    uid: str
    resource_version: str
    digest: str
    fields_digest: str


@final
class SettledMemory:
    """The last settled state per object, as far as there is room; forgetting one is harmless.

    It makes the skip exact where the record of ownership alone is ambiguous, and ends what would
    loop: when admission takes a field from us in the very request that sets it, the walk alone
    would never find the object converged.
    """

    def __init__(self, limit: int = _MEMORY) -> None:
        self._limit = limit
        self._states: dict[tuple[GroupKind, ObjectKey], Settled] = {}

    def record(self, desired: Desired, live: LiveView) -> None:
        """Remember the object as settled with `desired`, unless it shows no fields of ours."""
        which = (desired.gvk.group_kind, desired.key)
        self._states.pop(which, None)
        if live.fields is None:
            return
        while len(self._states) >= self._limit:
            del self._states[next(iter(self._states))]
        self._states[which] = Settled(
            live.uid, live.resource_version, desired.digest, canonical_hash(live.fields)
        )

    def recall(self, desired: Desired, uid: str) -> Settled | None:
        """Return the last settled state, if it is of exactly this and of this object."""
        state = self._states.get((desired.gvk.group_kind, desired.key))
        return state if state and (state.uid, state.digest) == (uid, desired.digest) else None


def reasons_to_apply(
    desired: Desired, live: LiveView, *, annotation: str, settled: Settled | None
) -> tuple[str, ...]:
    """Say why an apply is needed, at most five reasons; none when it would change nothing.

    Nothing is to do when the object carries the hash of `desired` and either the fields we own
    are those it was settled with, or, in a new process, they cover every leaf of it and nothing
    else. A view older than the settled one tells nothing new: the cache will catch up.
    """
    if settled is not None and is_older(live.resource_version, settled.resource_version):
        return ()
    if live.annotations.get(annotation) != desired.digest:
        return ("desired object changed",)
    if live.fields is None:
        return ("no field is owned",)
    if settled is not None and canonical_hash(live.fields) == settled.fields_digest:
        return ()
    if found := tuple(map(str, islice(differences(desired.body, live.fields), _REASONS))):
        return found
    if settled is not None:
        return ("owned fields changed since they were settled",)
    if not desired.has_empty_list:
        return ()
    return tuple(
        map(str, islice(filled_lists(desired.body, live.manifest(), live.fields), _REASONS))
    )
