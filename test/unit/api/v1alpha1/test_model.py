"""What all models have in common."""

import pytest
from pydantic import ValidationError

from smbpctl.api.v1alpha1.model import DescribedEnum, Model


class Example(Model):
    """An example."""

    long_name: int = 1
    """A field."""

    inner: Model | None = None


class Word(DescribedEnum):
    ONE = "One", "the first"
    TWO = "Two", "the second"


def test_manifests_are_camel_case_without_absent_values() -> None:
    """Defaults are written, None is not."""
    assert Example().to_manifest() == {"longName": 1}


def test_docstrings_are_descriptions() -> None:
    """The text under a field is its description."""
    assert Example.model_fields["long_name"].description == "A field."


def test_instances_are_frozen() -> None:
    """Reconcilers share one instance; nobody may change it."""
    example = Example()

    with pytest.raises(ValidationError, match="frozen"):
        example.long_name = 2


def test_described_words() -> None:
    """A member equals its word, is found by it, and carries its meaning."""
    assert Word.ONE == "One"
    assert Word("Two") is Word.TWO
    assert Word.TWO.value == "Two"
    assert Word.TWO.meaning == "the second"
