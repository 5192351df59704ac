"""Durations as manifests write them (168h, 90m, 1h30m), read into timedelta."""

import re
from datetime import timedelta

# The form of Gateway API's GEP-2257: what both Go's ParseDuration and CEL's duration() read,
# without signs and fractions, so that one value has few spellings.
PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"

_PART = re.compile(r"([0-9]+)(ms|h|m|s)")
_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `1h30m`; raise ValueError when it has another form."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is no duration such as 168h, 90m or 1h30m")
    return sum(
        (int(number) * _UNITS[unit] for number, unit in _PART.findall(text)),
        timedelta(),
    )


def format_duration(duration: timedelta) -> str:
    """Write a duration in its shortest exact form, hours first: `168h`, `1h30m`, `0s`.

    Raise ValueError for negative durations and for fractions of a millisecond, which the form
    cannot carry.
    """
    left = duration
    if left < timedelta() or left % _UNITS["ms"]:
        raise ValueError(f"{duration!r} cannot be written as a duration")
    parts: list[str] = []
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
