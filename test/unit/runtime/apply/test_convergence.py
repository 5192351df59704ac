"""Tests of the decision whether an apply is needed."""

from dataclasses import replace
from typing import Any

import pytest

from smbpctl.runtime.apply.convergence import Settled, SettledMemory, reasons_to_apply
from smbpctl.runtime.apply.desired import Desired, desire
from smbpctl.runtime.apply.fields import FieldSet
from smbpctl.runtime.apply.live import LiveView

MARK = "example.dev/applied-web"


def wanted(name: str = "a", **data: Any) -> Desired:
    """A desired ConfigMap."""
    metadata = {"name": name, "namespace": "default"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return desire(manifest, annotation=MARK)


def owned(*keys: str) -> FieldSet:
    """The field set of a ConfigMap with these keys."""
    data: FieldSet = {f"f:{key}": {} for key in keys}
    metadata: FieldSet = {"f:annotations": {f"f:{MARK}": {}}}
    # A map without any owned field is not listed at all.
    return {"f:metadata": metadata, "f:data": data} if data else {"f:metadata": metadata}


def view(desired: Desired, fields: FieldSet | None, *, version: str = "5") -> LiveView:
    """The live object, carrying the hash of what is desired."""
    return LiveView(
        uid="u",
        resource_version=version,
        deleting=False,
        controller_uid=None,
        annotations={MARK: desired.digest},
        fields=fields,
        manifest=dict,
    )


def reasons(desired: Desired, live: LiveView, settled: Settled | None = None) -> tuple[str, ...]:
    """Ask for the reasons."""
    return reasons_to_apply(desired, live, annotation=MARK, settled=settled)


def remembered(desired: Desired, fields: FieldSet, *, version: str = "5") -> Settled | None:
    """What is remembered of an answer with these fields."""
    memory = SettledMemory()
    memory.record(desired, view(desired, fields, version=version))
    return memory.recall(desired, "u")


def test_same_hash_and_exact_ownership_need_nothing() -> None:
    """After a restart, annotation and field set are enough to know."""
    desired = wanted(k="v")

    assert reasons(desired, view(desired, owned("k"))) == ()


def test_another_hash_needs_an_apply() -> None:
    """The desired object changed, or was never applied."""
    desired = wanted(k="v")

    assert reasons(desired, view(wanted(k="w"), owned("k"))) == ("desired object changed",)


def test_lost_ownership_needs_an_apply() -> None:
    """Cleared managedFields, a foreign change and a dropped field each give a reason."""
    desired = wanted(k="v")

    assert reasons(desired, view(desired, None)) == ("no field is owned",)
    assert reasons(desired, view(desired, owned())) == (".data.k missing",)
    assert reasons(desired, view(desired, owned("k", "x"))) == (".data.x surplus",)


def test_at_most_five_reasons_are_given() -> None:
    """A log line about an object with a thousand keys stays a line."""
    desired = wanted(**{f"k{i}": "v" for i in range(9)})

    assert len(reasons(desired, view(desired, owned()))) == 5


def test_the_servers_answer_ends_a_loop() -> None:
    """Where admission takes a field from us in our own request, the walk would never end it."""
    desired = wanted(k="v")

    assert reasons(desired, view(desired, owned()), remembered(desired, owned())) == ()


def test_fields_that_differ_from_the_settled_ones_need_an_apply() -> None:
    """A change of ownership after our apply is somebody else's doing, whatever the walk says."""
    desired = wanted(k={"x": 1})
    whole: FieldSet = owned("k")
    whole["f:data"]["f:k"] = {".": {}, "f:x": {}}
    taken = owned("k")

    assert reasons(desired, view(desired, taken), remembered(desired, whole)) == (
        "owned fields changed since they were settled",
    )
    assert reasons(desired, view(desired, taken)) == ()


@pytest.mark.parametrize("remembers", [False, True])
def test_a_list_that_should_be_empty_is_looked_at(*, remembers: bool) -> None:
    """An empty list may leave no trace of ownership, so after a restart its value tells."""
    desired = wanted(k=[])
    settled = remembered(desired, owned()) if remembers else None

    def needed(data: dict[str, Any]) -> tuple[str, ...]:
        live = replace(view(desired, owned()), manifest=lambda: {"data": data})
        return reasons(desired, live, settled)

    assert needed({}) == ()
    assert needed({"k": ["theirs"]}) == (() if remembers else (".data.k missing",))


def test_a_view_older_than_the_settled_one_needs_nothing() -> None:
    """The cache has not seen our own write yet; the write is not repeated for that."""
    desired = wanted(k="v")
    before = view(wanted(k="old"), owned(), version="4")
    after = view(wanted(k="old"), owned(), version="6")

    assert reasons(desired, before, remembered(desired, owned("k"))) == ()
    assert reasons(desired, after, remembered(desired, owned("k"))) == ("desired object changed",)


def test_a_settled_state_counts_for_its_object_and_its_desired_only() -> None:
    """Another UID or another hash makes what is remembered worthless."""
    memory, desired = SettledMemory(), wanted(k="v")
    memory.record(desired, view(desired, owned("k")))

    assert memory.recall(desired, "u") is not None
    assert memory.recall(desired, "other") is None
    assert memory.recall(wanted(k="w"), "u") is None
    assert memory.recall(wanted("b", k="v"), "u") is None


def test_a_state_without_our_fields_is_not_remembered() -> None:
    """It could not be told from managedFields that somebody cleared; it even ends the older one."""
    memory, desired = SettledMemory(), wanted(k="v")
    memory.record(desired, view(desired, owned("k")))

    memory.record(desired, view(desired, None))

    assert memory.recall(desired, "u") is None


def test_the_memory_is_bounded_and_drops_the_oldest() -> None:
    """A long-lived process does not grow with every object it ever applied."""
    memory = SettledMemory(limit=2)
    first, second, third = (wanted(name) for name in "abc")
    for each in (first, second, first, third):
        memory.record(each, view(each, owned()))

    assert memory.recall(second, "u") is None
    assert memory.recall(first, "u") is not None
    assert memory.recall(third, "u") is not None


def test_versions_of_a_kind_are_one_object() -> None:
    """What was settled in another version is forgotten: the hash covers the version."""
    memory, desired = SettledMemory(), wanted()
    metadata = {"name": "a", "namespace": "default"}
    older = {"apiVersion": "v0", "kind": "ConfigMap", "metadata": metadata, "data": {}}
    memory.record(desired, view(desired, owned()))

    memory.record(desire(older, annotation=MARK), view(desired, owned()))

    assert memory.recall(desired, "u") is None
