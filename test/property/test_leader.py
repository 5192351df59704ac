"""The rules of election in any world: clocks that disagree, a bad network, stops, people."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smbpctl.runtime.clock import seeded_random
from test.support.election_model import CALL, LEASE, PERFECT, STRANGER, Network, World

FAULTS_END = 80.0
SKEW = 0.01
# In this world a leader is stopped right after an answer that took more than the fence's margin.
SLOW_ANSWER = 0


@dataclass(frozen=True)
class Happening:
    """Something that befalls one of the candidates, or the Lease, at a moment."""

    moment: float
    what: str
    whom: int
    seconds: float


def befall(world: World, happening: Happening) -> None:
    """Have it happen now."""
    who = world.candidates[happening.whom % len(world.candidates)]
    server = world.server
    deeds: dict[str, Callable[[], None]] = {
        "stop": lambda: world.stop(who, happening.seconds),
        "ambush": lambda: world.ambush(happening.seconds),
        "kill": lambda: world.kill(who) if who.alive else None,
        "hand over": lambda: world.hand_over(who),
        "stand again": lambda: world.stand_again(who),
        "delete": world.delete,
        "wipe": world.wipe,
        "steal": lambda: server.edit(holderIdentity=STRANGER),
        "blank": lambda: server.edit(holderIdentity=None),
        "blank to empty": lambda: server.edit(holderIdentity=""),
        "touch": lambda: server.edit(renewTime="2000-01-01T00:00:00.000000Z"),
        "garble": lambda: server.edit(leaseTransitions=None, acquireTime=None, renewTime="soon"),
        "reset": lambda: server.edit(leaseTransitions=0),
    }
    deeds[happening.what]()


HAPPENINGS = st.builds(
    Happening,
    moment=st.floats(0.0, FAULTS_END),
    what=st.sampled_from(
        [
            *("stop", "kill", "hand over", "stand again", "delete", "steal", "blank"),
            *("blank to empty", "touch", "garble", "reset", "wipe"),
            *("ambush", "ambush", "ambush", "ambush"),
        ]
    ),
    whom=st.integers(0, 5),
    seconds=st.floats(0.1, 60.0),
)
SHARE = st.sampled_from([0.0, 0.05, 0.2, 0.5])
NETWORKS = st.builds(
    Network, lost=SHARE, answer_lost=SHARE, late=SHARE, slow=SHARE, watch_lost=SHARE
)
CLOCKS = st.tuples(
    st.floats(-1e6, 1e6),
    st.sampled_from([1.0 - SKEW, 1.0, 1.0 + SKEW]),
)


def at(moment: float, what: str) -> list[Happening]:
    """Return something that befalls everybody, one after the other."""
    return [Happening(moment, what, whom, 0.0) for whom in range(2)]


PLAIN = (0.0, 1.0)
# The leader is stopped with its fence open, and does not learn what happens meanwhile.
AMBUSH = Happening(5.0, "ambush", 0, 12.0)


@settings(max_examples=250, deadline=None)
@given(
    clocks=st.lists(CLOCKS, min_size=2, max_size=4),
    network=NETWORKS,
    happenings=st.lists(HAPPENINGS, max_size=12),
    seed=st.integers(0, 1 << 32),
)
@example(
    clocks=[(0.0, 1.0), (5e5, 1.0)],
    network=Network(slow=0.5, watch_lost=0.5),
    happenings=[Happening(moment, "ambush", 0, 18.0) for moment in (5.0, 30.0, 55.0)],
    seed=SLOW_ANSWER,
)
@example(clocks=[PLAIN, PLAIN], network=PERFECT, happenings=[AMBUSH, *at(8.0, "delete")], seed=0)
@example(clocks=[PLAIN, PLAIN], network=PERFECT, happenings=[AMBUSH, *at(8.0, "wipe")], seed=0)
@example(clocks=[PLAIN, PLAIN], network=PERFECT, happenings=[AMBUSH, *at(8.0, "blank")], seed=0)
@example(
    clocks=[PLAIN, PLAIN],
    network=PERFECT,
    happenings=[AMBUSH, *at(6.0, "hand over"), *at(8.0, "steal")],
    seed=0,
)
@example(
    clocks=[(0.0, 1.0 - SKEW), (0.0, 1.0 + SKEW)],
    network=PERFECT,
    happenings=[Happening(moment, "ambush", 0, 18.0) for moment in (5.0, 30.0, 55.0)],
    seed=0,
)
def test_at_most_one_may_write_and_in_the_end_one_does(
    clocks: list[tuple[float, float]],
    network: Network,
    happenings: list[Happening],
    seed: int,
) -> None:
    """Two fences are never open at once; no release blanks another's Lease; trouble ends.

    The model itself checks the first after each event and the second at each write.
    """
    world = World(seeded_random(seed), network)
    for offset, rate in clocks:
        world.join(offset=offset, rate=rate)
    for happening in happenings:
        world.at(happening.moment, lambda happening=happening: befall(world, happening))

    world.run(FAULTS_END)
    world.settle()
    # What was sent late arrives, the last holder's time passes, then somebody tries.
    world.run(FAULTS_END + 4 * CALL + 3 * LEASE)

    assert world.leader() is not None


@settings(max_examples=60, deadline=None)
@given(
    answer_lost=st.floats(0.0, 1.0),
    clocks=st.lists(CLOCKS, min_size=2, max_size=3),
    seed=st.integers(0, 1 << 32),
)
@example(answer_lost=1.0, clocks=[(0.0, 1.0), (0.0, 1.0)], seed=0)
def test_lost_answers_do_not_lose_the_lease(
    answer_lost: float, clocks: list[tuple[float, float]], seed: int
) -> None:
    """A renewal that was executed counts, also when not one answer to a write ever arrives."""
    world = World(seeded_random(seed), Network(answer_lost=answer_lost, reads_too=False))
    for offset, rate in clocks:
        world.join(offset=offset, rate=rate)

    world.run(100.0)

    assert world.losses == []
    assert world.leader() is not None


@settings(max_examples=60, deadline=None)
@given(
    clocks=st.lists(CLOCKS, min_size=2, max_size=4),
    dies_at=st.floats(10.0, 30.0),
    seed=st.integers(0, 1 << 32),
)
def test_a_dead_leader_is_replaced_in_time(
    clocks: list[tuple[float, float]], dies_at: float, seed: int
) -> None:
    """Within the lease and 1.2 retry periods, each by the clock of whoever takes over."""
    world = World(seeded_random(seed))
    for offset, rate in clocks:
        world.join(offset=offset, rate=rate)
    world.run(dies_at)
    leader = world.leader()
    assert leader is not None
    leader.alive = False

    world.run(dies_at + (LEASE + 1.2 * 2.0) * (1 + SKEW) + 0.1)

    assert world.leader() is not None


@settings(max_examples=60, deadline=None)
@given(
    clocks=st.lists(CLOCKS, min_size=2, max_size=4),
    stops_at=st.floats(10.0, 30.0),
    seed=st.integers(0, 1 << 32),
)
def test_a_hand_over_takes_no_time(
    clocks: list[tuple[float, float]], stops_at: float, seed: int
) -> None:
    """A standby that watches leads as soon as the Lease is released."""
    world = World(seeded_random(seed))
    for offset, rate in clocks:
        world.join(offset=offset, rate=rate)
    world.run(stops_at)
    leader = world.leader()
    assert leader is not None
    world.hand_over(leader)

    world.run(stops_at + 0.3)

    assert world.leader() not in {None, leader}
