"""What informers of one cache have in common, and what each kind has of its own."""

from datetime import timedelta

import pytest

from smbpctl.runtime.cache.making import EVERYTHING, InformerMaker, Selection
from smbpctl.runtime.cache.view import GroupView, KindView
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.consistency import Gate
from smbpctl.runtime.informer import Form, Informer, InformerGroup
from smbpctl.runtime.meta import ObjectKey, fields_equal, labels_equal
from smbpctl.runtime.store import Projection
from test.support.list_watch import WIDGET, ModelServer
from test.support.own_writes import DECODER, Server
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()


class NothingLive:
    """A gate that never needs to read live."""

    async def get(self, *_: object) -> None:
        raise AssertionError("nothing is read live")

    async def list(self, *_: object, **__: object) -> list[dict[str, object]]:
        raise AssertionError("nothing is read live")


def maker(*namespaces: str, gate: Gate | None = None) -> InformerMaker:
    """A maker over a model server."""
    return InformerMaker(
        ModelServer(),
        clock=CLOCK,
        random=seeded_random(1),
        namespaces=namespaces,
        field_owners=frozenset({"demo"}),
        metrics=None,
        gate=gate,
        resync=timedelta(hours=1),
        discovery_changes=lambda: 0,
    )


def test_one_namespace_or_all_make_one_informer() -> None:
    """With what was selected."""
    selection = Selection(
        selector=labels_equal({"a": "b"}),
        fields=fields_equal({"metadata.name": "x"}),
        projection=Projection("spec"),
    )

    everywhere, view = maker().make(WIDGET, Form.FULL, EVERYTHING, namespaced=True)
    somewhere, _ = maker("one").make(WIDGET, Form.METADATA, selection, namespaced=True)

    assert isinstance(everywhere, Informer)
    assert isinstance(view, KindView)
    assert everywhere.namespace == ""
    assert isinstance(somewhere, Informer)
    assert (somewhere.namespace, somewhere.form) == ("one", Form.METADATA)
    assert somewhere.selector == selection.selector
    assert somewhere.fields == selection.fields
    assert somewhere.projection == selection.projection


def test_several_namespaces_make_a_group() -> None:
    """A namespace that is named twice is watched once."""
    informer, view = maker("two", "one", "two").make(WIDGET, Form.FULL, EVERYTHING, namespaced=True)

    assert isinstance(informer, InformerGroup)
    assert informer.namespaces == ("one", "two")
    assert isinstance(view, GroupView)
    assert view.member("one") is not None
    assert view.member("three") is None


def test_the_gate_hears_of_progress() -> None:
    """What this process wrote is settled as soon as the informer has it."""

    async def main() -> int:
        gate = Gate(clock=CLOCK, random=seeded_random(1), live=NothingLive())
        informer, view = maker(gate=gate).make(WIDGET, Form.FULL, EVERYTHING, namespaced=True)
        assert isinstance(informer, Informer)
        assert isinstance(view, KindView)
        server = Server()
        view.overlay.wrote(DECODER.object(server.put(ObjectKey("m", "a"), 1)))
        server.tell(informer.store, 1)
        before = len(view.overlay)
        informer.progressed()
        return before - len(view.overlay)

    assert run_virtual(main()) == 1


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (EVERYTHING, "everything"),
        (Selection(selector=labels_equal({"a": "b"})), "labels a=b"),
        (Selection(fields=fields_equal({"metadata.name": "x"})), "fields metadata.name=x"),
        (Selection(projection=Projection("spec")), "Projection('spec')"),
    ],
)
def test_a_selection_says_what_it_is(selection: Selection, text: str) -> None:
    """For the error that names two of them."""
    assert str(selection) == text
