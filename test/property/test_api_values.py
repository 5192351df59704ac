"""Properties of the values in manifests: quantities and durations."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from smbpctl.api.v1alpha1.duration import format_duration, parse_duration
from smbpctl.api.v1alpha1.quantity import compare_quantities, parse_quantity

# Stated here once more, and otherwise: as powers, so that a slip in one of the tables shows.
SUFFIXES: dict[str, Fraction] = {
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate(["", *"kMGTPE"])},
    **{f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
    **{suffix: Fraction(1, 1000) ** power for power, suffix in enumerate("mun", start=1)},
}

digits = st.integers(0, 10**25).map(str)
numbers = digits | st.builds("{}.{}".format, digits, digits) | st.builds(".{}".format, digits)
suffixes = st.sampled_from(sorted(SUFFIXES))
exponents = st.builds("{}{}".format, st.sampled_from("eE"), st.integers(-30, 30))
milliseconds = st.integers(0, 99_999 * 3_600_000)


def value(number: str, suffix: str) -> Fraction:
    """What a quantity is worth, by way of fractions."""
    factor = SUFFIXES[suffix] if suffix in SUFFIXES else Fraction(f"1{suffix}")
    return Fraction(f"0{number}0" if "." in number else number) * factor


@given(numbers, suffixes | exponents)
def test_quantities_are_exact(number: str, suffix: str) -> None:
    """A quantity is its number times its factor, without any rounding."""
    assert Fraction(parse_quantity(number + suffix)) == value(number, suffix)


@given(st.tuples(numbers, suffixes), st.tuples(numbers, suffixes))
def test_quantities_order_as_their_values(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Comparison agrees with the values, in both directions."""
    difference = value(*left) - value(*right)
    order = (difference > 0) - (difference < 0)

    assert compare_quantities("".join(left), "".join(right)) == order
    assert compare_quantities("".join(right), "".join(left)) == -order


@given(milliseconds)
def test_durations_survive_writing(count: int) -> None:
    """Every duration the form can carry is read back as it was."""
    duration = timedelta(milliseconds=count)

    assert parse_duration(format_duration(duration)) == duration


@given(milliseconds)
def test_writing_is_canonical(count: int) -> None:
    """Writing what was read gives the same text: one value, one spelling."""
    text = format_duration(timedelta(milliseconds=count))

    assert format_duration(parse_duration(text)) == text
