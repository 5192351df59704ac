"""The table of rules: CEL and Python side by side, each proven by a case."""

from collections import Counter

import pytest

from smbpctl.api.v1alpha1.rule import AnyRule, TransitionRule
from smbpctl.api.v1alpha1.rules import RULES
from smbpctl.api.v1alpha1.schema import object_schema
from smbpctl.api.v1alpha1.structural import Schema
from test.support.bigpeer_rules import RULE_CASES, rules_in
from test.support.bigpeers import edited

NAMED = [pytest.param(rule, id=f"{rule.model.__name__}: {rule.message}") for rule in RULES]


def carriers(schema: Schema, message: str) -> list[Schema]:
    """All objects of a schema that carry the rule with this message."""
    children = [*schema.get("properties", {}).values()]
    children += [schema["items"]] if "items" in schema else []
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    own = [schema] if message in messages else []
    return own + [found for child in children for found in carriers(child, message)]


def test_every_rule_has_a_case() -> None:
    """The rules in the schema and the cases match one to one."""
    assert Counter(case.rule for case in RULE_CASES) == Counter(rules_in(object_schema()))


@pytest.mark.parametrize("rule", NAMED)
def test_rule_is_in_the_schema(rule: AnyRule) -> None:
    """Every rule applies somewhere, and blames a field that exists there."""
    found = carriers(object_schema(), rule.message)

    assert found
    for schema in found:
        at = schema
        for step in rule.field.split("."):
            at = at["properties"][step]


@pytest.mark.parametrize("rule", NAMED)
def test_message_names_the_field(rule: AnyRule) -> None:
    """Some clients show nothing but the message."""
    assert rule.field.rpartition(".")[2] in rule.message


@pytest.mark.parametrize("rule", NAMED)
def test_only_rules_about_changes_look_back(rule: AnyRule) -> None:
    """The server runs a rule with `oldSelf` on updates only: the table must say the same."""
    assert ("oldSelf" in rule.cel) == isinstance(rule, TransitionRule)


def test_messages_are_unique_per_model() -> None:
    """Model and message name a rule: tests and the reference page rely on it."""
    names = Counter((rule.model, rule.message) for rule in RULES)

    assert set(names.values()) == {1}


def test_edits_do_not_leak() -> None:
    """The cases share base objects, so an edit must never change its base."""
    base = {"spec": {"list": [{"a": 1}]}}

    changed = edited(base, {"spec.list[0].a": 2})

    assert base["spec"]["list"][0]["a"] == 1
    assert changed["spec"]["list"][0]["a"] == 2
