"""Tests of the idle workload: addresses are unique, kept, and given back."""

from smbpctl.runtime.simulation.agents.workload import Health, IdleWorkload
from test.support.virtual_time import run_virtual
from test.unit.runtime.simulation.agents.builders import pod


def test_pods_have_addresses_of_their_own() -> None:
    """Two running pods never share an address; a restarted pod keeps its own."""

    async def scenario() -> tuple[str, str, str]:
        idle = IdleWorkload()
        first = await idle.start(pod("one"))
        second = await idle.start(pod("two"))
        return first, second, await idle.start(pod("one"))

    first, second, again = run_virtual(scenario())

    assert first != second
    assert again == first


def test_a_stopped_pods_address_is_given_to_another() -> None:
    """Addresses do not run out while pods come and go."""

    async def scenario() -> set[str]:
        idle = IdleWorkload()
        seen = set[str]()
        for number in range(100):
            seen.add(await idle.start(pod(f"uid-{number}")))
            await idle.stop(pod(f"uid-{number}"))
        return seen

    assert len(run_virtual(scenario())) == 1


def test_health_follows_start_and_stop() -> None:
    """A pod is ready between start and stop, and exited otherwise; stopping twice is harmless."""

    async def scenario() -> list[Health]:
        idle = IdleWorkload()
        found = [await idle.health(pod())]
        await idle.start(pod())
        found.append(await idle.health(pod()))
        await idle.stop(pod())
        await idle.stop(pod())
        return [*found, await idle.health(pod())]

    assert run_virtual(scenario()) == [Health.EXITED, Health.READY, Health.EXITED]
