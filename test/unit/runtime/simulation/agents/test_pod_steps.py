"""Tests of the node's decisions about pods: each state has one next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents.pod_facts import Exit, Facts, Progress, Run
from smbpctl.runtime.simulation.agents.pod_steps import Action, Timing, decide
from smbpctl.runtime.simulation.agents.workload import Health
from test.unit.runtime.simulation.agents.builders import NODE_ADDRESS, deleted, pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = Facts(now=NOW, node_address=NODE_ADDRESS)
RUN = Run("10.244.0.1", NOW, health=Health.READY)
RETRY = NOW + timedelta(seconds=10)
CRASH = Exit(NOW, NOW, 1, RETRY, NOW + timedelta(seconds=1))
TIMING = Timing()


def known(sandbox: str, started: str = "2026-01-01T00:00:00Z") -> Manifest:
    """Return a pod that the node has told of, with a sandbox or without."""
    condition = {"type": "PodReadyToStartContainers", "status": sandbox}
    return pod(status={"phase": "Pending", "startTime": started, "conditions": [condition]})


@pytest.mark.parametrize(
    ("manifest", "facts", "action"),
    [
        (pod(), FACTS, Action.REPORT),
        (pod(), replace(FACTS, unmounted=("x",)), Action.REPORT),
        (known("False"), FACTS, Action.REPORT),
        (known("False"), replace(FACTS, unpullable=frozenset({"x"})), Action.REPORT),
        (known("False"), replace(FACTS, unmounted=("x",)), Action.NONE),
        (known("True"), FACTS, Action.START),
        (known("True"), replace(FACTS, unreadable=("x",)), Action.NONE),
        (known("True"), replace(FACTS, unpullable=frozenset({"x"})), Action.NONE),
        (known("True"), replace(FACTS, start_delay=timedelta(seconds=1)), Action.NONE),
        (pod(), replace(FACTS, run=RUN), Action.NONE),
        (pod(), replace(FACTS, run=RUN, unmounted=("x",)), Action.NONE),
        (pod(), replace(FACTS, run=replace(RUN, progress=Progress.CREATED)), Action.ADVANCE),
        (pod(), replace(FACTS, run=replace(RUN, progress=Progress.STARTED)), Action.ADVANCE),
        (pod(), replace(FACTS, run=replace(RUN, health=Health.EXITED)), Action.MOURN),
        (pod(), replace(FACTS, run=replace(RUN, exit=CRASH)), Action.NONE),
        (pod(), replace(FACTS, now=RETRY, run=replace(RUN, exit=CRASH)), Action.START),
        (
            pod(restartPolicy="Never"),
            replace(FACTS, now=RETRY, run=replace(RUN, exit=CRASH)),
            Action.NONE,
        ),
        (pod(status={"phase": "Failed"}), FACTS, Action.NONE),
        (deleted(pod()), FACTS, Action.DELETE),
        (deleted(pod(status={"phase": "Failed"})), FACTS, Action.DELETE),
        (deleted(pod()), replace(FACTS, run=RUN), Action.STOP),
        (deleted(pod()), replace(FACTS, run=replace(RUN, exit=CRASH)), Action.DELETE),
        (deleted(pod()), replace(FACTS, run=RUN, stuck=True), Action.NONE),
        (deleted(pod()), replace(FACTS, stuck=True), Action.NONE),
    ],
)
def test_decisions(manifest: Manifest, facts: Facts, action: Action) -> None:
    """Each state of a pod has one next action."""
    assert decide(manifest, facts, TIMING).action is action


def test_an_ended_pod_keeps_its_status_when_it_is_deleted() -> None:
    """A new process that finds a Succeeded pod deleted takes it away, and nothing else."""
    step = decide(deleted(pod(status={"phase": "Succeeded"})), FACTS, TIMING)

    assert (step.action, step.status) == (Action.DELETE, None)


def test_a_slow_start_counts_from_the_pods_start_time() -> None:
    """The delay runs from when the pod came to the node, not from each look at it."""
    slow = replace(FACTS, start_delay=timedelta(seconds=5))
    told = known("True", started="2025-12-31T23:59:56Z")

    assert decide(told, slow, TIMING).action is Action.NONE
    later = replace(slow, now=NOW + timedelta(seconds=1))
    assert decide(told, later, TIMING).action is Action.START


@pytest.mark.parametrize(("elapsed", "after"), [(0, 1), (1, 9), (4, 6)])
def test_a_crashed_pod_is_looked_at_when_there_is_something_to_tell(
    elapsed: int, after: int
) -> None:
    """Nothing polls while a container backs off: the time to the next change is slept through."""
    now = NOW + timedelta(seconds=elapsed)

    step = decide(pod(), replace(FACTS, now=now, run=replace(RUN, exit=CRASH)), TIMING)

    assert step.after == timedelta(seconds=after)
