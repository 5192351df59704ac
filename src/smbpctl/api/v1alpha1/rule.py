"""What a rule is: one statement about an object, in CEL for the server and in Python for us."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from smbpctl.api.v1alpha1.model import Model

M = TypeVar("M", bound=Model)


class Violation(StrEnum):
    """How the server classes a broken rule; the `reason` of `x-kubernetes-validations`.

    `FieldValueDuplicate` is not among them: with it the server drops the rule's message.
    """

    INVALID = "FieldValueInvalid"
    FORBIDDEN = "FieldValueForbidden"
    REQUIRED = "FieldValueRequired"


# Not slotted: on Python 3.11 `Rule[StoreSpec](…)`, which types the lambdas, cannot construct a
# frozen class with slots (setting `__orig_class__` raises TypeError).
@dataclass(frozen=True, kw_only=True)
class Rule(Generic[M]):
    """A statement that must hold for every instance of `model`.

    `cel` and `holds` say the same. `field` is the path, from the model, of the field to blame;
    empty blames the object itself. The message contains the field's name, because
    some clients show nothing but the message.
    """

    model: type[M]
    field: str
    cel: str
    message: str
    holds: Callable[[M], bool]
    violation: Violation = Violation.INVALID


@dataclass(frozen=True, kw_only=True)
class TransitionRule(Generic[M]):
    """A statement about a change, checked on updates only; `holds` takes the new and the old.

    The server applies it where it can match the old instance: along objects and list-maps, and
    not when the instance was absent before or is absent now.
    """

    model: type[M]
    field: str
    cel: str
    message: str
    holds: Callable[[M, M], bool]
    violation: Violation = Violation.FORBIDDEN


AnyRule: TypeAlias = Rule[Any] | TransitionRule[Any]
"""A rule of either kind about any model."""
