"""Reasons: every condition type has them, and every word is fit for a condition."""

import re

import pytest

from smbpctl.api.v1alpha1.conditions import ConditionType
from smbpctl.api.v1alpha1.model import DescribedEnum
from smbpctl.api.v1alpha1.reasons import REASONS, ReadyReason

WORDS: list[type[DescribedEnum]] = [ConditionType, *dict.fromkeys(REASONS.values())]


def test_every_type_has_reasons() -> None:
    """The reference of reasons covers every condition type."""
    assert set(REASONS) == set(ConditionType)


@pytest.mark.parametrize("words", WORDS, ids=lambda enum: enum.__name__)
def test_words_are_conventional(words: type[DescribedEnum]) -> None:
    """Words are UpperCamelCase, as Kubernetes demands, and say what they mean in a sentence."""
    for word in words:
        assert re.fullmatch(r"[A-Z][A-Za-z]*", word.value)
        assert word.meaning.endswith((".", ")"))


def test_a_reason_is_its_word() -> None:
    """A reason compares and prints as the word in the condition."""
    assert ReadyReason.READY == "Ready"
    assert str(ReadyReason.READY) == "Ready"
