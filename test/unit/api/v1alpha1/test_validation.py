"""Validation: the rules of the CRD in Python, and the checks only Python makes."""

import pytest

from smbpctl.api.v1alpha1 import BigPeer, FieldError
from smbpctl.api.v1alpha1.schema import object_schema
from smbpctl.api.v1alpha1.structural import Schema
from smbpctl.api.v1alpha1.validation import validate
from test.support.bigpeer_rules import RULE_CASES, RuleCase
from test.support.bigpeer_values import REFUSED, ValueCase
from test.support.bigpeers import an_exposure, edited, exposed_peer, external_peer

TWICE = [case for case in REFUSED if case.blamed.endswith("[1]")]
CHANGES = [case for case in RULE_CASES if case.before is not None]


@pytest.mark.parametrize("case", RULE_CASES, ids=str)
def test_rule_passes(case: RuleCase) -> None:
    """The good object of every rule breaks nothing at all."""
    peer = BigPeer.parse(case.good, strict=True)
    previous = BigPeer.parse(case.old) if case.old else None

    assert validate(peer, previous=previous) == ()


@pytest.mark.parametrize("case", RULE_CASES, ids=str)
def test_rule_refuses(case: RuleCase) -> None:
    """The bad object of every rule breaks it, at the path of the field to blame."""
    peer = BigPeer.parse(case.bad, strict=True)
    previous = BigPeer.parse(case.old) if case.old else None

    assert FieldError(case.blamed, case.message) in validate(peer, previous=previous)


@pytest.mark.parametrize("case", CHANGES, ids=str)
def test_rules_about_changes_need_the_object_before(case: RuleCase) -> None:
    """In a reconcile there is no object before the edit, and a change breaks nothing."""
    assert validate(BigPeer.parse(case.bad)) == ()


@pytest.mark.parametrize("case", TWICE, ids=str)
def test_sets_and_list_maps_hold_everything_once(case: ValueCase) -> None:
    """A second item of the same name, or the same value in a set, is named by its index."""
    errors = validate(BigPeer.parse(case.manifest))

    assert [error.field for error in errors if "is there twice" in error.message] == [case.blamed]


def test_plain_lists_may_repeat() -> None:
    """A list that is neither set nor map is not looked at for doubles."""
    client = {"podSelector": {"matchLabels": {"a": "b"}}}
    peer = BigPeer.parse(
        edited(external_peer(), {"spec.networkPolicy.clients": [client, client]}), strict=True
    )

    assert validate(peer) == ()


def test_all_broken_rules_are_reported() -> None:
    """One pass finds everything, in the order of the fields."""
    peer = BigPeer.parse(
        edited(
            external_peer(),
            {
                "metadata.name": "1",
                "spec.store.minimumReplicas": 4,
                "spec.exposure": [an_exposure(labels={"smbpctl.dev/a": "b"})],
            },
        )
    )

    assert [error.field for error in validate(peer)] == [
        "metadata.name",
        "spec.store.minimumReplicas",
        "spec.exposure[0].labels",
    ]


def test_hosts_of_one_exposure_may_repeat_on_another_class() -> None:
    """Split-horizon: the same host inside and outside, on two ingress classes."""
    inner = an_exposure("inner", hosts=["web.example.com"], ingress={"className": "inner"})
    peer = BigPeer.parse(
        edited(exposed_peer(), {"spec.exposure": [an_exposure(), inner]}), strict=True
    )

    assert validate(peer) == ()


def test_status_is_not_judged() -> None:
    """What was reported once can never make the spec invalid."""
    endpoint = {"name": "web", "type": "Ingress"}
    peer = BigPeer.parse(edited(external_peer(), {"status.endpoints": [endpoint, endpoint]}))

    assert validate(peer) == ()


def test_list_maps_of_the_spec_are_keyed_by_name() -> None:
    """The check for doubles relies on it."""

    def map_keys(schema: Schema) -> list[list[str]]:
        own = [keys for key, keys in schema.items() if key == "x-kubernetes-list-map-keys"]
        children = [*schema.get("properties", {}).values()]
        children += [schema["items"]] if "items" in schema else []
        return own + [keys for child in children for keys in map_keys(child)]

    found = map_keys(object_schema()["properties"]["spec"])

    assert found
    assert all(keys == ["name"] for keys in found)


def test_keys_are_checked_wherever_they_are() -> None:
    """The walk reaches maps inside lists, and names the path to them."""
    client = {"podSelector": {"matchLabels": {"a b": "c"}}}
    bad = edited(external_peer(), {"spec.networkPolicy.clients": [client]})

    assert [error.field for error in validate(BigPeer.parse(bad))] == [
        "spec.networkPolicy.clients[0].podSelector.matchLabels"
    ]
