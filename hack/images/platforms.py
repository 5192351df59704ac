"""The kinds of machine that images can be built for: the kind that this one is."""

import platform
import sys
from dataclasses import dataclass

from hack.images.refusals import UNAVAILABLE, Refused


@dataclass(frozen=True, slots=True)
class Platform:
    """One kind of machine, as uname, Debian and OCI, multiarch paths and the loader call it."""

    machine: str
    architecture: str
    libraries: str
    loader: str


PLATFORMS = {
    each.machine: each
    for each in (
        Platform("x86_64", "amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
        Platform("aarch64", "arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
    )
}


def current(system: str = sys.platform, machine: str | None = None) -> Platform:
    """Return this machine's platform; images are compiled by the Python that is inside them."""
    name = platform.machine() if machine is None else machine
    if system != "linux" or name not in PLATFORMS:
        known = ", ".join(PLATFORMS)
        raise Refused(f"images are built on Linux ({known}), not on {system} {name}", UNAVAILABLE)
    return PLATFORMS[name]
