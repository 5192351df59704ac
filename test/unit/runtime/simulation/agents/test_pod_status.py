"""Tests of the status a node reports: what each state of a pod looks like from outside."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents.pod_facts import Exit, Facts, Run
from smbpctl.runtime.simulation.agents.pod_status import (
    conditions_of,
    covers,
    next_status,
)
from smbpctl.runtime.simulation.agents.workload import Health
from test.unit.runtime.simulation.agents.builders import (
    NODE_ADDRESS,
    container,
    deleted,
    pod,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = Facts(now=NOW, node_address=NODE_ADDRESS)
RUN = Run("10.244.0.1", NOW, health=Health.READY)
END = NOW + timedelta(seconds=1)
CRASH = Exit(NOW, END, 1, END + timedelta(seconds=10), END + timedelta(seconds=1))


def conditions(status: Manifest) -> dict[str, str]:
    """Return the status of each condition."""
    return {kind: item["status"] for kind, item in conditions_of({"status": status}).items()}


def state(status: Manifest, index: int = 0) -> dict[str, Any]:
    """Return the state of a container."""
    found: dict[str, Any] = status["containerStatuses"][index]["state"]
    return found


def test_a_pod_before_its_containers() -> None:
    """Before the start a pod is Pending, its containers are being created, nothing is ready."""
    status = next_status(pod(), FACTS)

    assert status["phase"] == "Pending"
    assert status["startTime"] == "2026-01-01T00:00:00Z"
    assert (status["hostIP"], status["hostIPs"]) == (NODE_ADDRESS, [{"ip": NODE_ADDRESS}])
    assert "podIP" not in status
    assert state(status) == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(status) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "ContainersReady": "False",
        "Ready": "False",
    }


def test_a_running_pod() -> None:
    """A ready pod is Running with its address, every condition true, and the spec it has seen."""
    status = next_status(pod(), replace(FACTS, run=RUN))

    assert (status["phase"], status["observedGeneration"]) == ("Running", 1)
    assert (status["podIP"], status["podIPs"]) == ("10.244.0.1", [{"ip": "10.244.0.1"}])
    assert state(status) == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    assert status["containerStatuses"][0]["ready"] is True
    assert status["containerStatuses"][0]["restartCount"] == 0
    assert set(conditions(status).values()) == {"True"}


def test_a_pod_whose_probe_fails_runs_and_is_not_ready() -> None:
    """A failed readiness probe takes Ready away and leaves the container running."""
    status = next_status(pod(), replace(FACTS, run=replace(RUN, health=Health.UNREADY)))

    assert status["phase"] == "Running"
    assert "running" in state(status)
    assert conditions(status)["Ready"] == conditions(status)["ContainersReady"] == "False"
    assert "[main]" in conditions_of({"status": status})["Ready"]["message"]


def test_readiness_gates_are_honoured() -> None:
    """Ready waits for conditions that others write; ContainersReady does not."""
    gated = pod(readinessGates=[{"conditionType": "example.com/ok"}])
    facts = replace(FACTS, run=RUN)

    closed = conditions(next_status(gated, facts))
    gated["status"]["conditions"] = [{"type": "example.com/ok", "status": "True"}]
    opened = conditions(next_status(gated, facts))

    assert (closed["ContainersReady"], closed["Ready"]) == ("True", "False")
    assert opened["Ready"] == "True"
    assert "example.com/ok" not in opened


def test_init_containers_have_run_when_the_pod_runs() -> None:
    """Init containers wait with the pod and are completed once it runs; sidecars go on running."""
    initial = pod(initContainers=[container("init"), container("side", restartPolicy="Always")])

    before = next_status(initial, FACTS)
    after = next_status(initial, replace(FACTS, run=RUN))

    waits = conditions_of({"status": before})["Initialized"]
    assert (waits["status"], waits["reason"]) == ("False", "ContainersNotInitialized")
    assert waits["message"] == "containers with incomplete status: [init side]"
    assert state(before) == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(after)["Initialized"] == "True"
    init, side = after["initContainerStatuses"]
    assert init["state"]["terminated"]["exitCode"] == 0
    assert (init["ready"], init["started"]) == (True, False)
    assert "running" in side["state"]


def test_a_crashed_pod_runs_and_is_not_ready() -> None:
    """While a container waits for its restart the pod keeps its phase and its sandbox."""
    facts = replace(FACTS, now=CRASH.backs_off_at, run=replace(RUN, restarts=2, exit=CRASH))

    status = next_status(pod(), facts)

    told = status["containerStatuses"][0]
    assert told["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert (told["restartCount"], told["ready"], told["started"]) == (2, False, False)
    assert (status["phase"], conditions(status)["Ready"]) == ("Running", "False")
    assert conditions(status)["PodReadyToStartContainers"] == "True"


def test_the_sandbox_is_told_after_the_pod_is_known() -> None:
    """A kubelet says first that it knows a pod, then that containers can be started in it."""
    known = pod(status={"phase": "Pending", "startTime": "2026-01-01T00:00:00Z"})
    unmounted = replace(FACTS, unmounted=("x",))

    told = [conditions(next_status(*each)) for each in ((known, FACTS), (known, unmounted))]

    assert [each["PodReadyToStartContainers"] for each in told] == ["True", "False"]


def test_conditions_tell_the_generation_they_are_about() -> None:
    """Each condition of the node's names the generation, as the status as a whole does."""
    status = next_status(pod(), replace(FACTS, run=RUN))

    assert [each["observedGeneration"] for each in status["conditions"]] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        ("Always", 0, "Running"),
        ("Always", 1, "Running"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
    ],
)
def test_the_restart_policy_decides_on_the_phase(policy: str, code: int, phase: str) -> None:
    """A pod ends only when its containers are not started again."""
    facts = replace(FACTS, run=replace(RUN, exit=replace(CRASH, code=code)))

    assert next_status(pod(restartPolicy=policy), facts)["phase"] == phase


def test_a_deleted_pod_is_ready_while_it_still_runs() -> None:
    """A kubelet leaves Ready alone until the containers have ended."""
    status = next_status(deleted(pod()), replace(FACTS, run=RUN))

    assert conditions(status)["Ready"] == "True"
    assert "running" in state(status)
    assert status["phase"] == "Running"


@pytest.mark.parametrize(
    ("code", "phase", "reason"),
    [(0, "Succeeded", "PodCompleted"), (137, "Failed", "PodFailed")],
)
def test_a_deleted_pods_containers_end_for_good(code: int, phase: str, reason: str) -> None:
    """Whatever the restart policy, a stopped pod that is deleted has ended."""
    ended = replace(RUN, exit=replace(CRASH, code=code))

    status = next_status(deleted(pod()), replace(FACTS, run=ended))

    assert status["phase"] == phase
    assert state(status)["terminated"]["exitCode"] == code
    told = conditions_of({"status": status})
    assert told["Ready"]["reason"] == told["ContainersReady"]["reason"] == reason
    assert told["PodReadyToStartContainers"]["status"] == "False"


def test_transition_times_move_only_with_their_status() -> None:
    """A condition keeps its transition time while its status stays, and moves it otherwise."""
    running = replace(FACTS, run=RUN)
    first = pod(status=next_status(pod(), running))
    later = replace(running, now=NOW + timedelta(minutes=1))

    same = next_status(first, later)
    unready = next_status(first, replace(later, run=replace(RUN, health=Health.UNREADY)))

    assert same == first["status"]
    moved = conditions_of({"status": unready})
    assert moved["Ready"]["lastTransitionTime"] == "2026-01-01T00:01:00Z"
    assert moved["Initialized"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_a_status_leaves_what_others_write_alone() -> None:
    """The scheduler's condition and the quality class are not the node's to report."""
    status = {
        "phase": "Pending",
        "qosClass": "BestEffort",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
    }

    reported = next_status(pod(status=status), FACTS)

    assert "qosClass" not in reported
    assert "PodScheduled" not in conditions(reported)


def test_a_pod_that_lost_its_process_keeps_phase_and_count() -> None:
    """A new agent does not take a running pod back to Pending before it starts it again."""
    before = next_status(pod(), replace(FACTS, run=replace(RUN, restarts=3)))

    status = next_status(pod(status=before), FACTS)

    assert (status["phase"], status["podIP"]) == ("Running", "10.244.0.1")
    assert status["containerStatuses"][0]["restartCount"] == 3
    assert conditions(status)["Ready"] == "False"


@pytest.mark.parametrize(
    ("actual", "wanted", "covered"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": 1}, False),
        (None, {"a": 1}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}]}, False),
        ({"a": {}}, {"a": {}}, True),
        (
            {"conditions": [{"type": "B", "status": "1"}, {"type": "A", "status": "2"}]},
            {"conditions": [{"type": "A", "status": "2"}]},
            True,
        ),
        (
            {"conditions": [{"type": "A", "status": "1"}]},
            {"conditions": [{"type": "A", "status": "2"}]},
            False,
        ),
        ({}, {"conditions": [{"type": "A", "status": "2"}]}, False),
    ],
)
def test_covering_ignores_what_others_own(actual: Any, wanted: Any, covered: bool) -> None:
    """A status needs sending only when something the node owns is missing or differs."""
    assert covers(actual, wanted) is covered
