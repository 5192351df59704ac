"""What the caller of an apply believes about the object, and how a refusal is told."""

import re
from dataclasses import dataclass, field
from typing import TypeAlias, final

from smbpctl.runtime.errors import Conflict, Invalid
from smbpctl.runtime.meta import ObjectKey

_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')


@final
@dataclass(frozen=True, slots=True)
class Existing:
    """The object with this UID exists: the apply can neither create nor hit a namesake.

    With `resource_version` it fails as well when anything at all has changed since that read.
    """

    uid: str
    resource_version: str | None = None

    def __post_init__(self) -> None:
        if not self.uid:
            raise ValueError("Existing needs the uid of an object that was read from a server")


@final
@dataclass(frozen=True, slots=True)
class Absent:
    """No object has the name, or one that belongs to the owner with this UID already."""

    owner_uid: str

    def __post_init__(self) -> None:
        if not self.owner_uid:
            raise ValueError("Absent needs the uid of the owner that was read from a server")


@final
@dataclass(frozen=True, slots=True)
class Adopt:
    """Whatever has the name becomes ours, provided the name is listed in `names`.

    Never an object that is controlled by another owner. Fields that the managers in
    `from_managers` own by update (`kubectl-client-side-apply`, the manager of a former create)
    are handed over first: else what we do not declare would stay for ever.
    """

    names: frozenset[ObjectKey]
    from_managers: frozenset[str] = field(default=frozenset())


Expectation: TypeAlias = Existing | Absent | Adopt
"""Every apply names one, so that none creates, adopts or overwrites by accident."""


@final
@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that another manager owns with another value."""

    manager: str
    field: str


class ApplyConflict(Conflict):
    """An apply without force met fields of other managers; nothing was written."""

    def __init__(self, context: str, error: Conflict, conflicts: tuple[FieldConflict, ...]) -> None:
        listed = ", ".join(f"{each.field} belongs to {each.manager}" for each in conflicts)
        super().__init__(
            f"apply {context}: {listed}",
            code=error.code,
            reason=error.reason,
            causes=error.causes,
            retry_after=error.retry_after,
        )
        self.conflicts = conflicts


class ObjectTerminating(Conflict):
    """The name is still taken by an object that is being deleted; its deletion is worth a wait."""

    def __init__(self, context: str) -> None:
        super().__init__(
            f"apply {context}: the object of that name is being deleted",
            code=409,
            reason="Conflict",
        )


class StaleView(Conflict):
    """A status was derived from a view that is not the object's any more; read it again."""

    def __init__(self, context: str) -> None:
        super().__init__(
            f"apply status of {context}: the object or our part of its status has changed",
            code=409,
            reason="Conflict",
        )


def translate_conflict(error: Conflict, context: str) -> Conflict:
    """Return `ApplyConflict` when managers are in the way, else the error as it was."""
    found = tuple(
        FieldConflict(matched.group(1) if matched else "an unnamed manager", cause.field)
        for cause in error.causes
        if cause.reason == "FieldManagerConflict"
        for matched in (_MANAGER.search(cause.message),)
    )
    return ApplyConflict(context, error, found) if found else error


def is_uid_mismatch(error: Invalid) -> bool:
    """Tell whether an apply met another UID; the server says that the field cannot be changed."""
    return any(cause.field == "metadata.uid" for cause in error.causes)
