"""A projection keeps what it says, byte for byte, and never shows a hole as if it were nothing."""

import copy
import json
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime.errors import OutsideProjection
from smbpctl.runtime.meta import StoredObject
from smbpctl.runtime.store import ObjectDecoder, Projection
from test.support.list_watch import WIDGET, encode

WHOLE: dict[str, Any] = {
    "apiVersion": WIDGET.api_version,
    "kind": "Widget",
    "metadata": {
        "name": "a",
        "namespace": "n",
        "annotations": {"x": "1"},
        "managedFields": [{"manager": "demo", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {"size": 3, "text": "zażółć\n", "template": {"spec": {"a": [1, 2]}, "other": None}},
    "status": {"ready": True, "conditions": []},
}
NAMES = ["spec", "status", "size", "text", "template", "other"]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
paths = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(".".join), min_size=1, max_size=4
)


def stored(projection: Projection, document: dict[str, Any] = WHOLE) -> StoredObject:
    """Return an object as a cache with this projection holds it."""
    decoder = ObjectDecoder(WIDGET, frozenset({"demo"}), projection=projection)
    return decoder.object(encode(document))


def cut(value: Any, kept: list[list[str]]) -> Any:
    """Return what the paths leave of a value: the definition, in the plainest words."""
    if [] in kept or not isinstance(value, dict):
        return value
    return {
        name: cut(below, [path[1:] for path in kept if path[0] == name])
        for name, below in value.items()
        if any(path[0] == name for path in kept)
    }


@given(st.dictionaries(st.sampled_from(NAMES), values), paths)
def test_what_is_kept_is_what_the_paths_say(content: dict[str, Any], chosen: list[str]) -> None:
    """For any object and paths, through things that are no objects as well; and once is enough."""
    document = {"metadata": {"name": "a"}, **content}
    projection = Projection(*chosen)

    raw = projection.of(encode(document))

    kept = [path.split(".") for path in [*chosen, "metadata", "apiVersion", "kind"]]
    assert json.loads(raw) == cut(document, kept)
    assert projection.of(raw) == raw


def test_the_bytes_of_what_is_kept_are_those_of_the_server() -> None:
    """Numbers and escapes are not written anew."""
    raw = b'{"metadata":{ "name":"a"},"spec":{"size":1.50e3,"text":"\\u00e9","x":1}}'

    assert Projection("spec.size", "spec.text").of(raw) == (
        b'{"metadata":{ "name":"a"},"spec":{"size":1.50e3,"text":"\\u00e9"}}'
    )


def test_metadata_is_always_kept() -> None:
    """And the field sets of registered owners, which are taken from what is cut away."""
    kept = stored(Projection("status.ready"))

    assert kept.manifest() == {
        "apiVersion": WIDGET.api_version,
        "kind": "Widget",
        "metadata": {"name": "a", "namespace": "n", "annotations": {"x": "1"}},
        "status": {"ready": True},
    }
    assert kept.fields == {"demo": b'{"f:spec":{}}'}
    assert kept.meta.name == "a"


@pytest.mark.parametrize(
    "read",
    [
        lambda manifest: manifest["status"],
        lambda manifest: manifest.get("status"),
        lambda manifest: "status" in manifest,
        lambda manifest: manifest["spec"]["text"],
        lambda manifest: manifest["spec"].get("text", "nothing"),
        lambda manifest: manifest["spec"]["template"]["other"],
    ],
)
def test_reading_what_is_not_kept_raises(read: Any) -> None:
    """Naming object, field and what there is; a hole would look as if the object had it not."""
    manifest = stored(Projection("spec.size", "spec.template.spec")).manifest()

    with pytest.raises(OutsideProjection, match=r"Widget.* n/a is cached without \w+; what is"):
        read(manifest)


def test_what_is_kept_reads_as_in_any_manifest() -> None:
    """Present or absent: of what is kept, both are known."""
    bare = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"template": {"spec": {"a": 1}}}}
    projection = Projection("spec.size", "spec.template.spec", "status")
    full, empty = (stored(projection, each).manifest() for each in (WHOLE, bare))

    assert full["spec"]["template"]["spec"]["a"] == [1, 2]
    assert full["status"]["conditions"] == []
    assert "missing" not in full["status"]
    assert empty["spec"].get("size") is None
    assert "status" not in empty
    with pytest.raises(KeyError, match="status"):
        empty["status"]


def test_a_manifest_can_be_changed_and_copied() -> None:
    """It is the caller's; a deep copy is plain, for what is written of it."""
    manifest = stored(Projection("spec.size")).manifest()
    manifest["spec"]["text"] = "mine"

    duplicate = copy.deepcopy(manifest)

    assert manifest["spec"]["text"] == "mine"
    assert duplicate == json.loads(json.dumps(manifest))
    assert type(duplicate["spec"]) is dict


class Template(msgspec.Struct):
    """A part of a widget."""

    spec: dict[str, Any]


class Spec(msgspec.Struct):
    """A part of a widget."""

    size: int
    template: Template | None = None


class SizedWidget(msgspec.Struct):
    """As much of a widget as some controller reads."""

    metadata: dict[str, Any]
    spec: Spec


class PydanticSpec(pydantic.BaseModel):
    """A part of a widget."""

    size: int
    shown: str = pydantic.Field("", alias="text")


class PydanticWidget(pydantic.BaseModel):
    """As much of a widget as some other controller reads."""

    spec: PydanticSpec | None = None


def test_views_of_what_is_kept_decode() -> None:
    """Structs and pydantic models alike."""
    wide = stored(Projection("spec.size", "spec.text", "spec.template"))

    sized, read = wide.view(SizedWidget), wide.view(PydanticWidget)

    assert (sized.spec.size, sized.metadata["name"]) == (3, "a")
    assert read.spec is not None
    assert read.spec.shown == "zażółć\n"


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        (SizedWidget, r"all of spec\.template\.spec"),
        (PydanticWidget, r"spec\.text"),
        (dict, "all of it"),
    ],
)
def test_views_of_more_than_is_kept_are_refused(model: Any, missing: str) -> None:
    """A model's default must not stand for a field that is merely not cached."""
    narrow = stored(Projection("spec.size", "spec.template.spec.a"))

    with pytest.raises(OutsideProjection, match=f"does not keep {missing}"):
        narrow.view(model)


@pytest.mark.parametrize("wrong", [[], [""], ["spec..size"], ["."]])
def test_nonsense_is_refused(wrong: list[str]) -> None:
    """When the controller is built, not when the first object comes."""
    with pytest.raises(ValueError, match="path"):
        Projection(*wrong)


def test_equal_paths_are_equal_projections() -> None:
    """Two registrations may ask for the same in another order."""
    one, other = Projection("a.b", "c"), Projection("c", "a.b", "c")

    assert one == other
    assert len({one, other, Projection("c")}) == 2
    assert repr(one) == "Projection('a.b', 'c')"
