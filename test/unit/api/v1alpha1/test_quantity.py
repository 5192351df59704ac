"""Quantities: exact values, comparison, refusal."""

from fractions import Fraction

import pytest

from smbpctl.api.v1alpha1.quantity import (
    canonical_quantity,
    compare_quantities,
    parse_quantity,
)


class TestParseQuantity:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("0", "0"),
            ("1", "1"),
            ("1.", "1"),
            (".5", "0.5"),
            ("100m", "0.1"),
            ("1n", "0.000000001"),
            ("3u", "0.000003"),
            ("2k", "2000"),
            ("1M", "1000000"),
            ("1Ki", "1024"),
            ("1.5Gi", "1610612736"),
            ("1Ti", "1099511627776"),
            ("1Pi", "1125899906842624"),
            ("1E", "1000000000000000000"),
            ("1Ei", "1152921504606846976"),
            ("1E3", "1000"),
            ("1e3", "1000"),
            ("1e-3", "0.001"),
            ("12E+2", "1200"),
        ],
    )
    def test_value(self, text: str, value: str) -> None:
        """Every suffix of Kubernetes stands for its factor; `1E` is exa, `1E3` an exponent."""
        assert parse_quantity(text) == Fraction(value)

    @pytest.mark.parametrize(
        "text",
        [
            "", ".", "Gi", "1GB", "1gi", "1K", "1ki", "-1", "+1", " 1", "1 ", "1\n", "1e",
            "1e1.5", "0x1", "1m1", "1Gii", "e3", "1e100", "\u0661",
        ],
    )  # fmt: skip
    def test_refusal(self, text: str) -> None:
        """What Kubernetes would not read, and what is negative, is a ValueError naming the text."""
        with pytest.raises(ValueError, match="no quantity") as raised:
            parse_quantity(text)

        assert repr(text) in str(raised.value)


class TestCompareQuantities:
    @pytest.mark.parametrize(
        ("left", "right", "order"),
        [
            ("1Gi", "1024Mi", 0),
            ("1G", "1Gi", -1),
            ("1Gi", "1G", 1),
            ("500m", "0.5", 0),
            ("1e3", "1k", 0),
            ("1.0000000001", "1", 1),
            ("1Ei", "1152921504606846977", -1),
        ],
    )
    def test_order(self, left: str, right: str, order: int) -> None:
        """Quantities compare by value, however they are written, without rounding."""
        assert compare_quantities(left, right) == order


class TestCanonicalQuantity:
    def test_integer_becomes_text(self) -> None:
        """An integer in a manifest means its decimal text."""
        assert canonical_quantity(10) == "10"

    @pytest.mark.parametrize("value", ["10Gi", True, 1.5, None])
    def test_others_pass(self, value: object) -> None:
        """Text stays as it is; what is no quantity is left for validation to refuse."""
        assert canonical_quantity(value) is value
