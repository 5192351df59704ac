"""Tests of the status of containers: what each state looks like from outside."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents.container_status import (
    container_status,
    duration_text,
    has_vanished,
    initial_container_status,
    is_ready,
)
from smbpctl.runtime.simulation.agents.pod_facts import Exit, Facts, Progress, Run
from smbpctl.runtime.simulation.agents.workload import Health
from test.unit.runtime.simulation.agents.builders import NODE_ADDRESS, container, deleted, pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = Facts(now=NOW, node_address=NODE_ADDRESS)
RUN = Run("10.244.0.1", NOW, health=Health.READY)
END = NOW + timedelta(seconds=1)
CRASH = Exit(NOW, END, 1, END + timedelta(seconds=160), END + timedelta(seconds=1))
SANDBOX = {"conditions": [{"type": "PodReadyToStartContainers", "status": "True"}]}
MAIN = container()


def state(manifest: Manifest, facts: Facts) -> dict[str, Any]:
    """Return the state of the pod's container."""
    found: dict[str, Any] = container_status(manifest, MAIN, facts)["state"]
    return found


@pytest.mark.parametrize(
    ("progress", "health", "started", "ready"),
    [
        (Progress.CREATED, Health.UNREADY, False, False),
        (Progress.STARTED, Health.UNREADY, True, False),
        (Progress.STARTED, Health.READY, True, True),
        (Progress.PROBED, Health.READY, True, True),
    ],
)
def test_started_comes_before_ready(
    progress: Progress, health: Health, started: bool, ready: bool
) -> None:
    """A container is started once its startup probe has succeeded, and ready after that."""
    facts = replace(FACTS, run=replace(RUN, progress=progress, health=health))

    status = container_status(pod(), MAIN, facts)

    assert (status["started"], status["ready"], is_ready(facts)) == (started, ready, ready)


@pytest.mark.parametrize(
    ("facts", "reason", "message"),
    [
        ({}, "ContainerCreating", ""),
        ({"unpullable": {"example/web:1"}}, "ImagePullBackOff", 'Back-off pulling image "example'),
        ({"unpullable": {"example/web:1"}, "pulled_now": True}, "ErrImagePull", "not found"),
        ({"unpullable": {"another:1"}}, "ContainerCreating", ""),
        ({"unreadable": ('secret "s" not found',)}, "CreateContainerConfigError", 'secret "s"'),
        ({"unmounted": ('secret "s" not found',)}, "ContainerCreating", ""),
        ({"unmounted": ("x",), "unpullable": {"example/web:1"}}, "ContainerCreating", ""),
    ],
)
def test_what_holds_a_container_up_is_told_once_there_is_a_sandbox(
    facts: dict[str, Any], reason: str, message: str
) -> None:
    """Volumes come first and stay silent; then images, then variables, each with its reason."""
    known = replace(FACTS, **facts)

    waiting = state(pod(status=SANDBOX), known)["waiting"]
    before = state(pod(), known)["waiting"]

    assert waiting["reason"] == reason
    assert message in waiting.get("message", "")
    assert before == {"reason": "ContainerCreating"}


def test_the_end_is_told_before_the_delay() -> None:
    """A kubelet tells how a container ended, and only at its next look that it backs off."""
    facts = replace(FACTS, now=END, run=replace(RUN, restarts=5, exit=CRASH))

    ended = state(pod(), facts)
    waiting = state(pod(), replace(facts, now=CRASH.backs_off_at))

    assert ended["terminated"]["exitCode"] == 1
    assert ended["terminated"]["containerID"] == "simulated://uid-1/main/5"
    assert waiting == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 2m40s restarting failed container=main pod=web-0_ns(uid-1)",
        }
    }


@pytest.mark.parametrize(
    ("code", "reason"), [(0, "Completed"), (1, "Error"), (137, "Error"), (255, "Unknown")]
)
def test_exit_codes_have_reasons(code: int, reason: str) -> None:
    """255 stands for containers that a node lost with its power."""
    facts = replace(FACTS, now=END, run=replace(RUN, exit=replace(CRASH, code=code)))

    assert state(pod(), facts)["terminated"]["reason"] == reason


def test_a_deleted_pods_containers_are_ready_until_they_end() -> None:
    """Being deleted changes nothing about a container that runs; its end is final."""
    running = container_status(deleted(pod()), MAIN, replace(FACTS, run=RUN))
    backing_off = replace(FACTS, now=CRASH.retry_at, run=replace(RUN, exit=CRASH))

    assert running["ready"] is True
    assert "running" in running["state"]
    assert "terminated" in state(deleted(pod()), backing_off)


def test_containers_that_never_were_end_with_their_pod() -> None:
    """A deleted pod without containers says that they could not be located; a stuck one waits."""
    doomed = deleted(pod())
    stuck = replace(FACTS, stuck=True)

    assert state(doomed, FACTS)["terminated"]["reason"] == "ContainerStatusUnknown"
    assert state(doomed, FACTS)["terminated"]["exitCode"] == 137
    assert "waiting" in state(doomed, stuck)
    assert (has_vanished(doomed, FACTS), has_vanished(doomed, stuck)) == (True, False)


def test_resources_are_those_of_the_spec_once_it_runs() -> None:
    """A change in place is told as carried out; what does not run has nothing."""
    sized = container(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}})

    status = container_status(pod(), sized, replace(FACTS, run=RUN))

    assert status["resources"] == sized["resources"]
    assert status["allocatedResources"] == {"cpu": "1"}
    assert "resources" not in container_status(pod(), sized, FACTS)


def test_the_last_state_names_the_last_container() -> None:
    """After a restart, how the container before ended is told with that container's identity."""
    run = replace(RUN, restarts=1, previous=CRASH)

    status = container_status(pod(), MAIN, replace(FACTS, run=run))

    assert status["containerID"] == "simulated://uid-1/main/1"
    assert status["lastState"]["terminated"]["containerID"] == "simulated://uid-1/main/0"


def test_init_containers_are_done_and_sidecars_run_on() -> None:
    """When the pod runs, init containers have completed and are ready."""
    facts = replace(FACTS, run=RUN)

    done = initial_container_status(pod(), container("init"), facts)
    sidecar = initial_container_status(pod(), container("s", restartPolicy="Always"), facts)

    assert done["state"]["terminated"]["reason"] == "Completed"
    assert (done["ready"], done["started"]) == (True, False)
    assert "running" in sidecar["state"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5s"), (60, "1m0s"), (160, "2m40s"), (300, "5m0s"), (3661, "1h1m1s")],
)
def test_durations_are_written_as_go_writes_them(seconds: int, text: str) -> None:
    """As they stand in a kubelet's messages."""
    assert duration_text(timedelta(seconds=seconds)) == text
