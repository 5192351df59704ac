"""Tests of what a node knows of a pod, and of what it makes of a pod that it finds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from smbpctl.runtime.simulation.agents.pod_facts import (
    exits_for_good,
    has_probe,
    lost_run,
    timestamp,
)
from test.unit.runtime.simulation.agents.builders import container, pod

NOW = datetime(2026, 1, 1, 0, 0, 5, 900_000, tzinfo=UTC)


def test_timestamps_have_seconds() -> None:
    """Kubernetes writes no fractions in most of its times, and cuts them off."""
    assert timestamp(NOW) == "2026-01-01T00:00:05Z"


@pytest.mark.parametrize(
    ("policy", "code", "for_good"),
    [
        ("Always", 0, False),
        ("OnFailure", 0, True),
        ("OnFailure", 1, False),
        ("Never", 0, True),
        ("Never", 1, True),
    ],
)
def test_the_restart_policy_decides_who_stays_ended(policy: str, code: int, for_good: bool) -> None:
    """Only what the policy does not restart has ended for good."""
    assert exits_for_good(pod(restartPolicy=policy), code) is for_good


def test_probes_are_those_of_any_main_container() -> None:
    """The model starts and readies a pod as a whole."""
    probed = pod(containers=[container("a"), container("b", readinessProbe={})])

    assert has_probe(probed, "readinessProbe")
    assert not has_probe(probed, "startupProbe")


def test_a_pod_found_running_has_lost_its_containers() -> None:
    """A node that returns knows neither when nor how they ended: exit code 255, restart at once."""
    told = {
        "containerID": "simulated://x",
        "restartCount": 2,
        "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
    }
    found = pod(
        status={"phase": "Running", "podIP": "10.244.0.1", "containerStatuses": [told]},
    )

    run = lost_run(found, NOW)

    assert run is not None
    assert run.exit is not None
    assert (run.address, run.restarts) == ("10.244.0.1", 2)
    assert (run.exit.code, run.exit.finished, run.exit.retry_at) == (255, NOW, NOW)
    assert timestamp(run.started) == "2026-01-01T00:00:01Z"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending", "containerStatuses": [{"name": "main"}]},
        {"phase": "Running"},
        {"phase": "Succeeded", "containerStatuses": [{"containerID": "simulated://x"}]},
    ],
)
def test_a_pod_that_did_not_run_has_lost_nothing(status: dict[str, Any]) -> None:
    """Containers that were never created, or have ended for good, cannot be lost."""
    assert lost_run(pod(status=status), NOW) is None
