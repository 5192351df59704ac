"""What a node reports of a pod's containers: the state of each, from what it knows. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from smbpctl.runtime.meta import Manifest, is_deleting, key_of, uid_of
from smbpctl.runtime.simulation.agents.pod_facts import (
    EXIT_UNKNOWN,
    Exit,
    Facts,
    Progress,
    exits_for_good,
    timestamp,
)
from smbpctl.runtime.simulation.agents.sections import entries, section
from smbpctl.runtime.simulation.agents.workload import Health

SANDBOX: Final = "PodReadyToStartContainers"
"""The condition of a pod that has its volumes and network."""

_END_REASONS: Final[Mapping[int, str]] = MappingProxyType({0: "Completed", EXIT_UNKNOWN: "Unknown"})


def is_ready(facts: Facts) -> bool:
    """Tell whether the containers are ready; a deleted pod's are until they have ended."""
    run = facts.run
    return run is not None and run.alive and run.health is Health.READY


def has_vanished(pod: Manifest, facts: Facts) -> bool:
    """Tell whether a deleted pod goes without containers of which the end is known."""
    return facts.run is None and is_deleting(pod) and not facts.stuck


def container_status(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    """Return the status of a main container."""
    run = facts.run
    status: Manifest = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "" if run is None else f"simulated://{container.get('image', '')}",
        "ready": is_ready(facts),
        "started": run is not None and run.alive and run.progress is not Progress.CREATED,
        "restartCount": _told(pod, container).get("restartCount", 0),
        "state": _state(pod, container, facts),
    }
    if run is None:
        # The identity of the last container stays: it tells that there was one.
        last = _told(pod, container).get("containerID")
        return {**status, "containerID": last} if last else status
    status |= {
        "containerID": _identity(pod, container, run.restarts),
        "restartCount": run.restarts,
        **_resources(container),
    }
    if "waiting" in status["state"]:
        ended, restarts = run.exit, run.restarts
    else:
        ended, restarts = run.previous, run.restarts - 1
    if ended is None:
        return status
    return {**status, "lastState": _terminated(ended, _identity(pod, container, restarts))}


def initial_container_status(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    """Return the status of an init container: done when the pod was started, or a sidecar."""
    status = container_status(pod, container, facts)
    run = facts.run
    # A sidecar goes on running beside the main containers; any other has done its work.
    if run is None or container.get("restartPolicy") == "Always":
        return status
    done = Exit(run.started, run.started, 0, run.started, run.started)
    status.pop("lastState", None)
    state = _terminated(done, status["containerID"])
    return {**status, "ready": True, "started": False, "state": state}


def duration_text(delay: timedelta) -> str:
    """Return whole seconds as Go writes them: `10s`, `2m40s`, `5m0s`."""
    minutes, seconds = divmod(int(delay.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _identity(pod: Manifest, container: Mapping[str, Any], restarts: int) -> str:
    return f"simulated://{uid_of(pod)}/{container['name']}/{restarts}"


def _resources(container: Mapping[str, Any]) -> Manifest:
    """Return what the container has: a change in place is carried out at once."""
    resources = section(container, "resources")
    if not resources:
        return {}
    requests = resources.get("requests")
    allocated = {"allocatedResources": requests} if requests else {}
    return {"resources": resources, **allocated}


def _sandbox_told(pod: Manifest) -> bool:
    conditions = entries(pod, "status", "conditions")
    return any((each.get("type"), each.get("status")) == (SANDBOX, "True") for each in conditions)


def _told(pod: Manifest, container: Mapping[str, Any]) -> Mapping[str, Any]:
    told = entries(pod, "status", "containerStatuses")
    nothing: Mapping[str, Any] = {}
    return next((item for item in told if item["name"] == container["name"]), nothing)


def _state(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    run = facts.run
    if has_vanished(pod, facts):
        return {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
            }
        }
    if run is None:
        return {"waiting": _waiting(pod, container, facts)}
    if run.exit is None:
        return {"running": {"startedAt": timestamp(run.started)}}
    delay = run.exit.retry_at - run.exit.finished
    ends = is_deleting(pod) or exits_for_good(pod, run.exit.code)
    if ends or not delay or facts.now < run.exit.backs_off_at:
        return _terminated(run.exit, _identity(pod, container, run.restarts))
    message = (
        f"back-off {duration_text(delay)} restarting failed container={container['name']} "
        f"pod={key_of(pod).name}_{key_of(pod).namespace}({uid_of(pod)})"
    )
    return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}


def _waiting(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    image = container.get("image", "")
    initial = bool(entries(pod, "spec", "initContainers"))
    if facts.unmounted or not _sandbox_told(pod):
        return {"reason": "PodInitializing" if initial else "ContainerCreating"}
    if image in facts.unpullable:
        error = f'failed to pull and unpack image "{image}": not found'
        if facts.pulled_now:
            return {"reason": "ErrImagePull", "message": error}
        message = f'Back-off pulling image "{image}": ErrImagePull: {error}'
        return {"reason": "ImagePullBackOff", "message": message}
    if facts.unreadable:
        return {"reason": "CreateContainerConfigError", "message": facts.unreadable[0]}
    return {"reason": "PodInitializing" if initial else "ContainerCreating"}


def _terminated(ended: Exit, identity: str) -> Manifest:
    return {
        "terminated": {
            "exitCode": ended.code,
            "reason": _END_REASONS.get(ended.code, "Error"),
            "startedAt": timestamp(ended.started),
            "finishedAt": timestamp(ended.finished),
            "containerID": identity,
        }
    }
