"""The operator may be killed at any point of a bring-up; the next life finishes it."""

import random
import time

from test.controlplane.bigpeer.stage import Stage
from test.support.conversation import sample, wait_for

KILLS = 10
SEED = 20261121


def test_ten_kills_during_bring_up(stage: Stage, namespace: str) -> None:
    """Killed after each few writes, ten times, the operator still makes the sample Available.

    The points are drawn by seed: after how many further writes (seen in the audit log), and how
    long after that write, the process dies.
    """
    chance = random.Random(SEED)
    operator = stage.operator()
    stage.create(sample(namespace))

    for _ in range(KILLS):
        before = _count(stage, namespace)
        operator.start()
        goal = before + chance.randint(1, 5)
        _wait_for_writes(stage, namespace, goal)
        time.sleep(chance.uniform(0, 0.05))
        operator.kill()

    with operator:
        stage.settled(namespace)
    created = [
        event["objectRef"]["resource"]
        for event in stage.writes(namespace)
        if event.get("responseStatus", {}).get("code") == 201
    ]
    assert created.count("statefulsets") == 1
    assert created.count("deployments") == 3


def _count(stage: Stage, namespace: str) -> int:
    return sum(1 for _ in stage.writes(namespace))


def _wait_for_writes(stage: Stage, namespace: str, goal: int) -> None:
    """Return when so many writes were seen, or when it waits for others and writes nothing."""
    deadline = time.monotonic() + 4
    wait_for(
        f"{goal} writes",
        lambda: _count(stage, namespace) >= goal or time.monotonic() > deadline,
        seconds=20,
    )
