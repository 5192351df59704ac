"""What makes something runnable, ready later, or graceful."""

from datetime import timedelta

from smbpctl.runtime.manager.runnable import GracefulRunnable, Phase, ReadyRunnable


class Plain:
    """Only runs."""

    async def run(self) -> None:
        """Do nothing."""


class Ready(Plain):
    """Runs, and is ready at some point."""

    async def wait_ready(self) -> None:
        """Be ready."""


class Graceful(Plain):
    """Runs, and can be asked to end."""

    async def stop(self, grace: timedelta) -> None:
        """End."""


class TestCapabilities:
    """A capability is a method; nobody has to inherit."""

    def test_each_capability_is_its_own(self) -> None:
        """What has the method has the capability, and only then."""
        kinds = [Plain(), Ready(), Graceful()]

        assert [isinstance(each, ReadyRunnable) for each in kinds] == [False, True, False]
        assert [isinstance(each, GracefulRunnable) for each in kinds] == [False, False, True]


class TestPhase:
    """The order of starting."""

    def test_probes_come_before_caches_and_controllers_last(self) -> None:
        """The first list may need a conversion webhook that this very process serves."""
        assert list(Phase) == [Phase.SERVING, Phase.CACHES, Phase.OTHERS, Phase.CONTROLLERS]
        assert sorted(Phase) == list(Phase)
