"""Cuts managedFields out of an object's JSON bytes without re-encoding anything else."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

_NAME = b'managedFields"'
_KEY = b'"managedFields":'
_COMMA, _OPEN, _CLOSE = b",{}"

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)
_SCALAR = re.compile(rb"[^],}\s]+")
_GAP = re.compile(rb"[\s,:]*")


class _Member(NamedTuple):
    """One member of a JSON object: its name and where its parts lie."""

    name: str
    start: int
    value: int
    end: int


def without_managed_fields(raw: bytes, value: bytes) -> bytes:
    """Return `raw` less `metadata.managedFields`, whose JSON is `value`; all else byte for byte.

    `raw` must be a well-formed Kubernetes object that has this member; the result is an exact
    copy of its own. Servers write compact JSON in which the name occurs once: one search then
    finds it. Everything else (embedded objects with managedFields of their own, white space,
    escapes) takes a tokenizing path, ten times slower.
    """
    start = raw.find(_NAME) - 1
    end = start + len(_KEY) + len(value)
    if (
        start > 0
        and raw.startswith(_KEY, start)
        and raw.startswith(value, start + len(_KEY))
        and raw.find(_NAME, end) < 0
        and (cut := _compact_cut(raw, start, end)) is not None
    ):
        return raw[: cut[0]] + raw[cut[1] :]
    return _without_member(raw)


def _compact_cut(raw: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Return the range that takes exactly one comma along, or None where white space intervenes."""
    before, after = raw[start - 1], raw[end]
    if after == _COMMA and before in (_COMMA, _OPEN):
        return start, end + 1
    if after == _CLOSE and before == _COMMA:
        return start - 1, end
    if after == _CLOSE and before == _OPEN:
        return start, end
    return None


def _without_member(raw: bytes) -> bytes:
    metadata = [member for member in _members(raw, 0) if member.name == "metadata"][-1]
    members = list(_members(raw, metadata.value))
    at = next(i for i, member in enumerate(members) if member.name == "managedFields")
    if at + 1 < len(members):
        return raw[: members[at].start] + raw[members[at + 1].start :]
    start = members[at - 1].end if at else members[at].start
    return raw[:start] + raw[members[at].end :]


def _members(raw: bytes, at: int) -> Iterator[_Member]:
    """Walk the members of the object that opens at or, after white space, behind `at`."""
    at = _skip_gap(raw, raw.index(b"{", at) + 1)
    while raw[at] != _CLOSE:
        name_end = _match_end(_STRING, raw, at)
        value = _skip_gap(raw, name_end)
        end = _value_end(raw, value)
        yield _Member(msgspec.json.decode(raw[at:name_end], type=str), at, value, end)
        at = _skip_gap(raw, end)


def _value_end(raw: bytes, at: int) -> int:
    first = raw[at : at + 1]
    if first == b'"':
        return _match_end(_STRING, raw, at)
    if first not in (b"{", b"["):
        return _match_end(_SCALAR, raw, at)
    depth = 0
    for token in _TOKEN.finditer(raw, at):
        first = token.group()[:1]
        depth += 1 if first in (b"{", b"[") else -1 if first in (b"}", b"]") else 0
        if depth == 0:
            return token.end()
    raise ValueError("the JSON value does not end")


def _match_end(pattern: re.Pattern[bytes], raw: bytes, at: int) -> int:
    match = pattern.match(raw, at)
    if match is None:
        raise ValueError(f"the JSON is malformed (byte {at})")
    return match.end()


def _skip_gap(raw: bytes, at: int) -> int:
    return _match_end(_GAP, raw, at)
