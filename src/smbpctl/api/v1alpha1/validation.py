"""Checks a parsed BigPeer: the rules of the schema again, and what no schema can say.

The server applies the same rules when the current CRD is installed. They run here too, because
objects may be older than the CRD, and because `render` has no server.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import cast

from pydantic.fields import FieldInfo

from smbpctl.api.v1alpha1.bigpeer import BigPeer
from smbpctl.api.v1alpha1.errors import FieldError
from smbpctl.api.v1alpha1.keys import key_errors
from smbpctl.api.v1alpha1.model import Model
from smbpctl.api.v1alpha1.rule import AnyRule, Rule
from smbpctl.api.v1alpha1.rules import RULES


def _by_model() -> Mapping[type[Model], list[AnyRule]]:
    grouped: defaultdict[type[Model], list[AnyRule]] = defaultdict(list)
    for rule in RULES:
        grouped[rule.model].append(rule)
    return grouped


_RULES_OF = _by_model()


def validate(peer: BigPeer, *, previous: BigPeer | None = None) -> tuple[FieldError, ...]:
    """Return every broken rule; empty when the BigPeer can be acted upon.

    With `previous`, the object before an edit, rules about changes are checked as well. Without it
    they are not: there is nothing to compare with. The status is not looked at.
    """
    spec_before = previous.spec if previous else None
    return (
        *_broken_rules(peer, previous, ""),
        *_walk(peer.spec, spec_before, "spec"),
    )


def _walk(value: Model, old: Model | None, path: str) -> Iterator[FieldError]:
    """Check one object of the spec and every object inside it."""
    yield from _broken_rules(value, old, path)
    for field, message in key_errors(value):
        yield FieldError(f"{path}.{field}", message)
    for name, field_info in type(value).model_fields.items():
        inner: object = getattr(value, name)
        before: object = getattr(old, name, None)
        inner_path = f"{path}.{field_info.alias or name}"
        if isinstance(inner, Model):
            yield from _walk(inner, before if isinstance(before, Model) else None, inner_path)
        elif isinstance(inner, tuple):
            yield from _check_list(cast("tuple[object, ...]", inner), field_info, inner_path)


def _broken_rules(value: Model, old: Model | None, path: str) -> Iterator[FieldError]:
    for rule in _RULES_OF.get(type(value), ()):
        if isinstance(rule, Rule):
            holds = rule.holds(value)
        else:
            holds = old is None or rule.holds(value, old)
        if not holds:
            yield FieldError(f"{path}.{rule.field}".lstrip("."), rule.message)


def _check_list(items: tuple[object, ...], field: FieldInfo, path: str) -> Iterator[FieldError]:
    """Check the items of a list, and that those of a set or map differ."""
    identity_of = _IDENTITIES.get(_list_type(field))
    seen: set[object] = set()
    for index, item in enumerate(items):
        if identity_of is not None:
            identity = identity_of(item)
            if identity in seen:
                yield FieldError(f"{path}[{index}]", f"{identity!r} is there twice")
            seen.add(identity)
        if isinstance(item, Model):
            # No rule about changes applies inside a list, so nothing is matched up.
            yield from _walk(item, None, f"{path}[{index}]")


# Every list-map of the spec is keyed by `name`.
_IDENTITIES: Mapping[object, Callable[[object], object]] = {
    "map": attrgetter("name"),
    "set": lambda item: item,
}


def _list_type(field: FieldInfo) -> object:
    extra: object = field.json_schema_extra
    if not isinstance(extra, dict):
        return None
    return cast("dict[str, object]", extra).get("x-kubernetes-list-type")
