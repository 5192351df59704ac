"""Kubernetes quantities (10Gi, 500m, 1e3): exact value, comparison, validity."""

import re
from fractions import Fraction

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ without signs:
# nothing in this API may be negative.
PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"

_QUANTITY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<suffix>.*)")
_BINARY = {f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    "": Fraction(1),
    "n": Fraction("1e-9"),
    "u": Fraction("1e-6"),
    "m": Fraction("1e-3"),
    "k": Fraction("1e3"),
    "M": Fraction("1e6"),
    "G": Fraction("1e9"),
    "T": Fraction("1e12"),
    "P": Fraction("1e15"),
    "E": Fraction("1e18"),
}
_FACTORS = _BINARY | _DECIMAL


def parse_quantity(text: str) -> Fraction:
    """Return the exact value of a quantity; raise ValueError when it is none or negative.

    A fraction, because a Decimal rounds products to 28 digits; the server itself rounds to nano.
    """
    match = _QUANTITY.fullmatch(text) if re.fullmatch(PATTERN, text) else None
    if match is None:
        raise ValueError(f"{text!r} is no quantity such as 10Gi, 500m or 2")
    suffix = match["suffix"]
    # The exponent form comes first: "1E3" is 1000, "1E" is one exa.
    factor = _FACTORS[suffix] if suffix in _FACTORS else Fraction(f"1{suffix}")
    return Fraction(match["number"]) * factor


def compare_quantities(left: str, right: str) -> int:
    """Return -1, 0 or 1 as `left` is less than, equal to or greater than `right` in value.

    `1Gi` equals `1024Mi`. Raise ValueError when either is no quantity.
    """
    first, second = parse_quantity(left), parse_quantity(right)
    return (first > second) - (first < second)


def canonical_quantity(value: object) -> object:
    """Return an integer as the text it stands for, anything else unchanged.

    Manifests may write `cpu: 2` and `cpu: "2"`; code sees text only. Booleans are no numbers.
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
