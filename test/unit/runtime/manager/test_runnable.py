"""What makes something runnable, ready later, or graceful."""

from datetime import timedelta

from smbpctl.runtime.manager.runnable import (
    STOP_ORDER,
    GracefulRunnable,
    Phase,
    ReadyRunnable,
    RepeatableRunnable,
    WarmRunnable,
)


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


class Warm(Plain):
    """Runs, and can prepare."""

    async def warm_up(self) -> None:
        """Prepare."""


class Repeatable(Plain):
    """Runs, again and again."""

    repeatable = True


class TestCapabilities:
    """A capability is a method; nobody has to inherit."""

    def test_each_capability_is_its_own(self) -> None:
        """What has the method has the capability, and only then."""
        capabilities = [ReadyRunnable, GracefulRunnable, WarmRunnable, RepeatableRunnable]
        kinds = [Ready(), Graceful(), Warm(), Repeatable()]

        for number, kind in enumerate(kinds):
            having = [isinstance(kind, each) for each in capabilities]
            assert having == [each == number for each in range(4)]
        assert not any(isinstance(Plain(), each) for each in capabilities)


class TestPhase:
    """The order of starting."""

    def test_probes_and_webhooks_come_before_caches_and_controllers_last(self) -> None:
        """The first list may need a conversion webhook that this very process serves."""
        assert [phase.name for phase in Phase] == [
            *("SERVING", "WEBHOOKS", "CACHES", "OTHERS", "CONTROLLERS")
        ]
        assert sorted(Phase) == list(Phase)

    def test_every_phase_stops_and_controllers_before_their_caches(self) -> None:
        """What feeds the controllers stops first, what they read and are probed by last."""
        assert sorted(STOP_ORDER) == list(Phase)
        assert STOP_ORDER.index(Phase.CONTROLLERS) < STOP_ORDER.index(Phase.CACHES)
        assert STOP_ORDER[-1] is Phase.SERVING
