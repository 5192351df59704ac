"""What models and enums of this API have in common: frozen, camelCase on the wire, described."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from smbpctl.runtime.meta import Manifest


class Model(BaseModel):
    """One object of the API.

    Instances never change. Python code constructs by field name, manifests carry the camelCase
    alias. The docstring under a field is its description in the CRD and in the reference page.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        use_attribute_docstrings=True,
        revalidate_instances="never",
    )

    def to_manifest(self) -> Manifest:
        """Return the JSON shape: camelCase names, defaults included, absent values left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class DescribedEnum(StrEnum):
    """Words with a meaning: members are written as `NAME = "Word", "what it means"`."""

    _value_: str
    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Make a member that equals `word` and carries `meaning`."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member
