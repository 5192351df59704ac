"""What a member says of itself, and the topology document it is told: pure values and one rule."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast, final

from smbpctl.operand.contract import CATCH_UP_ALLOWANCE

T = TypeVar("T")


class ContractViolation(ValueError):
    """An answer or a document is not what the contract promises; the message names the field."""


class Backfill(StrEnum):
    """How far a member is with fetching what is older than the log's oldest entry."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@final
@dataclass(frozen=True, slots=True)
class MemberReport:
    """A member's answer to `GET /cluster_version`.

    `server_id` names the data on its volume: a fresh volume is a new server. `config_id` and
    `next_config_id` are the configurations it has read, `routing_config_id` the one by which it
    routes. `ust` is the timestamp (the log's offset) up to which everything is committed.
    """

    server_id: str
    config_id: int
    next_config_id: int | None
    ust: int
    routing_config_id: int
    backfill: Backfill = Backfill.NONE

    @classmethod
    def from_json(cls, body: bytes | str) -> "MemberReport":
        """Parse an answer; unknown fields are ignored, for newer images may say more.

        Raises ContractViolation, naming the field that is missing or of another type.
        """
        answer = _document(body)
        server_id = answer.get("serverId")
        if not isinstance(server_id, str) or not server_id:
            raise ContractViolation("serverId must be a non-empty string")
        return cls(
            server_id=server_id,
            config_id=_integer(answer, "configId", minimum=1),
            next_config_id=_optional(answer, "nextConfigId", _config_id),
            ust=_integer(answer, "ust", minimum=0),
            routing_config_id=_integer(answer, "routingConfigId", minimum=1),
            backfill=_backfill(answer.get("backfill")),
        )


@final
@dataclass(frozen=True, slots=True)
class Unreachable:
    """No usable answer came. The member may be well, ill or gone: nothing may be built on it."""

    reason: str


def caught_up(
    report: MemberReport,
    others: Iterable[MemberReport],
    *,
    allowance: int = CATCH_UP_ALLOWANCE,
) -> bool:
    """Tell whether a member has committed all that any of the others has, give or take `allowance`.

    A member that is still backfilling, or failed to, has not: its `ust` says nothing of what is
    older than the log. The member's own report may be among the others. `allowance` counts
    transactions: members are asked one by one, so under load even equals differ a little.
    """
    if report.backfill in (Backfill.RUNNING, Backfill.FAILED):
        return False
    return all(report.ust + allowance >= other.ust for other in others)


@final
@dataclass(frozen=True, slots=True, order=True)
class MemberAddress:
    """A slot of the store, and where the member that fills it is found."""

    partition: int
    ordinal: int
    host: str
    port: int


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """One cluster configuration: how the keyspace is cut and who holds the pieces.

    `members` has one entry per slot, sorted. It may lack slots that were given up, but never all
    of a partition. Raises ContractViolation for anything that no member could live by.
    """

    id: int
    partitions: int
    replicas: int
    minimum_replicas: int
    members: tuple[MemberAddress, ...]

    def __post_init__(self) -> None:
        if self.id < 1:
            raise ContractViolation(f"id must be 1 or more, not {self.id}")
        if not 1 <= self.minimum_replicas <= self.replicas:
            raise ContractViolation(
                f"minimumReplicas must be between 1 and replicas ({self.replicas}), "
                f"not {self.minimum_replicas}"
            )
        slots = [(member.partition, member.ordinal) for member in self.members]
        if slots != sorted(set(slots)):
            raise ContractViolation("members must be sorted by slot, and no slot filled twice")
        if {partition for partition, _ in slots} != set(range(self.partitions)):
            raise ContractViolation(
                f"members must hold partitions 0 to {self.partitions - 1} and no others"
            )


@final
@dataclass(frozen=True, slots=True)
class Topology:
    """The document that every member reads: the configuration in force, and the one to come.

    `next.id` is always `current.id + 1`; promotion does not change it.
    """

    current: Configuration
    next: Configuration | None = None

    def __post_init__(self) -> None:
        if self.next is not None and self.next.id != self.current.id + 1:
            raise ContractViolation(
                f"next.id must be current.id + 1 = {self.current.id + 1}, not {self.next.id}"
            )

    def to_json(self) -> str:
        """Return the canonical JSON: equal topologies give equal text."""
        document = {
            "current": _configuration_document(self.current),
            "next": None if self.next is None else _configuration_document(self.next),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, body: bytes | str) -> "Topology":
        """Parse the document; raise ContractViolation naming what is wrong with it."""
        document = _document(body)
        current = document.get("current")
        if current is None:
            raise ContractViolation("current is missing")
        return cls(
            current=_within("current", _configuration, current),
            next=_optional(document, "next", _configuration),
        )


def _configuration_document(configuration: Configuration) -> dict[str, object]:
    return {
        "id": configuration.id,
        "partitions": configuration.partitions,
        "replicas": configuration.replicas,
        "minimumReplicas": configuration.minimum_replicas,
        "members": [
            {
                "partition": member.partition,
                "ordinal": member.ordinal,
                "host": member.host,
                "port": member.port,
            }
            for member in configuration.members
        ],
    }


def _configuration(value: object) -> Configuration:
    document = _mapping(value)
    members = document.get("members")
    if not isinstance(members, list):
        raise ContractViolation("members must be a list")
    return Configuration(
        id=_integer(document, "id", minimum=1),
        partitions=_integer(document, "partitions", minimum=1),
        replicas=_integer(document, "replicas", minimum=1),
        minimum_replicas=_integer(document, "minimumReplicas", minimum=1),
        members=tuple(_member(item) for item in cast("list[object]", members)),
    )


def _member(value: object) -> MemberAddress:
    document = _mapping(value)
    host = document.get("host")
    if not isinstance(host, str) or not host:
        raise ContractViolation("host must be a non-empty string")
    return MemberAddress(
        partition=_integer(document, "partition", minimum=0),
        ordinal=_integer(document, "ordinal", minimum=0),
        host=host,
        port=_integer(document, "port", minimum=1),
    )


def _document(body: bytes | str) -> Mapping[str, object]:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ContractViolation(f"not JSON: {error}") from error
    return _mapping(value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ContractViolation(f"a JSON object was expected, not {type(value).__name__}")
    return cast("Mapping[str, object]", value)


def _integer(document: Mapping[str, object], name: str, *, minimum: int) -> int:
    value = document.get(name)
    # bool is an int to Python, and not to the contract.
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ContractViolation(f"{name} must be an integer of {minimum} or more, not {value!r}")
    return value


def _config_id(value: object) -> int:
    return _integer({"id": value}, "id", minimum=1)


def _optional(document: Mapping[str, object], name: str, parse: Callable[[object], T]) -> T | None:
    value = document.get(name)
    return None if value is None else _within(name, parse, value)


def _within(name: str, parse: Callable[[object], T], value: object) -> T:
    try:
        return parse(value)
    except ContractViolation as error:
        raise ContractViolation(f"{name}: {error}") from error


def _backfill(value: object) -> Backfill:
    if value is None:
        return Backfill.NONE
    try:
        return Backfill(str(value))
    except ValueError as error:
        known = ", ".join(state.value for state in Backfill)
        raise ContractViolation(f"backfill must be one of {known}, not {value!r}") from error
