"""Field types: what they accept beyond, and refuse despite, pydantic's own leniency."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from smbpctl.api.v1alpha1.fields import (
    Count,
    Duration,
    Flag,
    LabelMap,
    LabelName,
    ObjectName,
    Quantity,
    ResourceList,
    ResourcesSpec,
)


@pytest.mark.parametrize("value", ["1", 1.0, True, None])
def test_count_takes_integers_only(value: object) -> None:
    """As on the server, a number in quotes is a string, and true is no number."""
    with pytest.raises(ValidationError):
        TypeAdapter[int](Count).validate_python(value)


@pytest.mark.parametrize("value", ["true", 1, None])
def test_flag_takes_booleans_only(value: object) -> None:
    """As on the server, a word is a string."""
    with pytest.raises(ValidationError):
        TypeAdapter[bool](Flag).validate_python(value)


def test_quantity_becomes_text() -> None:
    """Code sees the same quantity whether the manifest has quotes or not."""
    adapter = TypeAdapter[str](Quantity)

    assert adapter.validate_python(2) == adapter.validate_python("2") == "2"


@pytest.mark.parametrize("value", ["2 Gi", 1.5, True, -1])
def test_quantity_refuses(value: object) -> None:
    """Anything that is no quantity is refused; so is a negative integer."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](Quantity).validate_python(value)


def test_duration_round_trip() -> None:
    """Text becomes a timedelta and is written back in its shortest form."""
    adapter = TypeAdapter[timedelta](Duration)

    value = adapter.validate_python("90m")

    assert value == timedelta(minutes=90)
    assert adapter.dump_python(value, mode="json") == "1h30m"
    assert adapter.validate_python(value) == value


@pytest.mark.parametrize("value", [3600, 1.5, "P1D", "1:00:00", None])
def test_duration_refuses(value: object) -> None:
    """None of the forms that pydantic reads by itself is read: the server takes none of them."""
    with pytest.raises(ValidationError):
        TypeAdapter[timedelta](Duration).validate_python(value)


@pytest.mark.parametrize("value", ["a", "a-1", "0", "n" * 63])
def test_label_name(value: str) -> None:
    """A DNS label has up to 63 characters."""
    assert TypeAdapter[str](LabelName).validate_python(value) == value


@pytest.mark.parametrize("value", ["", "A", "-a", "a-", "a.b", "n" * 64, "a\n"])
def test_label_name_refuses(value: str) -> None:
    """Dots, capitals and hyphens at the ends are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](LabelName).validate_python(value)


@pytest.mark.parametrize(("value", "valid"), [("a.b-c.d", True), ("a..b", False), ("a.", False)])
def test_object_name(value: str, valid: bool) -> None:
    """A DNS subdomain is labels with dots between them."""
    adapter = TypeAdapter[str](ObjectName)

    if valid:
        assert adapter.validate_python(value) == value
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize("value", ["a b", "-a", "n" * 64, 1])
def test_label_values(value: object) -> None:
    """A label value is empty or a name; a number must be in quotes."""
    adapter = TypeAdapter[object](LabelMap)

    assert adapter.validate_python({"a": "", "b": "x_Y.z"}) == {"a": "", "b": "x_Y.z"}
    with pytest.raises(ValidationError):
        adapter.validate_python({"a": value})


def test_maps_are_bounded() -> None:
    """As in the CRD, a map has a largest size."""
    adapter = TypeAdapter[object](ResourceList)

    with pytest.raises(ValidationError, match="at most 32"):
        adapter.validate_python({f"r{n}": 1 for n in range(33)})


def test_resources_default_to_nothing() -> None:
    """Two models never share their maps."""
    assert ResourcesSpec().requests == {}
    assert ResourcesSpec().requests is not ResourcesSpec().requests
