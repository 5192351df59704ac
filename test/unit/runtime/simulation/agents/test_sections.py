"""Tests of the access to parts of manifests that may be absent."""

import pytest

from smbpctl.runtime.simulation.agents.sections import entries, section


def test_a_section_is_found_by_its_path() -> None:
    """A path leads through mappings to a mapping."""
    assert section({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}
    assert section({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("manifest", [{}, {"a": None}, {"a": []}, {"a": {"b": "text"}}])
def test_an_absent_section_is_empty(manifest: dict[str, object]) -> None:
    """Whatever is missing or of another shape on the way reads as empty."""
    assert section(manifest, "a", "b") == {}


def test_entries_are_the_mappings_of_a_list() -> None:
    """Only mappings count as entries; an absent list has none."""
    assert entries({"a": {"b": [{"x": 1}, "text", None]}}, "a", "b") == [{"x": 1}]
    assert entries({"a": {"b": {"x": 1}}}, "a", "b") == []
    assert entries({}, "a", "b") == []
