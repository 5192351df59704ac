"""One kind as it is read: the store, and our own writes over it, in every kind of read."""

import json
from typing import Any

import pytest

from smbpctl.runtime.cache.view import KindView
from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.consistency import Run
from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.informer import Form, Informer
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, StoredObject, labels_equal
from test.support.list_watch import ModelServer
from test.support.manual_clock import ManualClock

WIDGET = GroupVersionKind("demo.example.com", "v1", "Widget")
A, B = ObjectKey("m", "a"), ObjectKey("m", "b")


def widget(name: str, version: int, **metadata: Any) -> bytes:
    """An object as the server answers it."""
    return json.dumps(
        {
            "apiVersion": WIDGET.api_version,
            "kind": WIDGET.kind,
            "metadata": {
                "name": name,
                "namespace": "m",
                "uid": f"u-{name}",
                "resourceVersion": str(version),
                **metadata,
            },
            "spec": {"size": version},
        }
    ).encode()


def size(stored: StoredObject) -> list[str]:
    """Index function."""
    return [str(stored.manifest().get("spec", {}).get("size", "none"))]


def make(form: Form = Form.FULL, **scope: Any) -> KindView:
    """A view of an informer that holds object `a` in version 1."""
    informer = Informer(
        WIDGET, ModelServer(), clock=ManualClock(), random=seeded_random(1), form=form, **scope
    )
    view = KindView(informer)
    view.store.replace([view.decode(widget("a", 1))], "1", initial=True)
    return view


def names(found: list[StoredObject]) -> list[str]:
    """Return the names of objects."""
    return [each.meta.name for each in found]


class TestReads:
    def test_get_sees_our_write(self) -> None:
        """The store does not have it yet."""
        view = make()

        view.overlay.wrote(view.decode(widget("a", 2)))

        found = view.get(A)
        assert found is not None
        assert found.meta.resource_version == "2"

    def test_lists_are_selected_as_things_stand(self) -> None:
        """By namespace and labels of what we wrote, not of what the store holds."""
        view = make()
        view.overlay.wrote(view.decode(widget("b", 2, labels={"team": "blue"})))

        assert names(view.list()) == ["a", "b"]
        assert names(view.list("m", labels_equal({"team": "blue"}))) == ["b"]
        assert names(view.list("n")) == []

    def test_indexes_are_of_what_we_wrote(self) -> None:
        """An object that changed its value is found under the new one alone."""
        view = make()
        view.store.add_index("size", size)
        view.overlay.wrote(view.decode(widget("a", 2)))

        assert names(view.list(index=("size", "1"))) == []
        assert names(view.list(index=("size", "2"))) == ["a"]

    def test_an_index_that_was_never_added_is_named_with_the_kind(self) -> None:
        """So that the remedy is at hand."""
        with pytest.raises(IndexMissing, match=r"Widget.*'size'"):
            make().list(index=("size", "1"))

    def test_owners_are_those_we_wrote(self) -> None:
        """A child that was just created belongs to its owner at once."""
        view = make()
        owner = {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-o"}
        view.overlay.wrote(view.decode(widget("b", 2, ownerReferences=[owner])))

        assert names(view.owned_by("u-o")) == ["b"]

    def test_a_run_remembers_what_it_looked_at(self) -> None:
        """That is the input of the run."""
        view = make()

        with Run() as looked:
            view.get(A)
        with Run() as blind:
            view.get(B)

        assert looked.input_digest != blind.input_digest


class TestScope:
    def test_answers_are_kept_in_the_form_of_the_cache(self) -> None:
        """Metadata only, where the cache has no more; also when the form was raised later."""
        view = make(Form.METADATA)
        before = view.decode(widget("a", 1))

        view.informer.raise_form(Form.FULL)

        assert "spec" not in before.manifest()
        assert "spec" in view.decode(widget("a", 1)).manifest()

    def test_an_answer_of_another_kind_is_refused(self) -> None:
        """A Scale is no Widget."""
        with pytest.raises(ValueError, match="Scale"):
            make().decode(b'{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"a"}}')

    def test_what_the_informer_is_not_told_of_is_not_admitted(self) -> None:
        """By namespace and by labels."""
        blue = labels_equal({"team": "blue"})
        view = make()

        assert view.admits(view.decode(widget("a", 1)))
        assert not make(namespace="n").admits(view.decode(widget("a", 1)))
        assert not make(selector=blue).admits(view.decode(widget("a", 1)))
        assert make(selector=blue).admits(view.decode(widget("a", 1, labels={"team": "blue"})))
