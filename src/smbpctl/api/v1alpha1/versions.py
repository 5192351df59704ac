"""Which Big Peer releases this operator can run: the compatibility matrix, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ReleaseLine:
    """All releases that share major and minor version, such as 1.63."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


SUPPORTED_LINES: tuple[ReleaseLine, ...] = tuple(ReleaseLine(1, minor) for minor in range(49, 64))
"""The release lines this operator was built for, oldest first."""


def release_line(version: str) -> ReleaseLine | None:
    """Return the release line of a semantic version, or None when the text is none."""
    parts = version.split(".")
    if len(parts) < 3 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return None
    return ReleaseLine(int(parts[0]), int(parts[1]))


def supported(version: str) -> bool:
    """Tell whether this operator can run a version, judged by its release line.

    Pre-releases count as their line. A line newer than the matrix is unknown, not assumed to work:
    what it writes to disk may not be readable by any version this operator could go back to.
    """
    return release_line(version) in SUPPORTED_LINES


def explain(version: str) -> str:
    """Say in one clause why a version is or is not supported, and what would help."""
    oldest, newest = SUPPORTED_LINES[0], SUPPORTED_LINES[-1]
    line = release_line(version)
    if line is None:
        return f"{version} is no semantic version"
    if line in SUPPORTED_LINES:
        return f"release line {line} is supported"
    if line < oldest:
        return f"release line {line} is not supported; the oldest supported line is {oldest}"
    return (
        f"release line {line} is not known; the newest line this operator knows is {newest}, "
        "so a newer operator is needed"
    )
