"""The fields in which two states of an object differ."""

from typing import Any

import pytest

from smbpctl.runtime.client.changes import ABSENT, REDACTED, Change, changes
from smbpctl.runtime.meta import Manifest


def _deployment(**spec: Any) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "ns"},
        "spec": spec,
    }


def _secret(**content: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, **content}


class TestPaths:
    """Where a difference is."""

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ({"replicas": 1}, {"replicas": 3}, [(".spec.replicas", 1, 3)]),
            ({"replicas": 1}, {}, [(".spec.replicas", 1, ABSENT)]),
            ({}, {"paused": None}, [(".spec.paused", ABSENT, None)]),
            ({}, {"strategy": {}}, [(".spec.strategy", ABSENT, {})]),
            ({}, {"s": {"a": {"b": 1}}}, [(".spec.s.a.b", ABSENT, 1)]),
            ({"s": {"a": 1}}, {"s": 2}, [(".spec.s", {"a": 1}, 2)]),
            ({}, {"s": {"a.b/c": 1}}, [('.spec.s["a.b/c"]', ABSENT, 1)]),
            ({"replicas": 1}, {"replicas": 1}, []),
        ],
    )
    def test_of_fields(
        self, before: Manifest, after: Manifest, expected: list[tuple[str, Any, Any]]
    ) -> None:
        """Leaf by leaf; null is a value, absence is none."""
        found = changes(_deployment(**before), _deployment(**after))

        assert [(each.path, each.before, each.after) for each in found] == expected

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            (
                [{"name": "a", "image": "1"}, {"name": "b"}],
                [{"name": "b"}, {"name": "a", "image": "2"}],
                [(".spec.l[name=a].image", "1", "2")],
            ),
            (
                [{"type": "Ready", "n": 1}],
                [],
                [
                    (".spec.l[type=Ready].n", 1, ABSENT),
                    (".spec.l[type=Ready].type", "Ready", ABSENT),
                ],
            ),
            ([1, 2], [2, 1], [(".spec.l", [1, 2], [2, 1])]),
            (
                [{"name": "a"}, {"name": "b"}],
                [{"name": "b"}, {"name": "a"}],
                [(".spec.l", [{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}])],
            ),
            (
                [{"name": "a", "n": 1}, {"name": "a", "n": 2}],
                [],
                [(".spec.l", [{"name": "a", "n": 1}, {"name": "a", "n": 2}], [])],
            ),
        ],
    )
    def test_of_lists(
        self, before: list[Any], after: list[Any], expected: list[tuple[str, Any, Any]]
    ) -> None:
        """By name or type where every item has its own, else (and for mere order) as a whole."""
        found = changes(_deployment(l=before), _deployment(l=after))

        assert [(each.path, each.before, each.after) for each in found] == expected

    def test_of_an_object_that_was_not_there(self) -> None:
        """All its fields are new."""
        found = changes(None, _deployment(replicas=1))

        assert {each.path for each in found} == {
            *(".apiVersion", ".kind", ".metadata.name", ".metadata.namespace", ".spec.replicas"),
        }

    def test_leave_out_what_the_server_keeps_for_itself(self) -> None:
        """It changes with every write."""
        before, after = _deployment(), _deployment()
        before["metadata"] |= {"resourceVersion": "1", "generation": 1}
        after["metadata"] |= {
            "resourceVersion": "2",
            "generation": 2,
            "uid": "u",
            "managedFields": [{}],
            "creationTimestamp": "now",
        }

        assert changes(before, after) == ()


class TestSecrets:
    """Their values are never told."""

    def test_only_what_changes_is_told(self) -> None:
        """Added, removed or changed."""
        before = _secret(data={"a": "c2VjcmV0", "b": "c2VjcmV0", "same": "c2VjcmV0"})
        after = _secret(data={"b": "b3RoZXI=", "c": "b3RoZXI=", "same": "c2VjcmV0"}, type="x")

        found = changes(before, after)

        assert found == (
            Change(".data.a", REDACTED, ABSENT),
            Change(".data.b", REDACTED, REDACTED),
            Change(".data.c", ABSENT, REDACTED),
            Change(".type", ABSENT, "x"),
        )

    def test_nor_in_what_kubectl_keeps(self) -> None:
        """The annotation holds the whole manifest; other annotations are shown."""
        last = "kubectl.kubernetes.io/last-applied-configuration"
        after = _secret(stringData={"a": "secret"})
        after["metadata"]["annotations"] = {last: '{"data":{"a":"secret"}}', "b": "shown"}

        text = "\n".join(map(str, changes(None, after)))

        assert "secret" not in text
        assert '.metadata.annotations.b: absent -> "shown"' in text

    def test_whatever_shape_they_have(self) -> None:
        """A malformed Secret is one too."""
        assert "secret" not in str(changes(_secret(data=["secret"]), _secret(data="secret")))


def test_long_values_are_cut_when_shown() -> None:
    """The change holds them in full."""
    (change,) = changes(_deployment(), _deployment(text="x" * 1000))

    assert len(str(change)) < 300
    assert change.after == "x" * 1000
