"""The demonstration on a terminal: how it ends."""

from pathlib import Path

import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.simulation.controlplane import NotReady
from smbpctl.sandbox import showing
from smbpctl.sandbox.demo import DemoOptions


def ending(monkeypatch: pytest.MonkeyPatch, end: bool | BaseException) -> DemoOptions:
    """Have the demonstration end so; return options for it."""

    class Ending:
        def __init__(self, *_: object) -> None:
            pass

        async def run(self) -> bool:
            if isinstance(end, BaseException):
                raise end
            return end

    monkeypatch.setattr(showing, "Demo", Ending)
    return DemoOptions(
        binaries=Path("bin"), manifest=Path("peer.yaml"), directory=Path("there"), stay=True
    )


@pytest.mark.parametrize("available", [True, False])
def test_it_tells_whether_the_peer_became_available(
    monkeypatch: pytest.MonkeyPatch, available: bool
) -> None:
    """What the exit code will say."""
    assert showing.show(ending(monkeypatch, available)) is available


def test_ctrl_c_is_a_way_to_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `--stay` it is the only one."""
    assert showing.show(ending(monkeypatch, KeyboardInterrupt())) is True


def test_a_control_plane_that_does_not_start_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own words are the message."""
    options = ending(monkeypatch, NotReady("etcd is not ready"))

    with pytest.raises(ConfigurationError, match="etcd is not ready"):
        showing.show(options)
