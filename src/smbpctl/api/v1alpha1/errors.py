"""What is wrong with an object: errors that name the object and the field."""

from collections.abc import Sequence
from dataclasses import dataclass

from smbpctl.runtime.errors import TerminalError
from smbpctl.runtime.meta import ObjectKey


@dataclass(frozen=True, slots=True, order=True)
class FieldError:
    """One broken rule. `field` is a path such as `spec.exposure[0].hosts`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class InvalidSpec(TerminalError):
    """An object cannot be acted upon until somebody edits it.

    `errors` holds at least one entry, in the order of the object's fields; the message names the
    object and every field. The reason is always `InvalidSpec`.
    """

    def __init__(self, key: ObjectKey, errors: Sequence[FieldError]) -> None:
        listed = "; ".join(str(error) for error in errors)
        super().__init__("InvalidSpec", f"BigPeer {key} is invalid: {listed}")
        self.key = key
        self.errors = tuple(errors)
