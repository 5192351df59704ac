"""resourceVersions compare as integers where they are, and never otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime.store import older


@pytest.mark.parametrize(
    ("left", "right"), [("9", "10"), ("0", "1"), ("1", "9" * 30), ("007", "8")]
)
def test_numbers_compare_as_numbers(left: str, right: str) -> None:
    """Shorter is not older and text order does not count."""
    assert older(left, right)
    assert not older(right, left)


@pytest.mark.parametrize("odd", ["", "abc", "-5", "1.5", "٣", " 1", "9" * 5000])
def test_what_is_no_number_is_never_older(odd: str) -> None:
    """Nothing is concluded from versions that no server with integers would send."""
    assert not older(odd, "5")
    assert not older("5", odd)


def test_equal_is_not_older() -> None:
    """A version is not older than itself."""
    assert not older("5", "5")


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 3))
def test_all_numbers_compare_as_numbers(left: int, right: int, zeros: int) -> None:
    """Of whatever length, and with leading zeros."""
    assert older("0" * zeros + str(left), str(right)) is (left < right)
    assert older(str(left), "0" * zeros + str(right)) is (left < right)
