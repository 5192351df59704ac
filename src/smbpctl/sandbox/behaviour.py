"""How a fake member differs from a healthy one, and the JSON by which it is told."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final, cast, final

from smbpctl.operand.members import Backfill


class NotABehaviour(ValueError):
    """A document is no behaviour; the message names the field."""


@final
@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a member differs from a healthy one; None means that it does not.

    `ready` fails the readiness probe, `hangs` answers nothing at all, `crashes` ends the process
    as often as it is started. The rest is what `/cluster_version` answers instead of the truth:
    a `ust` that stays where it is, a `backfill` that runs for ever or fails, wrong ids, or a
    `body` that is no report.
    """

    ready: bool = True
    hangs: bool = False
    crashes: bool = False
    ust: int | None = None
    backfill: Backfill | None = None
    server_id: str | None = None
    config_id: int | None = None
    next_config_id: int | None = None
    routing_config_id: int | None = None
    body: bytes | None = None

    def to_json(self) -> str:
        """Return the document that `from_json` reads as this behaviour."""
        fields = asdict(self)
        if self.body is not None:
            # A body need not be text; what is not travels as lone surrogates, and comes back.
            fields["body"] = self.body.decode("utf-8", "surrogateescape")
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str) -> "Behaviour":
        """Parse an object of the fields above; those that are absent are as in a healthy member.

        Raises NotABehaviour, naming the field that is unknown or of another type.
        """
        try:
            document: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NotABehaviour(f"not JSON: {error}") from error
        if not isinstance(document, dict):
            raise NotABehaviour(f"a JSON object was expected, not {type(document).__name__}")
        values: dict[str, Any] = {}
        for name, value in cast("dict[str, object]", document).items():
            if name not in _PARSERS:
                known = ", ".join(_PARSERS)
                raise NotABehaviour(f"{name} is not a field of a behaviour; known are {known}")
            try:
                values[name] = _PARSERS[name](value)
            except ValueError as error:
                raise NotABehaviour(f"{name} must be {error}, not {value!r}") from error
        return cls(**values)


def _boolean(value: object) -> bool:
    if value is True or value is False:
        return value
    raise ValueError("true or false")


def _integer(value: object) -> int | None:
    # bool is an int to Python.
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError("an integer or null")
    return value


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a string or null")
    return value


def _bytes(value: object) -> bytes | None:
    text = _text(value)
    try:
        return None if text is None else text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError("a string that can be sent as UTF-8") from error


def _backfill(value: object) -> Backfill | None:
    if value is None:
        return None
    if value not in list(Backfill):
        raise ValueError(f"one of {', '.join(Backfill)} or null")
    return Backfill(str(value))


_PARSERS: Final[Mapping[str, Callable[[object], object]]] = MappingProxyType(
    {
        "ready": _boolean,
        "hangs": _boolean,
        "crashes": _boolean,
        "ust": _integer,
        "backfill": _backfill,
        "server_id": _text,
        "config_id": _integer,
        "next_config_id": _integer,
        "routing_config_id": _integer,
        "body": _bytes,
    }
)
