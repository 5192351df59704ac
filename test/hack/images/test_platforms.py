"""Images are built for the machine that builds them."""

import pytest

from hack.images.platforms import current
from hack.images.refusals import UNAVAILABLE, Refused


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_known_machines(machine: str, name: str) -> None:
    """Debian and OCI call them otherwise than uname."""
    assert current("linux", machine).architecture == name


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_others_are_refused_by_name(system: str, machine: str) -> None:
    """Status 3, and what would do."""
    with pytest.raises(Refused, match=rf"x86_64, aarch64.*{system} {machine}") as caught:
        current(system, machine)

    assert caught.value.status == UNAVAILABLE
